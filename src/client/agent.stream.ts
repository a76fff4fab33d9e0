import { backoffMs } from './backoff.ts'
import type { Messaging } from './messaging.ts'
import { CommandFailed, type SocketInput } from './socket.ts'

/** What one append may bring, in UTF-16 units. */
const maxAppendLength = 16_000
/** Between two appends, in milliseconds: 20 a second. */
const paceMs = 50
/** Unsent text beyond which `write` waits, in UTF-16 units. */
const roomLength = 4 * maxAppendLength
const retry = { minMs: 250, maxMs: 2000 }
/** The message is gone or stopped, the agent was taken out, or agents have talked long enough: nothing can be written. */
const overCodes: ReadonlySet<string> = new Set(['gone', 'not_found', 'unprocessable'])

/** In tokens. */
export interface StreamUsage {
  inputTokens: number
  outputTokens: number
}

/** A message whose text grows. Once `signal` is aborted, all of this does nothing. */
export interface ReplyStream {
  /** Adds text. Resolves at once unless much waits to be sent; rejects with {@link CommandFailed} where it is refused. */
  write(text: string): Promise<void>
  /** Ends the message; resolves once all of it is stored. Rejects like `write`. */
  finish(usage?: StreamUsage): Promise<void>
  /** Ends the message as failed; what was written stays. `error` is a code such as `out_of_paper`. */
  fail(error?: string): Promise<void>
  /** Aborted when the message was stopped or deleted, or the agent taken out of the conversation. */
  readonly signal: AbortSignal
}

export interface AgentStream extends ReplyStream {
  /** Neither ended nor stopped. */
  readonly isOpen: boolean
  /** Undefined until the server has begun the message. */
  readonly messageId: string | undefined
  stop(): void
}

type Command = Messaging['command']
type End = (messageId: string) => Promise<unknown>

/**
 * Begins a message and sends its text in order, one append at a time, through lost connections. The text is kept to the
 * end: a node that dies takes with it what it had not stored, and the next one says from where on it needs it again.
 */
export function createAgentStream(command: Command, begin: SocketInput<'stream:start'>): AgentStream {
  const { conversationId } = begin
  const stopped = new AbortController()
  let messageId: string | undefined
  let text = ''
  /** How much of the text the server has, as far as is known. */
  let sent = 0
  /** A command got no answer: another append has to show whether the node still has all of the text. */
  let isUnsure = false
  let tries = 0
  let end: End | undefined
  let failure: Error | undefined
  const waiting: (() => void)[] = []

  /** Something has happened: writers look whether there is room, the sender whether there is work. */
  function wake(): void {
    for (const resolve of waiting.splice(0)) resolve()
  }
  const change = (): Promise<void> => new Promise((resolve) => waiting.push(resolve))

  function stop(): void {
    stopped.abort()
    wake()
  }

  async function run(): Promise<void> {
    while (!stopped.signal.aborted && messageId === undefined) {
      messageId = (await attempt(() => command('stream:start', begin)))?.id
    }
    for (let isDone = false; !isDone && !stopped.signal.aborted && messageId !== undefined; ) {
      const until = sendable()
      if (isUnsure || until > sent) await append(messageId, until)
      else if (end) isDone = (await attempt(() => end?.(messageId as string) ?? Promise.resolve())) !== undefined
      else await change()
    }
  }

  async function append(id: string, until: number): Promise<void> {
    const offset = sent
    // Where the text is not well-formed a sign of the same length stands in: others are refused.
    const piece = text.slice(offset, until).toWellFormed().replaceAll('\0', '\uFFFD')
    const input = { conversationId, messageId: id, offset, text: piece }
    const answer = await attempt(() => command('stream:append', input))
    if (!answer) return
    isUnsure = false
    sent = answer.offset
    wake()
    if (!end || text.length > sent) await pause(paceMs)
  }

  /** How far the text can be sent now: no append ends between the halves of a character. */
  function sendable(): number {
    const until = Math.min(text.length, sent + maxAppendLength)
    const isCut = isHighSurrogate(text.charCodeAt(until - 1)) && !(end && until === text.length)
    return Math.max(sent, isCut ? until - 1 : until)
  }

  /** Undefined where it has to be done again. Rejects where that would not help. */
  async function attempt<T>(act: () => Promise<T>): Promise<T | undefined> {
    try {
      const answer = await act()
      tries = 0
      return answer
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error
      const durable = error.details?.durable
      // Without it, it is the agent's earlier message there that still has to end.
      const isPassing = error.retryable || error.code === 'conflict'
      if (overCodes.has(error.code)) stop()
      else if (typeof durable === 'number') takeBack(durable)
      else if (!isPassing) throw error
      else await retryLater(Number(error.details?.retryAfterSeconds ?? 0) * 1000)
      return undefined
    }
  }

  function takeBack(durable: number): void {
    sent = durable
    isUnsure = false
  }

  async function retryLater(atLeastMs: number): Promise<void> {
    isUnsure = messageId !== undefined
    await Promise.race([pause(Math.max(atLeastMs, backoffMs(tries++, retry))), aborted(stopped.signal)])
  }

  const done = run().catch((error: Error) => {
    failure = error
    wake()
  })

  async function endBy(how: End): Promise<void> {
    end ??= how
    wake()
    await done
  }

  const isOver = (): boolean => end !== undefined || stopped.signal.aborted
  const throwFailure = (): void => {
    if (failure && !stopped.signal.aborted) throw failure
  }

  return {
    stop,
    signal: stopped.signal,
    get isOpen() {
      return !isOver()
    },
    get messageId() {
      return messageId
    },
    async write(piece) {
      if (isOver()) return
      text += piece
      wake()
      while (text.length - sent > roomLength && !failure && !isOver()) await change()
      throwFailure()
    },
    async finish(usage) {
      await endBy((id) => command('stream:finish', { conversationId, messageId: id, ...(usage && { usage }) }))
      throwFailure()
    },
    async fail(error) {
      const fail: End = (id) => command('stream:fail', { conversationId, messageId: id, ...(error && { error }) })
      await endBy(fail)
      // Its text was refused: it has to be ended all the same.
      if (failure && messageId !== undefined) await fail(messageId).catch(() => {})
    },
  }
}

const isHighSurrogate = (unit: number): boolean => unit >= 0xd800 && unit < 0xdc00

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
