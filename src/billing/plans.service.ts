import { sql } from 'kysely'
import type { Logger } from 'pino'
import { type Connection, type Database, run } from '../database/database.ts'
import type { Clock } from '../kernel/clock.ts'
import { notFound, unprocessable } from '../kernel/errors.ts'
import type { Jobs } from '../kernel/ports.ts'
import type { Input, Output, StaffPlan } from './billing.contract.ts'
import type { Ledger } from './ledger.service.ts'
import { type PlanRow, planColumns, presentPlan, presentStaffPlan } from './plan.presenter.ts'
import { createPlanCredits, freePlan, lockPlanState, type PlanState, savePlanState } from './plan-credits.ts'
import { endOfMonth } from './plan-months.ts'
import type { Wallets } from './wallets.service.ts'

/** Wallets that one statement looks up. */
const batch = 200

interface PlansDependencies {
  database: Database
  ledger: Ledger
  wallets: Wallets
  jobs: Jobs
  clock: Clock
  log: Logger
}

export interface PlanAssignment {
  userId: string
  planCode: string
  /** When the plan ends; null: never. */
  until: Date | null
  /** Months that begin before give their credits; `until` where there is no grace after what is paid. */
  paidUntil?: Date | null | undefined
  /** When the plan began: its months are counted from there. */
  at: Date
  /** In a word, for the user's ledger. */
  reason: string
}

/** The column of each field that staff may change. */
const updatable: Record<Exclude<keyof Input<'staff:update-plan'>, 'code'>, string> = {
  name: 'name',
  tokensPerWindow: 'tokens_per_window',
  windowHours: 'window_hours',
  monthlyCredits: 'monthly_credits',
  priceMonthly: 'price_monthly',
  priceYearly: 'price_yearly',
  stripePriceMonthlyId: 'stripe_price_monthly_id',
  stripePriceYearlyId: 'stripe_price_yearly_id',
  isActive: 'is_active',
  sortOrder: 'sort_order',
}

export type Plans = ReturnType<typeof createPlans>

/**
 * Owns `plans`, and which one a wallet has until when. What a plan gives follows from the wallet's row alone, so each of
 * `assign` and the job may run again, late, or beside each other.
 */
export function createPlans({ database, ledger, wallets, jobs, clock, log }: PlansDependencies) {
  const credits = createPlanCredits({ ledger })

  jobs.define({
    name: 'plan-months',
    expireSeconds: 600,
    retries: 2,
    schedule: '*/5 * * * *',
    handle: (_data, { signal }) => advanceAll(signal),
  })

  /**
   * Gives a user a plan, or another end of the same one, in the transaction; tell the wallet after the commit. A new plan
   * begins with a month's credits; a change within a month lets the old plan's unused credits expire and gives the new
   * one's, less what was used of this month's already, so that going back and forth gains nothing.
   * @throws AppError not_found where the user has no wallet, or there is no such plan
   */
  async function assign(
    em: Connection,
    { userId, planCode, until, paidUntil = until, at, reason }: PlanAssignment,
  ): Promise<{ previousPlan: string; changed: boolean }> {
    const now = clock()
    const state = await lockPlanState(em, userId)
    const known = await run(em, sql`select from plans where code = ${planCode}`)
    if (known.length === 0) throw notFound('plan')
    await credits.advance(em, state, now)
    const previousPlan = state.planCode
    const changed = previousPlan !== planCode
    const free = planCode === freePlan
    Object.assign(state, { planUntil: free ? null : until, paidUntil: free ? null : paidUntil })
    if (changed) await change(em, state, { planCode, at: at < now ? at : now, reason }, now)
    await credits.advance(em, state, now)
    await savePlanState(em, state)
    return { previousPlan, changed }
  }

  async function change(
    em: Connection,
    state: PlanState,
    { planCode, at, reason }: Pick<PlanAssignment, 'planCode' | 'at' | 'reason'>,
    now: Date,
  ): Promise<void> {
    state.planCode = planCode
    if (planCode === freePlan) {
      await credits.expire(em, state, now)
      state.month = undefined
    } else if (state.month && state.month.end > now) {
      await credits.change(em, state, now, reason)
    } else {
      await credits.expire(em, state, now)
      await credits.begin(em, state, { anchor: at, start: at, end: endOfMonth(at, at) }, now, reason)
    }
  }

  /** Begins the months that have come and ends the plans that are over, one wallet at a time. */
  async function advanceAll(signal: AbortSignal): Promise<void> {
    const now = clock()
    let failure: unknown
    for await (const userId of due(now)) {
      signal.throwIfAborted()
      try {
        if (await advanceOne(userId, now)) await wallets.tell(userId)
      } catch (error) {
        // the others get theirs all the same
        log.error({ err: error, userId }, 'the plan of a wallet was not brought to its present month')
        failure = error
      }
    }
    if (failure !== undefined) throw failure
  }

  async function* due(now: Date): AsyncGenerator<string> {
    let last = '00000000-0000-0000-0000-000000000000'
    for (;;) {
      const rows = await database.query(
        sql<{ id: string }>`
          select user_id as id from wallets
          where user_id > ${last} and (period_end <= ${now.toISOString()} or plan_until <= ${now.toISOString()})
          order by user_id limit ${batch}`,
      )
      yield* rows.map(({ id }) => id)
      if (rows.length < batch) return
      last = rows.at(-1)?.id ?? last
    }
  }

  const advanceOne = (userId: string, now: Date): Promise<boolean> =>
    database.transact(async (em) => {
      const state = await lockPlanState(em, userId)
      const before = JSON.stringify(state)
      await credits.advance(em, state, now)
      if (JSON.stringify(state) === before) return false
      await savePlanState(em, state)
      return true
    })

  /** The plans that can be had. */
  async function list(): Promise<Output<'plan:list'>> {
    const rows = await database.query(
      sql<PlanRow>`select ${planColumns} from plans where is_active order by sort_order, code`,
    )
    return { items: rows.map(presentPlan) }
  }

  async function listAll(): Promise<Output<'staff:plans'>> {
    const rows = await database.query(sql<PlanRow>`select ${planColumns} from plans order by sort_order, code`)
    return { items: rows.map(presentStaffPlan) }
  }

  /**
   * Changes what is given and leaves the rest. Limits count at once, monthly credits from the next month on, prices for
   * who buys from now on.
   * @throws AppError not_found; unprocessable for what would make the free plan something else
   */
  async function update({ code, ...changes }: Input<'staff:update-plan'>, by: string): Promise<StaffPlan> {
    const { isActive, monthlyCredits, priceMonthly, priceYearly } = changes
    if (code === freePlan && (isActive === false || monthlyCredits || priceMonthly || priceYearly)) {
      throw unprocessable(
        'Everyone falls back to this plan: it stays active and has neither a price nor monthly credits.',
      )
    }
    const assignments = Object.entries(changes)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => sql`${sql.ref(updatable[name as keyof typeof updatable])} = ${value}`)
    const [row] = await database.query(
      sql<PlanRow>`update plans set ${sql.join(assignments)} where code = ${code} returning ${planColumns}`,
    )
    if (!row) throw notFound('plan')
    log.info({ actorId: by, plan: code, changes }, 'a plan was changed')
    return presentStaffPlan(row)
  }

  return { assign, list, listAll, update }
}
