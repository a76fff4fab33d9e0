/** What the agents feature asks of who runs language models. */

/** A turn of the conversation as a model is shown it. */
export interface ModelTurn {
  role: 'system' | 'user' | 'assistant'
  content: string
}

export interface ModelRequest {
  /** As the provider calls it, such as `gpt-4o`. */
  modelId: string
  turns: ModelTurn[]
  /** The most tokens that it may answer. */
  maxOutputTokens: number
  /** 0 to 2; the model's own where absent. */
  temperature: number | undefined
}

/**
 * What comes of an answer, in this order: texts, then how it ended, then what it took. `usage` may never come; then the
 * tokens are to be counted here.
 */
export type ModelChunk =
  | { kind: 'text'; text: string }
  /** `length`: cut off at `maxOutputTokens` or at the end of the window; `refused`: a filter of the provider's. */
  | { kind: 'finish'; reason: 'stop' | 'length' | 'refused' }
  | { kind: 'usage'; inputTokens: number; outputTokens: number }

/** Why an answer failed, and whether the same request may succeed a moment later. */
export class ModelFailure extends Error {
  readonly isPassing: boolean
  /** What the provider asks to wait, in milliseconds, where it says so. */
  readonly retryAfterMs: number | undefined

  constructor(message: string, options: { isPassing: boolean; retryAfterMs?: number | undefined; cause?: unknown }) {
    super(message, { cause: options.cause })
    this.name = 'ModelFailure'
    this.isPassing = options.isPassing
    this.retryAfterMs = options.retryAfterMs
  }
}

/** Runs the language models of one provider. */
export interface ModelProvider {
  /** As it stands in `ai_models.provider`. */
  name: string
  /**
   * Asks once, without retries, and gives the answer as it comes. A stream that ends without saying how is a failure.
   * After `signal` nothing more comes, and the connection is closed.
   * @throws ModelFailure
   */
  stream(request: ModelRequest, signal: AbortSignal): AsyncIterable<ModelChunk>
}
