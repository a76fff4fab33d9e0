import { sql } from 'kysely'
import { type Connection, type Database, run } from '../database/database.ts'
import type { Clock } from '../kernel/clock.ts'
import { AppError, notFound } from '../kernel/errors.ts'
import { newId } from '../kernel/ids.ts'
import type { Ledger } from './ledger.service.ts'
import { costOf, overageCredits, settlement, type Tokens, totalTokens } from './meter.ts'
import { lockReservation, lockWindow, type Reservation } from './meter-rows.ts'
import { checkRun, isCharged, pricesOf, type RunUsage, tokensOf, writeUsageLog } from './usage-log.ts'
import type { Wallets } from './wallets.service.ts'

/** What nobody has settled or cancelled by then is given back. */
const reservedMs = 3_600_000

/** What a run is expected to take at most. */
export interface Estimate {
  /** Of the prompt, as each model counts it. */
  inputTokens: number
  /** The most that each model may answer; at least 1. */
  maxOutputTokens: number
  /** The models that will run, side by side. */
  modelIds: string[]
}

export interface Reserved {
  reservationId: string
  /** Taken from the window, and the credits held for what goes beyond. */
  tokens: number
  credits: number
  /** When the window ends. */
  resetAt: Date
  /** When it is given back by itself. */
  expiresAt: Date
}

export interface Settled {
  /** What the run was charged: credits, and the tokens that count. */
  credits: number
  tokens: number
  /** Undefined once the log was cleared away. */
  usageLogId: string | undefined
}

interface MeterDependencies {
  database: Database
  ledger: Ledger
  wallets: Wallets
  clock: Clock
  /** Effective tokens that one credit pays for. */
  tokensPerCredit: number
}

export type Meter = ReturnType<typeof createMeter>

/**
 * What AI features spend through: `reserve` before a run, `settle` or `cancel` once after. Always holds: a run that was
 * let in can be paid; it is charged once, never more credits than were held for it, and nothing where no model succeeded.
 * Each of the three also comes for a transaction of the caller's (`…In`), who then tells the wallet after the commit.
 */
export function createMeter({ database, ledger, wallets, clock, tokensPerCredit }: MeterDependencies) {
  /**
   * Takes the estimate from the user's token window, and what does not fit there from the credits, if the user wants that.
   * The first run after a window's end begins the next one.
   * @throws AppError quota_exceeded with `resetAt`; insufficient_credits with `required` and `available`; not_found for a
   *   model that is not there, and for agents; invalid_request
   */
  async function reserveIn(em: Connection, { userId }: { userId: string }, estimate: Estimate): Promise<Reserved> {
    checkEstimate(estimate)
    const { tokens, cost } = await expected(em, estimate)
    const now = clock()
    const window = await lockWindow(em, userId, now)
    const room = window.limit === undefined ? Number.POSITIVE_INFINITY : Math.max(0, window.limit - window.used)
    const fromWindow = Math.min(totalTokens(tokens), room)
    const beyond = totalTokens(tokens) - fromWindow
    if (beyond > 0 && !window.overageEnabled) throw quotaExceeded(window.resetAt)

    const reservationId = newId()
    const expiresAt = new Date(now.getTime() + reservedMs)
    const credits = overageCredits(tokens, beyond, tokensPerCredit)
    const hold = credits > 0 ? await holdFor(em, { userId, reservationId, credits, expiresAt }) : undefined
    await run(
      em,
      sql`
        with taken as (
          update wallets set tokens_used = ${window.used + fromWindow}, tokens_reset_at = ${window.resetAt.toISOString()}
          where user_id = ${userId}
        )
        insert into meter_reservations (id, user_id, tokens, window_reset_at, hold_id, estimated_cost, expires_at,
          created_at)
        values (${reservationId}, ${userId}, ${fromWindow}, ${window.resetAt.toISOString()}, ${hold ?? null}, ${cost},
          ${expiresAt.toISOString()}, ${now.toISOString()})`,
    )
    return { reservationId, tokens: fromWindow, credits, resetAt: window.resetAt, expiresAt }
  }

  async function holdFor(
    em: Connection,
    of: { userId: string; reservationId: string; credits: number; expiresAt: Date },
  ): Promise<string> {
    const { userId, reservationId, credits: amount, expiresAt } = of
    const key = `meter:${reservationId}`
    return (await ledger.hold(em, { userId, amount, key, expiresAt, description: 'Beyond the quota' })).holdId
  }

  /** The tokens and the cost of a run that takes all it may. */
  async function expected(em: Connection, estimate: Estimate): Promise<{ tokens: Tokens; cost: number }> {
    const { inputTokens, maxOutputTokens, modelIds } = estimate
    const each = { input: inputTokens, output: maxOutputTokens }
    const prices = await pricesOf(em, modelIds)
    const costs = modelIds.map((modelId) => {
      const price = prices.get(modelId)
      if (!price?.isActive) throw notFound('model')
      return costOf(each, price)
    })
    return {
      tokens: { input: each.input * modelIds.length, output: each.output * modelIds.length },
      cost: costs.reduce((sum, cost) => sum + cost, 0),
    }
  }

  /**
   * Charges what the run took and gives back the rest; writes the usage log. Settled again, it gives the first answer,
   * whatever the usage says then. Where the window has been reset since, only credits are charged: the old one is past.
   * @throws AppError conflict where it was cancelled or had expired, not_found, invalid_request
   */
  async function settleIn(
    em: Connection,
    reservationId: string,
    usage: RunUsage,
  ): Promise<Settled & { userId: string }> {
    checkRun(usage)
    const now = clock()
    const reservation = await lockReservation(em, reservationId, now)
    const { userId, status } = reservation
    if (status === 'cancelled') throw resolvedOtherwise('cancelled, or had expired')
    if (status === 'settled') {
      const { chargedCredits: credits = 0, chargedTokens: tokens = 0, usageLogId } = reservation
      return { userId, credits, tokens, usageLogId }
    }
    const charged = tokensOf(usage.models.filter(isCharged))
    const { fromWindow, credits } = settlement(charged, reservation, tokensPerCredit)
    const { estimatedCost } = reservation
    const usageLogId = await writeUsageLog(em, usage, { userId, credits, estimatedCost, at: now })
    const tokens = totalTokens(charged)
    await run(
      em,
      sql`
        update meter_reservations set status = 'settled', resolved_at = ${now.toISOString()},
          usage_log_id = ${usageLogId}, charged_tokens = ${tokens}, charged_credits = ${credits}
        where id = ${reservationId}`,
    )
    await giveBack(em, reservation, { tokens: fromWindow, credits, usageLogId })
    return { userId, credits, tokens, usageLogId }
  }

  /**
   * Gives back all that was reserved, for a run that did not happen. Again, it changes nothing.
   * @throws AppError conflict where it was settled, not_found
   */
  async function cancelIn(em: Connection, reservationId: string): Promise<{ userId: string }> {
    const reservation = await lockReservation(em, reservationId, clock())
    const { userId, status } = reservation
    if (status === 'settled') throw resolvedOtherwise('settled')
    if (status === 'open') await cancel(em, reservation)
    return { userId }
  }

  async function cancel(em: Connection, reservation: Reservation): Promise<void> {
    await run(
      em,
      sql`
        update meter_reservations set status = 'cancelled', resolved_at = ${clock().toISOString()}
        where id = ${reservation.id}`,
    )
    await giveBack(em, reservation, { tokens: 0, credits: 0 })
  }

  /** Leaves with the window and the credits what was charged of each. */
  async function giveBack(
    em: Connection,
    { userId, tokens, sameWindow, holdId }: Reservation,
    charged: { tokens: number; credits: number; usageLogId?: string },
  ): Promise<void> {
    const { credits, usageLogId } = charged
    if (holdId !== undefined && credits > 0) await ledger.capture(em, holdId, credits, { usageLogId })
    else if (holdId !== undefined) await ledger.release(em, holdId)
    await run(
      em,
      sql`
        update wallets set overage_count = overage_count + ${credits > 0 ? 1 : 0},
          tokens_used = greatest(0, tokens_used + ${sameWindow ? charged.tokens - tokens : 0})
        where user_id = ${userId}`,
    )
  }

  /** Gives back what nobody has settled or cancelled in time, some at a time; gives the users whose wallets changed. */
  async function expire(limit: number): Promise<string[]> {
    const due = await database.query(
      sql<{ id: string }>`
        select id from meter_reservations where status = 'open' and expires_at <= ${clock().toISOString()}
        order by expires_at limit ${limit}`,
    )
    const users: string[] = []
    for (const { id } of due) {
      await database.transact(async (em) => {
        const reservation = await lockReservation(em, id, clock())
        if (reservation.status !== 'open') return
        await cancel(em, reservation)
        users.push(reservation.userId)
      })
    }
    return users
  }

  /** In a transaction of its own, and told. */
  async function alone<T extends { userId: string }>(work: (em: Connection) => Promise<T>): Promise<Omit<T, 'userId'>> {
    const { userId, ...result } = await database.transact(work)
    await wallets.tell(userId)
    return result
  }

  return {
    reserveIn,
    settleIn,
    cancelIn,
    expire,
    reserve: ({ userId }: { userId: string }, estimate: Estimate): Promise<Reserved> =>
      alone(async (em) => ({ userId, ...(await reserveIn(em, { userId }, estimate)) })),
    settle: (reservationId: string, usage: RunUsage): Promise<Settled> =>
      alone((em) => settleIn(em, reservationId, usage)),
    cancel: async (reservationId: string): Promise<void> => {
      await alone((em) => cancelIn(em, reservationId))
    },
  }
}

function checkEstimate({ inputTokens, maxOutputTokens, modelIds }: Estimate): void {
  const whole = [inputTokens, maxOutputTokens].every((figure) => Number.isInteger(figure) && figure <= mostTokens)
  if (!whole || inputTokens < 0 || maxOutputTokens < 1 || modelIds.length === 0) {
    throw new AppError('invalid_request', 'An estimate is of whole tokens, of at least one to come and of one model.')
  }
}

/** Beyond any model there is, and far below what a number holds exactly. */
const mostTokens = 1_000_000_000

const quotaExceeded = (resetAt: Date) =>
  new AppError('quota_exceeded', 'This does not fit into what is left of your token quota.', {
    details: { resetAt: resetAt.toISOString() },
  })

const resolvedOtherwise = (how: string) => new AppError('conflict', `The reservation was ${how} already.`)
