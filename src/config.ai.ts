import { z } from 'zod'
import { listed } from './config.identity.ts'

const whole = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,12}$/)
    .transform(Number)
    .refine((value) => value >= min && value <= max)

/** Ids hold colons, slashes, dots and hyphens (`llama3.2:3b`, `org/name`), and never `=`. */
const modelId = /^\w[\w.:/@+-]{0,99}$/

/** The variables of AI, each with what it takes and an example for the message that refuses it. */
export const aiVariables = {
  AI_PROVIDERS: {
    schema: z
      .string()
      .transform(listed)
      .refine((names) => names.every((name) => /^[a-z][a-z0-9]{1,19}$/.test(name) && name !== 'offline'))
      .refine((names) => new Set(names).size === names.length)
      .default([]),
    expected:
      'names of who runs language models, separated by commas: lower-case letters and digits, each once, not `offline`',
    example: 'openai,local',
  },
  AI_MODEL: {
    schema: z.string().regex(modelId).optional(),
    expected: 'the id of the model of agents that have none of their own',
    example: 'gpt-4o-mini',
  },
  AI_IDLE_SECONDS: {
    // longer pauses Node's fetch ends by itself
    schema: whole(1, 300).default(30),
    expected: 'seconds that a model may be silent before its answer fails, 1 to 300',
    example: '30',
  },
  AI_TOTAL_SECONDS: {
    schema: whole(1, 3000).default(600),
    expected: 'seconds that an answer may take, 1 to 3000',
    example: '600',
  },
  AI_CONTEXT_TOKENS: {
    schema: whole(1000, 2_000_000).default(32_000),
    expected: 'the most tokens of a conversation that a model is shown, 1000 to 2000000',
    example: '32000',
  },
  AI_CONVERSATION_TOKENS_PER_HOUR: {
    schema: whole(1, 100_000_000_000).default(500_000),
    expected: 'the most tokens that the answers in one conversation may take in an hour, from 1',
    example: '500000',
  },
} as const

/** Providers whose address need not be given: what they offer for programs that speak OpenAI's protocol. */
const knownAddresses: Record<string, string> = {
  openai: 'https://api.openai.com/v1',
  anthropic: 'https://api.anthropic.com/v1',
  google: 'https://generativelanguage.googleapis.com/v1beta/openai',
}

/** Of models that are named without one. */
const standardContextWindow = 8192

interface AiModelEntry {
  id: string
  /** Tokens. */
  contextWindow: number
}

export interface AiProviderConfig {
  name: string
  baseUrl: string
  /** Absent: the provider asks for none. */
  apiKey: string | undefined
  /** Those that are not in the catalogue. */
  models: readonly AiModelEntry[]
}

export interface AiConfig {
  /** None: only the offline model is there. */
  providers: readonly AiProviderConfig[]
  /** The model of agents without one. */
  standardModel: string | undefined
  idleMs: number
  totalMs: number
  /** The most of a conversation that a model is shown, whatever its window. */
  contextTokens: number
  /** What the answers in one conversation may take. */
  conversationTokensPerHour: number
}

type Variables = { [K in keyof typeof aiVariables]: z.output<(typeof aiVariables)[K]['schema']> }

/** What is missing or wrong of the variables that belong to a provider is added to the problems, and never its value. */
export const aiConfig = (read: Variables, env: Record<string, string | undefined>, problems: string[]): AiConfig => {
  // absent where it was refused itself
  const providers = (read.AI_PROVIDERS ?? []).map((name) => providerConfig(name, env, problems))
  const ids = providers.flatMap(({ models }) => models.map(({ id }) => id))
  if (new Set(ids).size < ids.length)
    problems.push('AI_<NAME>_MODELS must name each model once: its id is what people choose it by, over all providers.')
  return {
    providers,
    standardModel: read.AI_MODEL,
    idleMs: read.AI_IDLE_SECONDS * 1000,
    totalMs: read.AI_TOTAL_SECONDS * 1000,
    contextTokens: read.AI_CONTEXT_TOKENS,
    conversationTokensPerHour: read.AI_CONVERSATION_TOKENS_PER_HOUR,
  }
}

/** Reads `AI_<NAME>_…` of one provider. */
function providerConfig(name: string, env: Record<string, string | undefined>, problems: string[]): AiProviderConfig {
  const variableOf = (part: string) => `AI_${name.toUpperCase()}_${part}`
  const refuse = (part: string, problem: string, example: string) =>
    void problems.push(`${variableOf(part)} ${problem}. Example: ${variableOf(part)}=${example}`)

  const known = knownAddresses[name]
  const baseUrl = env[variableOf('BASE_URL')] || known || ''
  const exampleUrl = 'http://localhost:11434/v1'
  if (!baseUrl) refuse('BASE_URL', `is missing: AI_PROVIDERS names ${name}`, exampleUrl)
  else if (!isAddress(baseUrl))
    refuse('BASE_URL', 'must be an HTTP address without a name and password in it', exampleUrl)

  const apiKey = env[variableOf('API_KEY')] || undefined
  if (known && !apiKey) refuse('API_KEY', `is missing: AI_PROVIDERS names ${name}`, 'what the provider has made')
  // anything else cannot stand in a header
  else if (apiKey && !/^[\x21-\x7e]{1,500}$/.test(apiKey))
    refuse('API_KEY', 'must be a key: letters, digits and signs without a space', 'sk-0123456789abcdef')

  const models = listed(env[variableOf('MODELS')] ?? '').map(modelEntry)
  if (models.some((model) => model === undefined))
    refuse(
      'MODELS',
      'must be ids of models, separated by commas, each with `=` and its context window in tokens (256 to 100000000) or without',
      'llama3.2:3b=131072,qwen3:8b',
    )
  return {
    name,
    baseUrl: baseUrl.replace(/\/+$/, ''),
    apiKey,
    models: models.filter((model) => model !== undefined),
  }
}

function isAddress(value: string): boolean {
  const address = URL.parse(value)
  return ['https:', 'http:'].includes(address?.protocol ?? '') && address?.username === '' && address.password === ''
}

function modelEntry(entry: string): AiModelEntry | undefined {
  const [id = '', window, ...rest] = entry.split('=').map((part) => part.trim())
  const contextWindow = window === undefined ? standardContextWindow : whole(256, 100_000_000).safeParse(window).data
  if (!modelId.test(id) || contextWindow === undefined || rest.length > 0) return undefined
  return { id, contextWindow }
}
