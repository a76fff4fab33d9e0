import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { io, type Socket } from 'socket.io-client'
import type { Session } from '../../src/identity/identity.contract.ts'
import type { CommandError } from '../../src/kernel/errors.ts'
import type { CommandInput, CommandOutput, MessengerCommand } from '../../src/messenger/messenger.contract.ts'

const limitMs = 10_000

export type Ack<T = unknown> = { ok: true; data: T } | { ok: false; error: CommandError }

export interface Heard {
  event: string
  // what the wire brought: the test says what it expects
  payload: Record<string, never> & { [key: string]: unknown }
}

/** A person with an account and one bare socket: no store, no retries, so that a test sees what the wire brings. */
export interface Person {
  id: string
  username: string
  session: Session & { refreshToken: string }
  socket: Socket
  /** Every event heard so far, in order, but for `session:ready`. */
  heard: Heard[]
  /** Sends anything as a command and gives its acknowledgment. */
  ask(name: string, ...args: unknown[]): Promise<Ack>
  /** Sends a command that must succeed and gives its data. */
  do<K extends MessengerCommand>(name: K, input: CommandInput<K>): Promise<CommandOutput<K>>
  /** Sends a command that must be refused and gives the error. */
  refused(name: string, input: unknown): Promise<CommandError>
  /** The first event of that name, heard already or within 10 s, that fits. */
  hears(event: string, fits?: (payload: Heard['payload']) => boolean): Promise<Heard['payload']>
  close(): void
}

/** A new account with its first login. */
export async function register(url: string, name = 'user'): Promise<Session & { refreshToken: string }> {
  const username = `${name.slice(0, 20)}_${randomBytes(4).toString('hex')}`
  const response = await fetch(`${url}/v1/auth/register`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username, email: `${username}@example.org`, password: 'correct horse', displayName: name }),
  })
  const body: unknown = await response.json()
  assert.equal(response.status, 201, JSON.stringify(body))
  return body as Session & { refreshToken: string }
}

/** A further socket of a person who has an account; at another node where `url` is another's. */
export async function connect(url: string, session: Session & { refreshToken: string }): Promise<Person> {
  const socket = io(url, {
    transports: ['websocket'],
    auth: { token: session.accessToken },
    forceNew: true,
    reconnection: false,
  })
  const heard: Heard[] = []
  const waiting = new Set<() => void>()
  socket.onAny((event: string, payload: Heard['payload']) => {
    if (event === 'session:ready') return
    heard.push({ event, payload })
    for (const look of waiting) look()
  })
  await new Promise<void>((resolve, reject) => {
    socket.once('session:ready', () => resolve())
    socket.once('connect_error', reject)
  })

  const ask = (name: string, ...args: unknown[]): Promise<Ack> => socket.timeout(limitMs).emitWithAck(name, ...args)
  return {
    id: session.user.id,
    username: session.user.username,
    session,
    socket,
    heard,
    ask,
    async do(name, input) {
      const ack = (await ask(name, input)) as Ack<CommandOutput<typeof name>>
      assert.ok(ack.ok, `${name}: ${JSON.stringify(ack)}`)
      return ack.data
    },
    async refused(name, input) {
      const ack = await ask(name, input)
      assert.ok(!ack.ok, `${name} was not refused: ${JSON.stringify(ack)}`)
      return ack.error
    },
    hears: (event, fits = () => true) =>
      new Promise((resolve, reject) => {
        const find = () => heard.find((item) => item.event === event && fits(item.payload))
        const look = (): void => {
          const found = find()
          if (!found) return
          clearTimeout(timer)
          waiting.delete(look)
          resolve(found.payload)
        }
        const timer = setTimeout(() => {
          waiting.delete(look)
          reject(
            new Error(
              `${session.user.username} did not hear ${event}; heard: ${heard.map((item) => item.event).join(', ')}`,
            ),
          )
        }, limitMs)
        waiting.add(look)
        look()
      }),
    close: () => void socket.disconnect(),
  }
}

/** A new person, connected. */
export const join = async (url: string, name?: string): Promise<Person> => connect(url, await register(url, name))
