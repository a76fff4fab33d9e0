import { defineEntity, p } from '@mikro-orm/core'
import { createdAtColumn, timestamp, updatedAtColumn } from '../database/base.entity.ts'
import { User } from '../identity/user.entity.ts'
import { Plan } from './plan.entity.ts'

/**
 * A person's plan, credits and token window. The row is the lock under which the ledger and the holds of the user are
 * written. Always holds: `credits` is the sum of the user's ledger, `held` that of the open holds, 0 ≤ held ≤ credits.
 */
export const Wallet = defineEntity({
  name: 'Wallet',
  tableName: 'wallets',
  properties: {
    user: () => p.manyToOne(User).primary().deleteRule('cascade').updateRule('no action'),
    plan: () => p.manyToOne(Plan).joinColumn('plan_code').default('basic').deleteRule('restrict'),
    /** When the plan ends and `basic` holds, whether or not a job has been there yet; null: never. */
    planUntil: timestamp().nullable(),
    /** Months that begin before give their credits: in the grace after it the plan goes on, but gives none. */
    paidUntil: timestamp().nullable(),
    credits: p.bigint('number').defaultRaw('0'),
    held: p.bigint('number').defaultRaw('0'),
    /** All that was ever allocated, bought and earned. */
    lifetimeCredits: p.bigint('number').defaultRaw('0'),
    /** Whether runs beyond the quota are paid with credits. */
    overageEnabled: p.boolean().default(false),
    /** Runs beyond the quota in this period. */
    overageCount: p.integer().default(0),
    tokensUsed: p.bigint('number').defaultRaw('0'),
    /** When the window ends that `tokensUsed` counts; null: none has begun. */
    tokensResetAt: timestamp().nullable(),
    /** The plan's credits of this month, and how many of these were used. */
    periodCreditsAllocated: p.bigint('number').defaultRaw('0'),
    periodCreditsUsed: p.bigint('number').defaultRaw('0'),
    /** When the first month began: the 31st stays the 31st after a shorter month. */
    periodAnchor: timestamp().nullable(),
    periodStart: timestamp().nullable(),
    periodEnd: timestamp().nullable(),
    /** The number of the user's latest ledger row. */
    lastSeq: p.integer().default(0),
    ...createdAtColumn,
    ...updatedAtColumn,
  },
  indexes: [
    {
      name: 'wallets_period_end',
      expression: 'create index wallets_period_end on wallets (period_end) where period_end is not null',
    },
    {
      name: 'wallets_plan_until',
      expression: 'create index wallets_plan_until on wallets (plan_until) where plan_until is not null',
    },
  ],
  checks: [
    { name: 'wallets_balance_check', expression: 'credits >= 0 and held >= 0 and held <= credits' },
    {
      name: 'wallets_counters_check',
      expression:
        'period_credits_allocated >= 0 and period_credits_used >= 0 and tokens_used >= 0 and overage_count >= 0',
    },
  ],
})
