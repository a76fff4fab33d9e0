import type { RunInput, RunOutput } from '../agents/agents.contract.ts'
import type { Message } from '../messenger/messenger.contract.ts'
import { backoffMs } from './backoff.ts'
import type { Delta } from './conversation.copy.ts'
import { CommandFailed } from './socket.ts'
import type { Store } from './store.ts'

/** How long overtaken text may stay away before it is asked for, in milliseconds; random in between. */
const gapMs = { min: 150, max: 400 }
/** What was sent before is stored by then, a second at most having passed, and an answer has it. */
const storedMs = { min: 1100, max: 1500 }
const retry = { minMs: 800, maxMs: 5000 }
/** Asked this often without getting further, a stream is left until it is asked for anew, or ends. */
const maxTries = 8
/** How long text is kept for a message that has not come, in milliseconds. */
const earlyMs = 5000

interface Stream {
  conversationId: string
  messageId: string
  /** Whether the message is held; if not, its text waits here until it comes or `earlyMs` have passed. */
  isHeld: boolean
  /** What cannot be applied yet. */
  ahead: Delta[]
  isAsking: boolean
  /** How often it was asked for since the text last grew. */
  tries: number
  /** Until it is asked for; none while live text follows on the own. */
  timer: ReturnType<typeof setTimeout> | undefined
}

export interface Streams {
  /** There is a connection: texts that grow are followed until `stop`. */
  start(): void
  stop(): void
  take(delta: Delta): void
  /** The copy of this conversation has changed: messages that grow may have come, or ended. */
  look(conversationId: string): void
  /** Asks for what may have been missed of all texts that grow. */
  resume(): void
}

/**
 * Follows the texts that grow in the store. A reader ends with exactly the stored text whatever is lost, repeated or
 * reordered: text is only ever appended where it fits, what is missing is asked for, and the row with which a stream ends
 * replaces it all. Answers to `run:resume` are stored text, up to a second old: live text that goes beyond waits here.
 */
export function createStreams(deps: {
  store: Store
  resume(input: RunInput<'run:resume'>): Promise<RunOutput<'run:resume'>>
  onChanged(conversationId: string): void
  /** A stream has ended, and the row that says so did not come. */
  onEndMissed(): void
}): Streams {
  const { store } = deps
  const streams = new Map<string, Stream>()
  let isRunning = false

  function streamOf({ conversationId, messageId }: Pick<Delta, 'conversationId' | 'messageId'>): Stream {
    const known = streams.get(messageId)
    if (known) return known
    const nothing = { isHeld: false, ahead: [], isAsking: false, tries: 0 }
    const stream: Stream = { conversationId, messageId, ...nothing, timer: undefined }
    stream.timer = setTimeout(() => forget(stream), earlyMs)
    streams.set(messageId, stream)
    return stream
  }

  function forget(stream: Stream): void {
    clearTimeout(stream.timer)
    streams.delete(stream.messageId)
  }

  function rowOf({ conversationId, messageId }: Stream): Message | undefined {
    return store.get(conversationId)?.streaming.find(({ id }) => id === messageId)
  }

  function take(delta: Delta): void {
    if (!isRunning) return
    const stream = streamOf(delta)
    stream.ahead.push(delta)
    if (apply(stream)) deps.onChanged(stream.conversationId)
    if (!stream.isHeld || stream.isAsking || stream.timer !== undefined || stream.ahead.length === 0) return
    if (stream.tries < maxTries) askIn(stream, between(gapMs))
    else stream.ahead = []
  }

  /** Applies what has come as far as it fits, and says whether the message grew. */
  function apply(stream: Stream): boolean {
    const pieces = stream.ahead.sort((a, b) => a.offset - b.offset)
    stream.ahead = []
    let isGrown = false
    for (const piece of pieces) {
      const growth = store.grow(piece)
      if (growth === 'gap' || growth === 'absent') stream.ahead.push(piece)
      isGrown ||= growth === 'grown'
    }
    if (isGrown) stream.tries = 0
    if (isGrown && stream.ahead.length === 0) stopAsking(stream)
    return isGrown
  }

  function stopAsking(stream: Stream): void {
    clearTimeout(stream.timer)
    stream.timer = undefined
  }

  /** Begins with a message that grows, or anew where something may have been missed; says whether the message grew. */
  function follow({ id, conversationId, content }: Message): boolean {
    const stream = streamOf({ conversationId, messageId: id })
    const hasBegun = content === ''
    stream.isHeld = true
    // One that has just begun is mostly heard from its first word: it is asked for once, should nothing come.
    stream.tries = hasBegun ? 1 : 0
    stopAsking(stream)
    const isGrown = apply(stream)
    if (stream.ahead.length > 0) askIn(stream, between(gapMs))
    else if (!isGrown) askIn(stream, hasBegun ? between(storedMs) : 0)
    return isGrown
  }

  function askIn(stream: Stream, ms: number): void {
    if (stream.isAsking) return
    clearTimeout(stream.timer)
    stream.timer = setTimeout(() => void ask(stream), ms)
  }

  async function ask(stream: Stream): Promise<void> {
    const { conversationId, messageId } = stream
    const row = rowOf(stream)
    stream.timer = undefined
    if (!row) return forget(stream)
    stream.isAsking = true
    stream.tries++
    const offset = row.content.length
    const answer = await deps.resume({ conversationId, messageId, offset }).catch((error: unknown) => error)
    if (streams.get(messageId) !== stream) return
    stream.isAsking = false
    if (!(answer instanceof Error)) return takeStored(stream, answer as RunOutput<'run:resume'>)
    if (answer instanceof CommandFailed && !answer.retryable) stream.tries = maxTries
    askAgain(stream)
  }

  function takeStored(stream: Stream, { status, offset, text }: RunOutput<'run:resume'>): void {
    if (status !== 'streaming') {
      endSoon(stream)
      return
    }
    const { conversationId, messageId, tries } = stream
    stream.ahead.push({ conversationId, messageId, offset, text })
    if (apply(stream)) deps.onChanged(conversationId)
    if (stream.ahead.length > 0) askAgain(stream)
    else if (tries === 1) {
      // This answer may lack what was sent just before the connection, and so never heard; a second one has it.
      stream.tries = tries
      askIn(stream, between(storedMs))
    }
  }

  function askAgain(stream: Stream): void {
    if (stream.tries < maxTries) askIn(stream, backoffMs(stream.tries, retry))
    else stream.ahead = []
  }

  /** The row that ends it is mostly on its way. */
  function endSoon(stream: Stream): void {
    stream.ahead = []
    stream.timer = setTimeout(() => {
      stream.timer = undefined
      if (rowOf(stream)) deps.onEndMissed()
    }, gapMs.max)
  }

  function look(conversationId: string): void {
    if (!isRunning) return
    const copy = store.get(conversationId)
    const rows = copy?.streaming ?? []
    for (const row of rows) if (!streams.get(row.id)?.isHeld) follow(row)
    for (const stream of streams.values()) {
      const isOver = stream.isHeld ? !rows.some(({ id }) => id === stream.messageId) : !copy
      if (stream.conversationId === conversationId && isOver) forget(stream)
    }
  }

  return {
    take,
    look,
    start() {
      isRunning = true
    },
    stop() {
      isRunning = false
      for (const stream of streams.values()) forget(stream)
    },
    resume() {
      if (!isRunning) return
      for (const row of store.conversations().flatMap((copy) => copy.streaming)) {
        if (follow(row)) deps.onChanged(row.conversationId)
      }
    },
  }
}

const between = ({ min, max }: { min: number; max: number }): number => min + Math.random() * (max - min)
