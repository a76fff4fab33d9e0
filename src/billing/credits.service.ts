import { sql } from 'kysely'
import { z } from 'zod'
import { type Database, run } from '../database/database.ts'
import type { Clock } from '../kernel/clock.ts'
import { decodeCursor, encodeCursor } from '../kernel/cursors.ts'
import { notFound } from '../kernel/errors.ts'
import { newId } from '../kernel/ids.ts'
import type { UserContext } from '../kernel/operation.ts'
import type { Credits, CreditTransaction, Input, Output } from './billing.contract.ts'
import { presentTransaction, type TransactionRow, transactionColumns } from './credits.presenter.ts'
import type { Idempotency } from './idempotency.ts'
import type { Ledger } from './ledger.service.ts'
import type { Wallets } from './wallets.service.ts'

const seqKey = z.tuple([z.int().min(1).max(2_147_483_647)])

interface CreditsDependencies {
  database: Database
  ledger: Ledger
  wallets: Wallets
  idempotency: Idempotency
  clock: Clock
}

/** What people see of their credits, and what staff may do to them. */
export function createCredits({ database, ledger, wallets, idempotency, clock }: CreditsDependencies) {
  /** @throws AppError not_found for an agent */
  async function get(userId: string): Promise<Credits> {
    const { credits, held, available, lifetimeCredits, period } = await wallets.get(userId)
    return { credits, held, available, lifetimeCredits, ...(period && { period }) }
  }

  async function transactions(
    userId: string,
    { cursor, limit }: Input<'credits:transactions'>,
  ): Promise<Output<'credits:transactions'>> {
    const after = cursor === undefined ? undefined : decodeCursor(cursor, seqKey)
    const rows = await database.query(
      sql<TransactionRow>`
        select ${transactionColumns} from credit_transactions
        where user_id = ${userId} ${after ? sql`and seq < ${after[0]}` : sql``}
        order by seq desc limit ${limit + 1}`,
    )
    const items = rows.slice(0, limit).map(presentTransaction)
    const last = items.at(-1)
    return { items, ...(rows.length > limit && last && { nextCursor: encodeCursor([last.seq]) }) }
  }

  /** The ledger up to a moment, added up by kind: the sums make the balance that the last row of then states. */
  async function explain(userId: string, { at }: Input<'credits:explain'>): Promise<Output<'credits:explain'>> {
    const moment = at === undefined ? clock() : new Date(at)
    const rows = await database.query(
      sql<{ type: CreditTransaction['type']; count: string; amount: string; top: number }>`
        select type, count(*) as count, sum(amount) as amount, max(seq) as top from credit_transactions
        where user_id = ${userId} and created_at <= ${moment.toISOString()}
        group by type order by type`,
    )
    const lines = rows.map(({ type, count, amount }) => ({ type, count: Number(count), amount: Number(amount) }))
    const top = Math.max(0, ...rows.map((row) => row.top))
    // rows are never changed: read after the sums, it is still the one that they end with
    const [last] = await database.query(
      sql<TransactionRow>`select ${transactionColumns} from credit_transactions where user_id = ${userId} and seq = ${top}`,
    )
    return {
      at: moment.toISOString(),
      balance: lines.reduce((sum, { amount }) => sum + amount, 0),
      lines,
      ...(last && { lastTransaction: presentTransaction(last) }),
    }
  }

  /**
   * Gives a person credits or takes some away, in the name of staff.
   * @throws AppError not_found, insufficient_credits, idempotency_conflict
   */
  const adjust = (input: Input<'staff:adjust-credits'>, context: UserContext): Promise<CreditTransaction> =>
    idempotency.once(context, 'staff:adjust-credits', input, {
      async begin(em) {
        const { userId, amount, reason: description } = input
        const [person] = await run(
          em,
          sql`select id from users where id = ${userId} and kind = 'human' and deleted_at is null for no key update`,
        )
        if (!person) throw notFound('user')
        const key = `adjustment:${context.actor.userId}:${newId()}`
        const { transactionId } = await ledger.post(em, { userId, amount, type: 'adjustment', key, description })
        return transactionId
      },
      async perform(transactionId) {
        const [row] = await database.query(
          sql<TransactionRow>`select ${transactionColumns} from credit_transactions where id = ${transactionId}`,
        )
        if (!row) throw notFound('transaction')
        await wallets.tell(input.userId)
        return presentTransaction(row)
      },
    })

  return { get, transactions, explain, adjust }
}
