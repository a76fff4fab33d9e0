import { sql } from 'kysely'
import { type Connection, run } from '../database/database.ts'
import { notFound } from '../kernel/errors.ts'
import type { Ledger } from './ledger.service.ts'
import { endOfMonth } from './plan-months.ts'

/** The plan of wallets that have none: free, without monthly credits and without an end. */
export const freePlan = 'basic'

/** A month of a paid plan, as it stands in the wallet. */
export interface Month {
  /** When the first month began. */
  anchor: Date
  start: Date
  end: Date
}

/** What a wallet says of its plan, held under the lock of its row. */
export interface PlanState {
  userId: string
  planCode: string
  planUntil: Date | null
  paidUntil: Date | null
  month: Month | undefined
  allocated: number
  used: number
  /** The credits that no hold has. */
  available: number
  lastSeq: number
}

/** @throws AppError not_found where the user has no wallet */
export async function lockPlanState(em: Connection, userId: string): Promise<PlanState> {
  const [row] = await run(
    em,
    sql<Record<'planUntil' | 'paidUntil' | 'anchor' | 'start' | 'end', string | null> & Record<string, string>>`
      select plan_code as "planCode", plan_until as "planUntil", paid_until as "paidUntil", period_anchor as anchor,
        period_start as start, period_end as "end", period_credits_allocated as allocated, period_credits_used as used,
        credits - held as available, last_seq as "lastSeq"
      from wallets where user_id = ${userId} for no key update`,
  )
  if (!row) throw notFound('wallet')
  const { anchor, start, end } = row
  return {
    userId,
    planCode: String(row.planCode),
    planUntil: row.planUntil === null ? null : new Date(row.planUntil),
    paidUntil: row.paidUntil === null ? null : new Date(row.paidUntil),
    month:
      anchor === null || start === null || end === null
        ? undefined
        : { anchor: new Date(anchor), start: new Date(start), end: new Date(end) },
    allocated: Number(row.allocated),
    used: Number(row.used),
    available: Number(row.available),
    lastSeq: Number(row.lastSeq),
  }
}

const isoOf = (time: Date | null | undefined): string | null => time?.toISOString() ?? null

export async function savePlanState(em: Connection, state: PlanState): Promise<void> {
  const { userId, planCode, planUntil, paidUntil, month, allocated, used } = state
  // a new month counts its overages anew
  await run(
    em,
    sql`
      update wallets set plan_code = ${planCode}, plan_until = ${isoOf(planUntil)}, paid_until = ${isoOf(paidUntil)},
        overage_count = case when period_start is not distinct from ${isoOf(month?.start)}::timestamptz
          then overage_count else 0 end,
        period_anchor = ${isoOf(month?.anchor)}, period_start = ${isoOf(month?.start)}, period_end = ${isoOf(month?.end)},
        period_credits_allocated = ${allocated}, period_credits_used = ${used}
      where user_id = ${userId}`,
  )
}

/**
 * The monthly credits of plans. Always holds: of a month's credits, what is not used expires when the month or the plan
 * ends, as far as no hold has it; a month gives its credits once.
 */
export function createPlanCredits({ ledger }: { ledger: Ledger }) {
  /** Brings the wallet to where its plan is now: months that have come, and the plan's end. */
  async function advance(em: Connection, state: PlanState, now: Date): Promise<void> {
    while (state.month && state.month.end <= now) {
      const { anchor, end: start } = state.month
      await expire(em, state, now)
      // over, or in the grace after it: the plan goes on then, but gives nothing before it is paid
      if (isOver(state.planUntil, start) || isOver(state.paidUntil, start)) break
      await begin(em, state, { anchor, start, end: endOfMonth(anchor, start) }, now)
    }
    if (isOver(state.planUntil, now)) {
      await expire(em, state, now)
      Object.assign(state, { planCode: freePlan, planUntil: null, paidUntil: null, month: undefined })
    }
  }

  /** Lets what is left of the month's credits expire. */
  async function expire(em: Connection, state: PlanState, now: Date): Promise<void> {
    const amount = Math.min(state.allocated - state.used, state.available)
    Object.assign(state, { allocated: 0, used: 0 })
    if (amount <= 0) return
    const { userId, lastSeq } = state
    const key = `expiration:${userId}:${lastSeq + 1}`
    await ledger.post(em, { userId, amount: -amount, type: 'expiration', key, description: 'Unused credits', at: now })
    state.available -= amount
    state.lastSeq++
  }

  /** Begins a month with its credits, unless it has given them before. */
  async function begin(em: Connection, state: PlanState, month: Month, now: Date, reason?: string): Promise<void> {
    state.month = month
    const key = `allocation:${state.userId}:${month.start.toISOString()}`
    const given = await run(em, sql`select from credit_transactions where operation_key = ${key}`)
    if (given.length === 0) await allocate(em, state, key, now, reason)
  }

  /** Goes on with the running month under another plan: what was used of the one counts as used of the other. */
  async function change(em: Connection, state: PlanState, now: Date, reason: string): Promise<void> {
    const { used } = state
    await expire(em, state, now)
    state.used = used
    await allocate(em, state, `allocation:${state.userId}:${state.lastSeq + 1}`, now, reason)
  }

  async function allocate(em: Connection, state: PlanState, key: string, now: Date, reason?: string): Promise<void> {
    const { userId, planCode, used } = state
    const [plan] = await run(
      em,
      sql<{ name: string; credits: string }>`
        select name, monthly_credits as credits from plans where code = ${planCode}`,
    )
    state.allocated = Number(plan?.credits ?? 0)
    const amount = state.allocated - used
    if (amount <= 0) return
    const description = [plan?.name, reason].filter((part) => part !== undefined).join(', ')
    await ledger.post(em, { userId, amount, type: 'allocation', key, description, at: now })
    state.available += amount
    state.lastSeq++
  }

  return { advance, expire, begin, change }
}

const isOver = (until: Date | null, at: Date): boolean => until !== null && until <= at
