import { createHash } from 'node:crypto'
import { sql } from 'kysely'
import { type Connection, run } from '../database/database.ts'
import { AppError } from '../kernel/errors.ts'
import { newId } from '../kernel/ids.ts'
import { costOf, effectiveTokens, splitCredits, type Tokens } from './meter.ts'
import type { ModelUsage } from './usage.entity.ts'
import { readFrom, type Source } from './wallet-reader.ts'

/** What one model did in a run. */
export interface ModelRun {
  modelId: string
  inputTokens: number
  outputTokens: number
  /** Whether it came to an end by itself or was stopped by the user, rather than failed. */
  succeeded: boolean
  processingTimeMs: number
}

/** A run of one or several models side by side, as it went. */
export interface RunUsage {
  models: ModelRun[]
  conversationId?: string | undefined
  /** Of the prompt, in UTF-16 units. */
  inputLength?: number | undefined
  ip?: string | undefined
  /** What the client says of itself; stored as SHA-256. */
  fingerprint?: string | undefined
}

/** What is charged for it and was expected of it. */
interface Charge {
  userId: string | null
  credits: number
  /** US dollars; what it did cost where nothing was estimated. */
  estimatedCost?: number | undefined
  at: Date
}

export type Price = { input: number; output: number }

/** The prices of these models, in US dollars per million tokens; of those that are not there none. */
export async function pricesOf(
  source: Source,
  modelIds: string[],
): Promise<Map<string, Price & { isActive: boolean }>> {
  const rows = await readFrom(
    source,
    sql<{ id: string; input: string; output: string; isActive: boolean }>`
      select id, input_price as input, output_price as output, is_active as "isActive"
      from ai_models where id = any(${modelIds}::text[])`,
  )
  return new Map(
    rows.map(({ id, input, output, isActive }) => [id, { input: Number(input), output: Number(output), isActive }]),
  )
}

/** Only a model that succeeded and said something is charged for. */
export const isCharged = ({ succeeded, outputTokens }: ModelRun): boolean => succeeded && outputTokens > 0

export const tokensOf = (models: ModelRun[]): Tokens => ({
  input: models.reduce((sum, { inputTokens }) => sum + inputTokens, 0),
  output: models.reduce((sum, { outputTokens }) => sum + outputTokens, 0),
})

/**
 * Whether a run can be what it says.
 * @throws AppError invalid_request
 */
export function checkRun({ models, inputLength = 0 }: RunUsage): void {
  const figures = models.flatMap(({ inputTokens, outputTokens, processingTimeMs }) => [
    inputTokens,
    outputTokens,
    processingTimeMs,
  ])
  if (![...figures, inputLength].every((figure) => Number.isSafeInteger(figure) && figure >= 0)) {
    throw new AppError('invalid_request', 'Tokens, times and lengths are whole numbers from 0 on.')
  }
}

/** Writes the run into the log, in the transaction; gives the id. */
export async function writeUsageLog(em: Connection, usage: RunUsage, charge: Charge): Promise<string> {
  const id = newId()
  const { models, conversationId, inputLength = 0, ip, fingerprint } = usage
  const prices = await pricesOf(
    em,
    models.map(({ modelId }) => modelId),
  )
  const shares = splitCredits(
    charge.credits,
    models.map((model) => (isCharged(model) ? effectiveTokens(tokensOf([model])) : 0)),
  )
  const modelUsage = models.map((model, place): ModelUsage => {
    const price = prices.get(model.modelId)
    return { ...model, cost: price ? costOf(tokensOf([model]), price) : null, credits: shares[place] ?? 0 }
  })
  const tokens = tokensOf(models)
  const successful = models.filter(({ succeeded }) => succeeded).length
  const cost = modelUsage.reduce((sum, one) => sum + (one.cost ?? 0), 0)
  await run(
    em,
    sql`
      insert into usage_logs (id, user_id, ip, browser_fingerprint, conversation_id, models_used, models_requested,
        models_successful, models_failed, input_length, processing_time_ms, input_tokens, output_tokens, total_tokens,
        effective_tokens, credits_used, actual_cost, estimated_cost, is_overage, overage_charge, model_usage, created_at)
      values (${id}, ${charge.userId}, ${ip ?? null}, ${fingerprint === undefined ? null : hashOf(fingerprint)},
        ${conversationId ?? null}, ${models.map(({ modelId }) => modelId)}::text[], ${models.length}, ${successful},
        ${models.length - successful}, ${inputLength},
        ${Math.max(0, ...models.map(({ processingTimeMs }) => processingTimeMs))},
        ${tokens.input}, ${tokens.output}, ${tokens.input + tokens.output}, ${effectiveTokens(tokens)},
        ${charge.credits}, ${cost}, ${charge.estimatedCost ?? cost}, ${charge.credits > 0}, ${charge.credits},
        ${JSON.stringify(modelUsage)}::jsonb, ${charge.at.toISOString()})`,
  )
  return id
}

const hashOf = (text: string): Buffer => createHash('sha256').update(text).digest()
