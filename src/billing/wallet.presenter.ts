import { type RawBuilder, sql } from 'kysely'
import type { Credits, Wallet } from './billing.contract.ts'

/** A wallet with its effective plan, as the drivers give it: `bigint` comes as text from one and as a number from the other. */
export interface WalletRow {
  plan: string
  planUntil: string | null
  credits: string
  held: string
  lifetimeCredits: string
  overageEnabled: boolean
  tokensPerWindow: string | null
  tokensUsed: string
  tokensResetAt: string | null
  periodAllocated: string
  periodUsed: string
  periodStart: string | null
  periodEnd: string | null
}

/** The code of the plan that holds at that moment for `wallets w`: past its end it is the free one, job or no job. */
export const effectivePlan = (now: Date): RawBuilder<string> =>
  sql`case when w.plan_until <= ${now.toISOString()} then 'basic' else w.plan_code end`

/** The columns of a WalletRow, of `wallets w` joined with its effective `plans p`. */
export const walletColumns = sql`
  p.code as plan, case when p.code = w.plan_code then w.plan_until end as "planUntil", w.credits, w.held,
  w.lifetime_credits as "lifetimeCredits", w.overage_enabled as "overageEnabled",
  p.tokens_per_window as "tokensPerWindow", w.tokens_used as "tokensUsed", w.tokens_reset_at as "tokensResetAt",
  w.period_credits_allocated as "periodAllocated", w.period_credits_used as "periodUsed",
  w.period_start as "periodStart", w.period_end as "periodEnd"`

/** A time of the database in the form of the contracts. */
export const iso = (time: string | Date): string => new Date(time).toISOString()

/** The wallet as it is at that moment: a token window that has ended counts nothing, though no run has reset it yet. */
export function presentWallet(row: WalletRow, now: Date): Wallet {
  const running = row.tokensResetAt !== null && new Date(row.tokensResetAt) > now
  const used = running ? Number(row.tokensUsed) : 0
  const limit = row.tokensPerWindow === null ? undefined : Number(row.tokensPerWindow)
  return {
    plan: row.plan,
    ...(row.planUntil !== null && { planUntil: iso(row.planUntil) }),
    ...presentCredits(row),
    overageEnabled: row.overageEnabled,
    tokens: {
      ...(limit !== undefined && { limit }),
      used,
      ...(limit !== undefined && { remaining: Math.max(0, limit - used) }),
      ...(running && row.tokensResetAt !== null && { resetAt: iso(row.tokensResetAt) }),
    },
  }
}

/** The part of a wallet that is about credits. */
function presentCredits(row: WalletRow): Credits {
  const credits = Number(row.credits)
  const held = Number(row.held)
  return {
    credits,
    held,
    available: credits - held,
    lifetimeCredits: Number(row.lifetimeCredits),
    ...(row.periodStart !== null &&
      row.periodEnd !== null && {
        period: {
          creditsAllocated: Number(row.periodAllocated),
          creditsUsed: Number(row.periodUsed),
          start: iso(row.periodStart),
          end: iso(row.periodEnd),
        },
      }),
  }
}
