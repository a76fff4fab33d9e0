import type { ModelFailure, ModelProvider, ModelRequest } from '../kernel/model-ports.ts'
import { maxStreamLength } from './agents.contract.ts'
import type { Growing, Halt } from './pump.ts'

/** How a model's answer came to its end. */
export interface Written {
  status: 'sent' | 'failed' | 'cancelled'
  errorCode?: string
  /** All that came. */
  text: string
  /** As the provider says; undefined where it did not. */
  usage: { inputTokens: number; outputTokens: number } | undefined
  /** Why it failed, for the log. */
  cause?: unknown
}

type Attempt = Pick<Written, 'text' | 'usage'> & { finish: string | undefined }

/** Tries after the first, while nothing has come yet. */
const retries = 2
const retryMs = 500
const longestRetryMs = 10_000

interface Patience {
  /** Between two chunks, and before the first. */
  idleMs: number
  totalMs: number
}

/** Why an attempt was broken off, beside a `Halt`. */
type Break = Halt | 'timeout' | 'length'

/**
 * Has a model write an answer into a growing text. Never throws: whatever the provider does comes out as an end. Tried
 * again only while nothing has come, so that nobody reads two beginnings.
 */
export async function writeBy(
  provider: ModelProvider,
  request: ModelRequest,
  growing: Growing,
  { idleMs, totalMs }: Patience,
): Promise<Written> {
  const attempt: Attempt = { text: '', usage: undefined, finish: undefined }
  const breaking = new AbortController()
  const breakOff = (reason: Break): void => breaking.abort(reason)
  const halted = (): void => breakOff(growing.signal.reason as Halt)
  growing.signal.addEventListener('abort', halted)
  if (growing.signal.aborted) halted()
  const total = setTimeout(breakOff, totalMs, 'timeout')
  let idle: NodeJS.Timeout | undefined
  const stillAlive = (): void => {
    clearTimeout(idle)
    idle = setTimeout(breakOff, idleMs, 'timeout')
  }

  async function once(): Promise<void> {
    stillAlive()
    const whole = wholeCharacters()
    for await (const chunk of provider.stream(request, breaking.signal)) {
      if (breaking.signal.aborted) return
      stillAlive()
      if (chunk.kind === 'usage') attempt.usage = { inputTokens: chunk.inputTokens, outputTokens: chunk.outputTokens }
      else if (chunk.kind === 'finish') attempt.finish = chunk.reason
      else {
        const text = whole(chunk.text).slice(0, maxStreamLength - attempt.text.length)
        attempt.text += text
        growing.push(text)
        if (attempt.text.length >= maxStreamLength) breakOff('length')
      }
    }
  }

  try {
    for (let tries = 0; ; tries++) {
      try {
        await once()
        break
      } catch (error) {
        if (breaking.signal.aborted) break
        const { isPassing, retryAfterMs } = error as Partial<ModelFailure>
        if (!isPassing || attempt.text !== '' || tries >= retries) {
          return { ...failed('upstream_failed', attempt), cause: error }
        }
        clearTimeout(idle)
        await pause(Math.min(retryAfterMs ?? retryMs * 2 ** tries, longestRetryMs), breaking.signal)
        if (breaking.signal.aborted) break
      }
    }
    return ending(breaking.signal.reason as Break | undefined, attempt)
  } finally {
    clearTimeout(total)
    clearTimeout(idle)
    growing.signal.removeEventListener('abort', halted)
  }
}

function ending(broken: Break | undefined, attempt: Attempt): Written {
  const { text, usage, finish } = attempt
  if (broken === 'stopped' || broken === 'gone') return { status: 'cancelled', text, usage }
  if (broken === 'timeout' || broken === 'idle') return failed('timeout', attempt)
  if (broken === 'shutdown' || broken === 'lost') return failed('interrupted', attempt)
  if (finish === 'refused') return failed('refused', attempt)
  if (text === '') return failed('empty', attempt)
  return { status: 'sent', text, usage }
}

const failed = (errorCode: string, { text, usage }: Attempt): Written => ({ status: 'failed', errorCode, text, usage })

/**
 * What of a text can be stored: half a character at its end waits for its other half, and what is none (NUL, a half that
 * stays alone) becomes the sign for that.
 */
function wholeCharacters(): (text: string) => string {
  let half = ''
  return (text) => {
    const joined = half + text
    const last = joined.charCodeAt(joined.length - 1)
    half = last >= 0xd800 && last <= 0xdbff ? joined.slice(-1) : ''
    const whole = half === '' ? joined : joined.slice(0, -1)
    return whole.toWellFormed().replaceAll('\0', '\ufffd')
  }
}

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
  })
