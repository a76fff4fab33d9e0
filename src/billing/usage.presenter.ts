import { sql } from 'kysely'
import type { MonthlyUsage } from './billing.contract.ts'

/** A month's figures as the drivers give them: `bigint` and `numeric` as texts or numbers. */
export type MonthlyUsageRow = Record<Exclude<keyof MonthlyUsage, 'modelBreakdown'>, string> &
  Pick<MonthlyUsage, 'modelBreakdown'>

/** The columns of a MonthlyUsageRow. */
export const monthlyUsageColumns = sql`
  year, month, total_runs as "totalRuns", total_models_requested as "totalModelsRequested",
  total_models_successful as "totalModelsSuccessful", total_models_failed as "totalModelsFailed",
  total_input_tokens as "totalInputTokens", total_output_tokens as "totalOutputTokens",
  total_effective_tokens as "totalEffectiveTokens", avg_input_tokens as "avgInputTokens",
  avg_output_tokens as "avgOutputTokens", avg_output_ratio as "avgOutputRatio",
  total_credits_used as "totalCreditsUsed", avg_credits_per_run as "avgCreditsPerRun",
  total_actual_cost as "totalActualCost", total_estimated_cost as "totalEstimatedCost",
  model_breakdown as "modelBreakdown"`

export function presentMonthlyUsage({ modelBreakdown, ...figures }: MonthlyUsageRow): MonthlyUsage {
  const numbers = Object.fromEntries(Object.entries(figures).map(([name, value]) => [name, Number(value)]))
  return { ...(numbers as Omit<MonthlyUsage, 'modelBreakdown'>), modelBreakdown }
}

/** A group's figures in the usage of one user. */
export interface UsageRow {
  key: string | null
  runs: string
  inputTokens: string
  outputTokens: string
  credits: string
}

export const presentUsageFigures = (row: Omit<UsageRow, 'key'>) => ({
  runs: Number(row.runs),
  inputTokens: Number(row.inputTokens),
  outputTokens: Number(row.outputTokens),
  credits: Number(row.credits),
})
