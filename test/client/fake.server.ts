import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Server, type Socket } from 'socket.io'
import { me } from './model.ts'

type Answer =
  | { data: unknown }
  | { error: { code: string; message: string; retryable: boolean; details?: object } }
  | 'silence'
type Command = (input: never, socket: Socket) => Answer | Promise<Answer>

export interface FakeServer {
  url: string
  sockets: Socket[]
  /** Every command that came, in order. */
  commands: { name: string; input: Record<string, unknown> }[]
  /** Answers to commands by name; `sync` knows of nothing unless given. */
  on: Record<string, Command>
  /** What the handshake refuses a token with. */
  refusal(token: string): { code: string; message: string } | undefined
  /** Status and body of each REST request, by `METHOD /path`. */
  rest: Record<
    string,
    (
      body: Record<string, unknown>,
      authorization: string | undefined,
      headers: IncomingHttpHeaders,
    ) => [number, unknown]
  >
  requests: string[]
  close(): Promise<void>
}

export const emptySync = {
  conversations: [],
  messages: [],
  receipts: [],
  removed: [],
  resets: [],
  positions: {},
  serverTime: '2026-01-01T00:10:00.000Z',
  hasMore: false,
}

export const session = (accessToken: string, expiresIn = 900, refreshToken = `refresh of ${accessToken}`) => ({
  user: { id: me, kind: 'human', username: me, displayName: me },
  accessToken,
  expiresIn,
  refreshToken,
})

/** A real Socket.IO server that speaks just as much of the protocol as a test tells it to. */
export async function startFakeServer(): Promise<FakeServer> {
  const http = createServer(async (request, response) => {
    let text = ''
    for await (const chunk of request) text += chunk
    const key = `${request.method} ${request.url}`
    fake.requests.push(key)
    const handler = fake.rest[key] ?? (() => [404, { code: 'not_found', detail: key }])
    const [status, body] = handler(text ? JSON.parse(text) : {}, request.headers.authorization, request.headers)
    const headers = { 'content-type': 'application/json', ...(status === 429 && { 'retry-after': '7' }) }
    response.writeHead(status, headers).end(body === undefined ? undefined : JSON.stringify(body))
  })
  const io = new Server(http, { transports: ['websocket'] })
  const fake: FakeServer = {
    url: '',
    sockets: [],
    commands: [],
    on: { sync: () => ({ data: emptySync }) },
    refusal: () => undefined,
    rest: { 'POST /v1/auth/login': () => [200, session('token 1')] },
    requests: [],
    async close() {
      io.disconnectSockets(true)
      await io.close()
    },
  }
  io.use((socket, next) => {
    const refusal = fake.refusal(socket.handshake.auth.token)
    next(refusal && Object.assign(new Error(refusal.message), { data: refusal }))
  })
  io.on('connection', (socket) => {
    fake.sockets.push(socket)
    socket.onAny(async (name: string, input: Record<string, unknown>, ack: (answer: unknown) => void) => {
      fake.commands.push({ name, input })
      const answer = (await fake.on[name]?.(input as never, socket)) ?? { data: {} }
      if (answer !== 'silence') ack('error' in answer ? { ok: false, ...answer } : { ok: true, ...answer })
    })
    const serverTime = new Date().toISOString()
    socket.emit('session:ready', { userId: me, sessionId: 's', protocol: 1, serverTime })
  })
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  fake.url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
  return fake
}

/** Resolves at the first `name` that passes `isIt`; rejects after 5 s. */
export function heard<T>(
  subscribe: (handler: (payload: T) => void) => () => void,
  isIt: (payload: T) => boolean = () => true,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('It did not happen within 5 s.')), 5000)
    const stop = subscribe((payload) => {
      if (!isIt(payload)) return
      clearTimeout(timer)
      stop()
      resolve(payload)
    })
  })
}
