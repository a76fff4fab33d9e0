import OpenAI, { APIConnectionError, APIConnectionTimeoutError, APIError } from 'openai'
import type { ChatCompletionChunk, ChatCompletionCreateParamsStreaming } from 'openai/resources'
import { type ModelChunk, ModelFailure, type ModelProvider, type ModelRequest } from '../kernel/model-ports.ts'

interface OpenAiOptions {
  /** As it stands in `ai_models.provider`. */
  name: string
  baseUrl: string
  /** Absent: the server asks for none, such as one on the same machine. */
  apiKey?: string | undefined
  /** How long the provider may take until it begins to answer; the pauses in an answer are the caller's to watch. */
  idleTimeoutMs?: number
}

/** Usage comes right after the end of the text, or not at all; who watches the pauses must not take the wait for one. */
const usagePatienceMs = 5000
/** A provider that asks for more has no turn to give in the time that people wait. */
const maxRetryAfterMs = 60_000

/**
 * Language models of a server that speaks OpenAI's chat completions. Failures name provider, model and what happened:
 * what the server says about it is left out, since it may repeat the key or what people wrote.
 */
export function createOpenAiProvider({ name, baseUrl, apiKey, idleTimeoutMs = 60_000 }: OpenAiOptions): ModelProvider {
  const client = new OpenAI({
    baseURL: baseUrl,
    // all that is left out, the SDK looks for in the environment: a key of OpenAI's would go to whoever is at baseUrl
    apiKey: apiKey ?? 'none',
    ...{ adminAPIKey: null, organization: null, project: null, webhookSecret: null },
    ...(apiKey === undefined && { defaultHeaders: { authorization: null } }),
    maxRetries: 0,
    timeout: idleTimeoutMs,
    logLevel: 'off',
    // an address that leads elsewhere is wrongly configured; keys do not follow it
    fetchOptions: { redirect: 'error' },
  })

  /** The texts as they come; ends in silence after the signal, as the SDK does. */
  async function* texts(request: ModelRequest, answer: Answer, signal: AbortSignal): AsyncGenerator<ModelChunk> {
    const ours = new AbortController()
    let patience: NodeJS.Timeout | undefined
    try {
      const chunks = await client.chat.completions.create(parameters(name, request), {
        signal: AbortSignal.any([signal, ours.signal]),
      })
      for await (const chunk of chunks) {
        if (signal.aborted) return
        const text = answer.take(chunk)
        if (text !== '') yield { kind: 'text', text }
        if (answer.finish) patience ??= setTimeout(() => ours.abort(), Math.min(usagePatienceMs, idleTimeoutMs / 2))
      }
    } finally {
      clearTimeout(patience)
      ours.abort()
    }
  }

  async function* stream(request: ModelRequest, signal: AbortSignal): AsyncGenerator<ModelChunk> {
    if (signal.aborted) return
    const answer = createAnswer()
    const what = `${name} ${request.modelId}`
    try {
      yield* texts(request, answer, signal)
    } catch (error) {
      // once it has said how it ended the answer is whole, whatever becomes of the connection
      if (!signal.aborted && !answer.finish) throw failureOf(error, what)
    }
    if (signal.aborted) return
    if (!answer.finish) throw new ModelFailure(`${what}: the answer broke off`, { isPassing: true })
    const rest = answer.rest()
    if (rest !== '') yield { kind: 'text', text: rest }
    yield { kind: 'finish', reason: answer.finish }
    if (answer.usage) yield { kind: 'usage', ...answer.usage }
  }

  return { name, stream }
}

function parameters(provider: string, request: ModelRequest): ChatCompletionCreateParamsStreaming {
  const { modelId, turns, maxOutputTokens, temperature } = request
  // OpenAI's reasoning models know no temperature, and its newer ones one name of the limit; others know the old name
  const takesTemperature = provider !== 'openai' || !/^o\d/.test(modelId)
  return {
    model: modelId,
    messages: turns,
    stream: true,
    stream_options: { include_usage: true },
    ...(provider === 'openai' ? { max_completion_tokens: maxOutputTokens } : { max_tokens: maxOutputTokens }),
    ...(takesTemperature && temperature !== undefined && { temperature }),
  }
}

/** What has come of an answer. Servers differ in what they leave out of a chunk, so nothing in it is relied on. */
function createAnswer() {
  let finish: 'stop' | 'length' | 'refused' | undefined
  let usage: { inputTokens: number; outputTokens: number } | undefined
  /** The first half of a character whose second half comes with the next chunk. */
  let half = ''

  return {
    /** The text that the chunk brings: whole characters that the database can store. */
    take(chunk: Partial<ChatCompletionChunk> | null): string {
      const choice = chunk?.choices?.[0]
      if (choice?.finish_reason) finish = finishOf(choice.finish_reason)
      // some send it with each chunk, and the last one counts
      usage = usageOf(chunk?.usage) ?? usage
      const content: unknown = choice?.delta?.content
      if (typeof content !== 'string' || content === '') return ''
      const text = half + content.replaceAll('\0', '')
      half = /[\ud800-\udbff]$/.exec(text)?.[0] ?? ''
      return text.slice(0, text.length - half.length).toWellFormed()
    },
    rest: (): string => half.toWellFormed(),
    get finish() {
      return finish
    },
    get usage() {
      return usage
    },
  }
}

type Answer = ReturnType<typeof createAnswer>

function finishOf(reason: string): 'stop' | 'length' | 'refused' {
  if (reason === 'length') return 'length'
  return reason === 'content_filter' ? 'refused' : 'stop'
}

function usageOf(usage: ChatCompletionChunk['usage'] | undefined) {
  const { prompt_tokens: inputTokens, completion_tokens: outputTokens } = usage ?? {}
  const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
  return isCount(inputTokens) && isCount(outputTokens) ? { inputTokens, outputTokens } : undefined
}

/** Reasons that stay, whatever status they come with: OpenAI answers 429 also when its bill is not paid. */
const lasting = new Set(['insufficient_quota', 'invalid_request_error', 'context_length_exceeded'])

function failureOf(error: unknown, what: string): ModelFailure {
  if (error instanceof APIConnectionTimeoutError)
    return new ModelFailure(`${what}: no answer in time`, { isPassing: true })
  if (error instanceof APIConnectionError)
    return new ModelFailure(`${what}: no connection${systemCode(error)}`, { isPassing: true })
  if (error instanceof APIError) {
    const { status, code, type } = error as { status?: number; code?: unknown; type?: unknown }
    const codes = [code, type].filter((word): word is string => typeof word === 'string' && /^[a-z_]{1,64}$/.test(word))
    const isPassing = (status === undefined || isPassingStatus(status)) && !codes.some((word) => lasting.has(word))
    const said = `${status === undefined ? 'an error in the answer' : `answered ${status}`}${codes[0] ? ` (${codes[0]})` : ''}`
    return new ModelFailure(`${what}: ${said}`, { isPassing, retryAfterMs: isPassing ? retryAfter(error) : undefined })
  }
  if (error instanceof SyntaxError) return new ModelFailure(`${what}: a chunk is no JSON`, { isPassing: true })
  return new ModelFailure(`${what}: the connection broke${systemCode(error)}`, { isPassing: true })
}

const isPassingStatus = (status: number): boolean => status >= 500 || [408, 409, 425, 429].includes(status)

/** The operating system's word for it, such as ECONNRESET, from wherever in the causes it stands. */
function systemCode(error: unknown, depth = 0): string {
  if (typeof error !== 'object' || error === null || depth > 4) return ''
  const { code, cause } = error as { code?: unknown; cause?: unknown }
  return typeof code === 'string' && /^[A-Z_]{3,40}$/.test(code) ? ` (${code})` : systemCode(cause, depth + 1)
}

/** Milliseconds, from the header in seconds, in milliseconds or as a date. */
function retryAfter({ headers }: { headers?: Headers | undefined }): number | undefined {
  const exact = Number.parseFloat(headers?.get('retry-after-ms') ?? '')
  const given = headers?.get('retry-after') ?? ''
  const wait = [exact, Number.parseFloat(given) * 1000, Date.parse(given) - Date.now()].find(Number.isFinite)
  return wait === undefined ? undefined : Math.min(Math.max(0, Math.round(wait)), maxRetryAfterMs)
}
