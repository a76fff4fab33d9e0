import { sql } from 'kysely'
import type { Database } from '../database/database.ts'
import { inPages } from '../kernel/pages.ts'
import type { ExportSection } from '../kernel/ports.ts'

const pageSize = 200

/** A time in the form of the contracts. */
export const timeOf = (column: string) => sql<string | null>`
  to_char(${sql.ref(column)} at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`

/** A `bigint` as a number of JSON, whatever the driver makes of it. */
const figure = (column: string) => sql`to_json(${sql.ref(column)})`

/** What billing's ledger side knows of a user. */
export function ledgerSections(database: Pick<Database, 'query'>): ExportSection[] {
  return [
    {
      name: 'wallet',
      about: 'Your plan, credits and token window; the balance is the sum of the ledger.',
      async *rows(userId) {
        yield* await database.query(
          sql<object>`
            select plan_code as plan, ${timeOf('plan_until')} as "planUntil", ${figure('credits')} as credits,
              ${figure('held')} as held, ${figure('lifetime_credits')} as "lifetimeCredits",
              overage_enabled as "overageEnabled", ${figure('tokens_used')} as "tokensUsed",
              ${timeOf('tokens_reset_at')} as "tokensResetAt",
              ${figure('period_credits_allocated')} as "periodCreditsAllocated",
              ${figure('period_credits_used')} as "periodCreditsUsed", ${timeOf('period_start')} as "periodStart",
              ${timeOf('period_end')} as "periodEnd", ${timeOf('created_at')} as "createdAt"
            from wallets where user_id = ${userId}`,
        )
      },
    },
    {
      name: 'ledger',
      about: 'Every movement of your credits.',
      rows: (userId) =>
        inPages<{ seq: number }>((after) =>
          database.query(sql`
            select id, seq, type, ${figure('amount')} as amount, ${figure('balance_after')} as "balanceAfter",
              payment_id as "paymentId", usage_log_id as "usageLogId", to_json(description) as description,
              ${timeOf('created_at')} as "createdAt"
            from credit_transactions where user_id = ${userId} and seq > ${after?.seq ?? 0}
            order by seq limit ${pageSize}`),
        ),
    },
    {
      name: 'holds',
      about: 'Credits that were set aside for something, and what became of them.',
      rows: (userId) =>
        inPages<{ id: string }>((after) =>
          database.query(sql`
            select id, ${figure('amount')} as amount, ${figure('captured')} as captured, status,
              to_json(description) as description, ${timeOf('created_at')} as "createdAt",
              ${timeOf('expires_at')} as "expiresAt", ${timeOf('resolved_at')} as "resolvedAt"
            from credit_holds where user_id = ${userId} ${after ? sql`and id > ${after.id}` : sql``}
            order by id limit ${pageSize}`),
        ),
    },
    {
      name: 'usage',
      about: 'Runs of language models: tokens, credits, and the address that they came from.',
      rows: (userId) =>
        inPages<{ id: string }>((after) =>
          database.query(sql`
            select id, conversation_id as "conversationId", ip, models_used as models,
              models_successful as "modelsSuccessful", models_failed as "modelsFailed", input_length as "inputLength",
              processing_time_ms as "processingTimeMs", ${figure('input_tokens')} as "inputTokens",
              ${figure('output_tokens')} as "outputTokens", ${figure('credits_used')} as "creditsUsed",
              ${timeOf('created_at')} as "createdAt"
            from usage_logs where user_id = ${userId} ${after ? sql`and id > ${after.id}` : sql``}
            order by id limit ${pageSize}`),
        ),
    },
  ]
}
