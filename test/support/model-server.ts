import { EventEmitter, once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { setTimeout as pause } from 'node:timers/promises'
import { LLMock } from '@copilotkit/aimock'

/** How a model answers. */
export interface ModelScript {
  chunks?: string[]
  /** Before each chunk. */
  pauseMs?: number
  /** Null: the chunk with the usage never comes. */
  usage?: { prompt_tokens: number; completion_tokens: number } | null
  /** Null: the answer ends without saying how. */
  finish?: 'stop' | 'length' | 'content_filter' | null
  /**
   * What happens after the chunks: hang up, say no more, a chunk that is no JSON; `…-after-finish`: once it has said how
   * it ended; `status`: no chunks, but that status.
   */
  fault?: 'reset' | 'stall' | 'reset-after-finish' | 'stall-after-finish' | 'bad-json' | 'status'
  status?: number
  /** The body that comes with the status. */
  error?: Record<string, unknown>
  /** Further headers of a status, such as `retry-after-ms`. */
  headers?: Record<string, string>
  /** The header in seconds. */
  retryAfter?: number
  /** The answer goes on when this is done. */
  holdUntil?: Promise<unknown>
  /** How many chunks come before it is held; unless given not even its head does. */
  holdAfter?: number
  /** Bytes are sent by as many, wherever that cuts characters. */
  bytesPerWrite?: number
}

export interface ModelServerRequest {
  model: string
  body: Record<string, unknown>
  headers: IncomingMessage['headers']
  /** How it ended and when: answered (in whatever way the script says), or given up by the client. */
  ended: Promise<{ by: 'server' | 'client'; at: number }>
  /** When the client gave it up, in milliseconds. */
  closedByClientAt: number | undefined
}

const standard: Required<Pick<ModelScript, 'chunks' | 'finish'>> = { chunks: ['Hello', ' there', '.'], finish: 'stop' }

/** A server on this machine that speaks OpenAI's streaming chat completions, at the pace and with the faults it is told. */
export async function startModelServer() {
  const requests: ModelServerRequest[] = []
  const arrivals = new EventEmitter()
  const byModel = new Map<string, ModelScript[]>()
  const inOrder: ModelScript[] = []
  const open = new Set<ModelServerRequest>()

  /** The last script of a model stays; those for whichever request comes next are used once, before all others. */
  function scriptFor(model: string): ModelScript {
    const ofModel = byModel.get(model) ?? []
    return inOrder.shift() ?? (ofModel.length > 1 ? ofModel.shift() : ofModel[0]) ?? standard
  }

  async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = (await json(incoming)) as Record<string, unknown>
    const { promise: ended, resolve } = Promise.withResolvers<{ by: 'server' | 'client'; at: number }>()
    const model = String(body['model'])
    const request: ModelServerRequest = { model, body, headers: incoming.headers, ended, closedByClientAt: undefined }
    const script = scriptFor(model)
    const gone = new AbortController()
    response.on('close', () => {
      const by = response.writableFinished || script.fault?.startsWith('reset') ? 'server' : 'client'
      if (by === 'client') request.closedByClientAt = Date.now()
      open.delete(request)
      gone.abort()
      resolve({ by, at: Date.now() })
    })
    open.add(request)
    requests.push(request)
    arrivals.emit('request', request)
    await answer(script, request, response, gone.signal)
  }

  const server = createServer((incoming, response) => {
    serve(incoming, response).catch((error: unknown) => {
      if (!response.destroyed) response.writeHead(500).end(String(error))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  return {
    /** For the `baseUrl` of a provider. */
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    /** What was asked so far, in order. */
    requests,
    /** How many are not yet answered. */
    open: (): number => open.size,
    /** What a model answers from now on: one script after the other, the last one again and again. */
    script(model: string, ...scripts: ModelScript[]): void {
      byModel.set(model, scripts)
    },
    /** What the next requests are answered, whichever model they ask. */
    next(...scripts: ModelScript[]): void {
      inOrder.push(...scripts)
    },
    /** The request of that number, from 1, once it has come. */
    async request(number: number): Promise<ModelServerRequest> {
      const signal = AbortSignal.timeout(10_000)
      while (requests.length < number) await once(arrivals, 'request', { signal })
      return requests[number - 1] as ModelServerRequest
    },
    /** Forgets requests and scripts. */
    reset(): void {
      requests.length = 0
      inOrder.length = 0
      byModel.clear()
    },
    async close(): Promise<void> {
      server.close()
      server.closeAllConnections()
    },
  }
}

export type ModelServer = Awaited<ReturnType<typeof startModelServer>>

async function answer(
  script: ModelScript,
  request: ModelServerRequest,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  const { chunks = standard.chunks, finish = standard.finish, holdAfter = 0, pauseMs, fault } = script
  if (fault === 'status') return refuse(script, response)
  const held = async (sent: number) => {
    if (sent === holdAfter) await script.holdUntil
  }
  await held(0)
  if (signal.aborted) return
  response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
  const envelope = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: request.model }
  const say = (part: object) => write(response, `data: ${JSON.stringify({ ...envelope, ...part })}\n\n`, script)
  const choice = (delta: object, reason: string | null = null) => ({
    choices: [{ index: 0, delta, finish_reason: reason }],
  })
  await say(choice({ role: 'assistant', content: '' }))
  for (const [index, content] of chunks.entries()) {
    if (pauseMs) await pause(pauseMs, undefined, { signal }).catch(() => {})
    if (signal.aborted) return
    await say(choice({ content }))
    await held(index + 1)
  }
  if (fault === 'stall') return
  if (fault === 'reset') return void response.socket?.resetAndDestroy()
  if (fault === 'bad-json') await write(response, 'data: {"choices":[{"delta":\n\n', script)
  if (finish !== null) {
    await say(choice({}, finish))
    if (fault === 'stall-after-finish') return
    if (fault === 'reset-after-finish') return void response.socket?.resetAndDestroy()
    await sayUsage()
    await write(response, 'data: [DONE]\n\n', script)
  }
  response.end()

  async function sayUsage(): Promise<void> {
    const { usage = { prompt_tokens: 10, completion_tokens: chunks.length } } = script
    const isAsked = (request.body['stream_options'] as { include_usage?: boolean } | undefined)?.include_usage
    if (usage && isAsked)
      await say({ choices: [], usage: { ...usage, total_tokens: usage.prompt_tokens + usage.completion_tokens } })
  }
}

function refuse(script: ModelScript, response: ServerResponse): void {
  const { status = 500, retryAfter, error = { message: 'scripted', type: 'scripted_error' }, headers } = script
  response
    .writeHead(status, {
      'content-type': 'application/json',
      ...(retryAfter !== undefined && { 'retry-after': String(retryAfter) }),
      ...headers,
    })
    .end(JSON.stringify({ error }))
}

/** Each write is on its way before the next: so a cut is one, and a reset loses nothing that was said before it. */
async function write(response: ServerResponse, text: string, { bytesPerWrite }: ModelScript): Promise<void> {
  const bytes = Buffer.from(text)
  const size = bytesPerWrite ?? bytes.length
  for (let start = 0; start < bytes.length; start += size) {
    if (response.destroyed) return
    await new Promise<void>((resolve) => response.write(bytes.subarray(start, start + size), () => resolve()))
  }
}

/**
 * A server of OpenAI's protocol that is not ours: `mock.onMessage('hello', { content: 'Hi!' })` says what it answers.
 * `url` is for the `baseUrl` of a provider.
 */
export async function startAiMock(): Promise<{ url: string; mock: LLMock; close(): Promise<void> }> {
  const mock = await LLMock.create({ port: 0, host: '127.0.0.1' })
  return { url: `${mock.url}/v1`, mock, close: () => mock.stop() }
}
