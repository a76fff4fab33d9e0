import { sql } from 'kysely'
import { type Connection, run } from '../database/database.ts'
import { notFound } from '../kernel/errors.ts'
import { effectivePlan } from './wallet.presenter.ts'

const hourMs = 3_600_000

/** A user's token window at a moment, under the lock of the wallet. */
export interface TokenWindow {
  /** Undefined: the plan has none. */
  limit: number | undefined
  used: number
  resetAt: Date
  overageEnabled: boolean
}

/**
 * Locks the wallet and reads its token window: the running one, or the one that would begin now.
 * @throws AppError not_found where the user has no wallet
 */
export async function lockWindow(em: Connection, userId: string, now: Date): Promise<TokenWindow> {
  await run(em, sql`select user_id from wallets where user_id = ${userId} for no key update`)
  // a statement of its own: it sees the plan that was committed while the lock was waited for
  const [row] = await run(
    em,
    sql<{ limit: string | null; hours: number; used: string; resetAt: string | null; overageEnabled: boolean }>`
      select p.tokens_per_window as "limit", p.window_hours as hours, w.tokens_used as used,
        w.tokens_reset_at as "resetAt", w.overage_enabled as "overageEnabled"
      from wallets w join plans p on p.code = ${effectivePlan(now)}
      where w.user_id = ${userId}`,
  )
  if (!row) throw notFound('wallet')
  const running = row.resetAt !== null && new Date(row.resetAt) > now ? new Date(row.resetAt) : undefined
  return {
    limit: row.limit === null ? undefined : Number(row.limit),
    used: running ? Number(row.used) : 0,
    resetAt: running ?? new Date(now.getTime() + row.hours * hourMs),
    overageEnabled: row.overageEnabled,
  }
}

/** A reservation with what its window and its hold can give. */
export interface Reservation {
  id: string
  userId: string
  status: 'open' | 'settled' | 'cancelled'
  /** Taken from the window. */
  tokens: number
  /** Whether that window still runs, or has ended with no run after it. */
  sameWindow: boolean
  /** Tokens that are free in it; 0 where it is another. */
  room: number
  holdId: string | undefined
  held: number
  estimatedCost: number
  usageLogId: string | undefined
  chargedTokens: number | undefined
  chargedCredits: number | undefined
}

type Row = Record<
  'tokens' | 'limit' | 'used' | 'holdId' | 'held' | 'estimatedCost' | 'usageLogId' | 'chargedTokens' | 'chargedCredits',
  string | null
> &
  Pick<Reservation, 'id' | 'userId' | 'status' | 'sameWindow'>

/**
 * Locks the wallet that a reservation is of, and reads both: whoever resolves a reservation holds that lock.
 * @throws AppError not_found
 */
export async function lockReservation(em: Connection, reservationId: string, now: Date): Promise<Reservation> {
  await run(
    em,
    sql`
      select user_id from wallets where user_id = (select user_id from meter_reservations where id = ${reservationId})
      for no key update`,
  )
  // a statement of its own, for the same reason
  const [row] = await run(
    em,
    sql<Row>`
      select r.id, r.user_id as "userId", r.status, r.tokens, w.tokens_reset_at = r.window_reset_at as "sameWindow",
        p.tokens_per_window as "limit", w.tokens_used as used, r.hold_id as "holdId", h.amount as held,
        r.estimated_cost as "estimatedCost", r.usage_log_id as "usageLogId", r.charged_tokens as "chargedTokens",
        r.charged_credits as "chargedCredits"
      from meter_reservations r
      join wallets w on w.user_id = r.user_id
      join plans p on p.code = ${effectivePlan(now)}
      left join credit_holds h on h.id = r.hold_id
      where r.id = ${reservationId}`,
  )
  if (!row) throw notFound('reservation')
  const { id, userId, status, sameWindow } = row
  return {
    id,
    userId,
    status,
    sameWindow,
    tokens: Number(row.tokens),
    room: roomOf(row),
    holdId: row.holdId ?? undefined,
    held: Number(row.held ?? 0),
    estimatedCost: Number(row.estimatedCost),
    usageLogId: row.usageLogId ?? undefined,
    chargedTokens: numberOf(row.chargedTokens),
    chargedCredits: numberOf(row.chargedCredits),
  }
}

function roomOf({ sameWindow, limit, used }: Row): number {
  if (!sameWindow) return 0
  return limit === null ? Number.POSITIVE_INFINITY : Math.max(0, Number(limit) - Number(used))
}

const numberOf = (value: string | null): number | undefined => (value === null ? undefined : Number(value))
