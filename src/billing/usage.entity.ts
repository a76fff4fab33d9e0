import { defineEntity, p } from '@mikro-orm/core'
import { createdAtColumn, idColumn, updatedAtColumn } from '../database/base.entity.ts'
import { User } from '../identity/user.entity.ts'

const cost = () => p.decimal('number').precision(12).scale(4)

/** What one of a run's models took, as it stands in `model_usage`. */
export interface ModelUsage {
  modelId: string
  inputTokens: number
  outputTokens: number
  succeeded: boolean
  processingTimeMs: number
  /** US dollars, unrounded; null where the model has no price here. */
  cost: number | null
  /** The run's credits that fall to this model. */
  credits: number
}

/** A run of one or several models, written when it is settled. Tokens are those of all models, also of failed ones. */
export const UsageLog = defineEntity({
  name: 'UsageLog',
  tableName: 'usage_logs',
  properties: {
    ...idColumn,
    /** Null: without an account, or of a user whose row is gone. */
    user: () => p.manyToOne(User).nullable().deleteRule('set null'),
    ip: p.text().nullable(),
    /** SHA-256 of what the client said of itself. */
    browserFingerprint: p.blob().nullable(),
    /** No foreign key, since the messenger stands to the right of billing. */
    conversationId: p.uuid().nullable(),
    modelsUsed: p.array(),
    modelsRequested: p.integer(),
    modelsSuccessful: p.integer(),
    modelsFailed: p.integer(),
    /** Of the prompt, in UTF-16 units. */
    inputLength: p.integer().default(0),
    /** Of the slowest model: they run side by side. */
    processingTimeMs: p.integer().default(0),
    inputTokens: p.bigint('number'),
    outputTokens: p.bigint('number'),
    totalTokens: p.bigint('number'),
    /** Input + 2.5 × output, rounded up. */
    effectiveTokens: p.bigint('number'),
    creditsUsed: p.bigint('number').defaultRaw('0'),
    /** US dollars, by the prices of the models at that time. */
    actualCost: cost(),
    /** What was estimated before the run. */
    estimatedCost: cost(),
    /** Whether part of it went beyond the quota, and how many credits that took. */
    isOverage: p.boolean().default(false),
    overageCharge: cost().default(0),
    modelUsage: p.json<ModelUsage[]>().defaultRaw("'[]'"),
    ...createdAtColumn,
  },
  indexes: [
    { name: 'usage_logs_user', properties: ['user', 'createdAt'] },
    { name: 'usage_logs_created', properties: ['createdAt'] },
  ],
})

/** All runs of a month (UTC) in one row, computed from the usage logs; computing it again gives the same. */
export const UsageLogMonthlyAggregate = defineEntity({
  name: 'UsageLogMonthlyAggregate',
  tableName: 'usage_log_monthly_aggregates',
  properties: {
    year: p.integer().primary(),
    month: p.integer().primary(),
    totalRuns: p.bigint('number'),
    totalModelsRequested: p.bigint('number'),
    totalModelsSuccessful: p.bigint('number'),
    totalModelsFailed: p.bigint('number'),
    totalInputTokens: p.bigint('number'),
    totalOutputTokens: p.bigint('number'),
    totalEffectiveTokens: p.bigint('number'),
    avgInputTokens: p.decimal('number').precision(14).scale(2),
    avgOutputTokens: p.decimal('number').precision(14).scale(2),
    /** Output to input. */
    avgOutputRatio: cost(),
    totalCreditsUsed: p.bigint('number'),
    avgCreditsPerRun: p.decimal('number').precision(14).scale(4),
    totalActualCost: p.decimal('number').precision(14).scale(4),
    totalEstimatedCost: p.decimal('number').precision(14).scale(4),
    /** By model id: runs, failures, tokens, credits, cost. */
    modelBreakdown: p.json<Record<string, unknown>>(),
    ...createdAtColumn,
    ...updatedAtColumn,
  },
  checks: [{ name: 'usage_log_monthly_aggregates_month_check', expression: 'month >= 1 and month <= 12' }],
})
