import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

/** How a service of others fails: never answers, says that it is broken, breaks off half-way, hangs up. */
export type Fault = 'timeout' | '500' | 'half' | 'reset'

export const faults: Fault[] = ['timeout', '500', 'half', 'reset']

export interface Asked {
  method: string
  path: string
  query: URLSearchParams
  headers: IncomingMessage['headers']
  /** What the body says as JSON. */
  body: Record<string, unknown>
}

export interface Upstream {
  url: string
  /** What was asked so far, in order. */
  requests: Asked[]
  /** Fails from now on, or no more; with `executed` it does first what it was asked, and only the answer is lost. */
  fail(fault: Fault | undefined, options?: { executed?: boolean }): void
  /** Holds all answers back from now on, until the returned function is called. */
  hold(): () => void
  close(): Promise<void>
}

/** A server on this machine that answers as `answer` says, and fails on command. */
export async function startUpstream(answer: (asked: Asked) => { status?: number; body: unknown }): Promise<Upstream> {
  const requests: Asked[] = []
  let fault: Fault | undefined
  let isExecuted = false
  let held: Promise<void> = Promise.resolve()

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '', 'http://upstream.test')
    const sent = await text(request)
    const body = sent === '' ? {} : (JSON.parse(sent) as Record<string, unknown>)
    const asked = {
      ...{ method: request.method ?? '', path: url.pathname, query: url.searchParams },
      ...{ headers: request.headers, body },
    }
    requests.push(asked)
    const failing = fault
    if (failing && !isExecuted) return failAs(failing, response)
    const { status = 200, body: said } = answer(asked)
    if (failing) return failAs(failing, response, JSON.stringify(said))
    await held
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(said))
  }

  const server = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => response.writeHead(500).end(String(error)))
  })
  // a test that keeps the processor busy must not find its connection closed for having been idle
  server.keepAliveTimeout = 120_000
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    fail(next, { executed = false } = {}) {
      fault = next
      isExecuted = executed
    },
    hold() {
      const gate = Promise.withResolvers<void>()
      held = gate.promise
      return gate.resolve
    },
    async close() {
      server.close()
      server.closeAllConnections()
    },
  }
}

function failAs(fault: Fault, response: ServerResponse, answer = '{"Success":true,"ok":true,"result":'): void {
  if (fault === 'timeout') return
  if (fault === 'reset') response.socket?.resetAndDestroy()
  else if (fault === '500') response.writeHead(500, { 'content-type': 'text/html' }).end('<h1>Oops</h1>')
  else {
    // as long as the whole answer would be, and cut off in its middle
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': answer.length + 20 })
    response.write(answer.slice(0, answer.length / 2), () => response.socket?.destroy())
  }
}
