import { sql } from 'kysely'
import { type Connection, run } from '../database/database.ts'
import { brokenUnique } from '../database/failures.ts'
import type { Clock } from '../kernel/clock.ts'
import { AppError, notFound } from '../kernel/errors.ts'
import { newId } from '../kernel/ids.ts'
import { checkAmount, checkPosting, type TransactionType } from './ledger.policy.ts'
import { walletOf } from './wallet-reader.ts'

/** A movement of credits: positive amounts come in, negative ones go out, as the type says. */
export interface Posting {
  userId: string
  /** Whole credits, never 0. */
  amount: number
  type: TransactionType
  /** Names what is done, over all users: under the same key credits move once. */
  key: string
  description?: string | undefined
  paymentId?: string | undefined
  serviceId?: string | undefined
  resultId?: string | undefined
  usageLogId?: string | undefined
  /** Now, unless given. The ledger never goes back in time: a row is not dated before the one that it follows. */
  at?: Date | undefined
}

export interface Posted {
  transactionId: string
  /** The user's credits after it, held ones among them. */
  balance: number
  /** The key was used before, with the same input: this is what came of it then. */
  repeated: boolean
}

export interface HoldRequest {
  userId: string
  amount: number
  /** As for postings, among holds. */
  key: string
  expiresAt: Date
  description?: string | undefined
}

/** What a captured hold was used for. */
export type CaptureReason = Pick<Posting, 'description' | 'serviceId' | 'resultId' | 'usageLogId'>

export type Ledger = ReturnType<typeof createLedger>

/**
 * Owns the ledger and the holds. Always holds, of each user and after each commit: credits = sum of the ledger ≥ 0; held =
 * sum of the open holds ≤ credits; rows are numbered without a gap, each with the balance of the one before plus its
 * amount. Everything happens under the lock of the wallet's row, so callers lock what they need of users, payments and
 * subscriptions before, and tell `wallet:changed` after the commit.
 */
export function createLedger({ clock }: { clock: Clock }) {
  /**
   * Moves credits in the transaction.
   * @throws AppError insufficient_credits with `required` and `available`, where more would go than is free of holds;
   *   idempotency_conflict where the key was used for something else; invalid_request for an amount that is none
   */
  async function post(em: Connection, posting: Posting): Promise<Posted> {
    checkPosting(posting)
    const { userId, amount, type, key, at = clock() } = posting
    const { description, paymentId, usageLogId, serviceId, resultId } = posting
    const [posted] = await refusingOtherInput(() =>
      run(
        em,
        sql<{ transactionId: string; balance: string; repeated: boolean }>`
          select transaction_id as "transactionId", balance, repeated from post_credits(${userId}::uuid, ${amount}::bigint,
            ${type}::text, ${key}::text, ${at.toISOString()}::timestamptz, ${description ?? null}::text,
            ${paymentId ?? null}::uuid, ${usageLogId ?? null}::uuid, ${serviceId ?? null}::uuid,
            ${resultId ?? null}::uuid, ${newId()}::uuid)`,
      ),
    )
    if (!posted) throw await insufficient(em, userId, -amount)
    return { ...posted, balance: Number(posted.balance) }
  }

  /**
   * Sets credits aside in the transaction: nobody else can spend them until the hold is captured, released or expired.
   * @throws AppError as `post`
   */
  async function hold(em: Connection, request: HoldRequest): Promise<{ holdId: string; repeated: boolean }> {
    checkAmount(request.amount)
    const { userId, amount, key, expiresAt, description } = request
    const wallet = await lockWallet(em, userId)
    const [earlier] = await run(
      em,
      sql<{ id: string; userId: string; amount: string }>`
        select id, user_id as "userId", amount from credit_holds where operation_key = ${key}`,
    )
    if (earlier) {
      if (earlier.userId !== userId || Number(earlier.amount) !== amount) throw otherInput()
      return { holdId: earlier.id, repeated: true }
    }
    if (wallet.available < amount) throw tooFew(amount, wallet.available)
    const holdId = newId()
    await refusingOtherInput(() =>
      run(
        em,
        sql`
          with wallet as (update wallets set held = held + ${amount} where user_id = ${userId})
          insert into credit_holds (id, user_id, amount, operation_key, description, expires_at, created_at)
          values (${holdId}, ${userId}, ${amount}, ${key}, ${description ?? null}, ${expiresAt.toISOString()},
            ${clock().toISOString()})`,
      ),
    )
    return { holdId, repeated: false }
  }

  /**
   * Spends up to the held amount and gives back the rest. The same capture again gives the same answer.
   * @throws AppError conflict where the hold was released, or captured with another amount; invalid_request for an amount
   *   beyond it; not_found
   */
  async function capture(
    em: Connection,
    holdId: string,
    amount: number,
    reason: CaptureReason = {},
  ): Promise<Posted & { userId: string }> {
    checkAmount(amount)
    const held = await lockHold(em, holdId)
    if (amount > held.amount) throw beyondHold(held.amount)
    if (held.status === 'released' || (held.status === 'captured' && held.captured !== amount)) {
      throw resolvedOtherwise(held)
    }
    if (held.status === 'held') await resolve(em, held, amount)
    const { userId } = held
    const description = reason.description ?? held.description
    const posted = await post(em, {
      ...reason,
      description,
      userId,
      amount: -amount,
      type: 'use',
      key: `hold:${holdId}`,
    })
    return { ...posted, userId }
  }

  /**
   * Gives back all that is held. Again, it changes nothing.
   * @throws AppError conflict where the hold was captured; not_found
   */
  async function release(em: Connection, holdId: string): Promise<{ userId: string; repeated: boolean }> {
    const held = await lockHold(em, holdId)
    if (held.status === 'captured') throw resolvedOtherwise(held)
    if (held.status === 'held') await resolve(em, held, 0)
    return { userId: held.userId, repeated: held.status === 'released' }
  }

  /** Gives back what is held, if it still is; for holds that nobody resolved in time. */
  async function expire(em: Connection, holdId: string): Promise<{ userId: string } | undefined> {
    const held = await lockHold(em, holdId)
    if (held.status !== 'held') return undefined
    await resolve(em, held, 0)
    return { userId: held.userId }
  }

  const resolve = (em: Connection, { id, userId, amount }: HoldState, captured: number) =>
    run(
      em,
      sql`
        with hold as (
          update credit_holds set status = ${captured > 0 ? 'captured' : 'released'}, captured = ${captured},
            resolved_at = ${clock().toISOString()}
          where id = ${id}
        )
        update wallets set held = held - ${amount} where user_id = ${userId}`,
    )

  return { post, hold, capture, release, expire, walletOf }
}

interface HoldState {
  id: string
  userId: string
  amount: number
  captured: number
  status: 'held' | 'captured' | 'released'
  description: string | undefined
}

/** The hold under the lock of its user's wallet: whoever resolves it holds that lock. */
async function lockHold(em: Connection, holdId: string): Promise<HoldState> {
  await run(
    em,
    sql`
      select user_id from wallets where user_id = (select user_id from credit_holds where id = ${holdId})
      for no key update`,
  )
  // a statement of its own: it sees what was committed while the lock was waited for
  const [row] = await run(
    em,
    sql<Omit<HoldState, 'description'> & { description: string | null }>`
      select id, user_id as "userId", amount, captured, status, description from credit_holds where id = ${holdId}`,
  )
  if (!row) throw notFound('hold')
  return {
    ...row,
    amount: Number(row.amount),
    captured: Number(row.captured),
    description: row.description ?? undefined,
  }
}

/**
 * Takes the lock under which everything about a user's credits happens.
 * @throws AppError not_found where the user has no wallet
 */
async function lockWallet(em: Connection, userId: string): Promise<{ available: number }> {
  const [row] = await run(
    em,
    sql<{ available: string }>`
      select credits - held as available from wallets where user_id = ${userId} for no key update`,
  )
  if (!row) throw notFound('wallet')
  return { available: Number(row.available) }
}

async function insufficient(em: Connection, userId: string, required: number): Promise<AppError> {
  return tooFew(required, (await lockWallet(em, userId)).available)
}

async function refusingOtherInput<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (brokenUnique(error) !== undefined) throw otherInput()
    throw error
  }
}

const tooFew = (required: number, available: number) =>
  new AppError('insufficient_credits', `This takes ${required} credits; ${available} are free.`, {
    details: { required, available },
  })

const otherInput = () => new AppError('idempotency_conflict', 'This key was used for another operation.')

const resolvedOtherwise = ({ status }: HoldState) =>
  new AppError('conflict', `The hold was ${status} already, with another outcome.`)

const beyondHold = (amount: number) => new AppError('invalid_request', `amount: at most ${amount} are held`)
