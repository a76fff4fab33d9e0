import { type RawBuilder, sql } from 'kysely'
import { z } from 'zod'
import { type Connection, type Database, run } from '../database/database.ts'
import type { Clock } from '../kernel/clock.ts'
import { decodeCursor, encodeCursor, keyId } from '../kernel/cursors.ts'
import { AppError, forbidden, notFound, unprocessable } from '../kernel/errors.ts'
import { newId } from '../kernel/ids.ts'
import type { Actor, UserContext } from '../kernel/operation.ts'
import type { Fanout } from '../kernel/ports.ts'
import type { Idempotency } from './idempotency.ts'
import type { referralsContract, StaffWithdrawal, Withdrawal } from './referrals.contract.ts'

/** A payout costs the operator something: less than ten dollars is not worth it. */
const leastAmount = 1_000

/** What may become of a withdrawal. */
const next: Record<Withdrawal['status'], readonly Withdrawal['status'][]> = {
  pending: ['approved', 'rejected'],
  approved: ['completed', 'rejected'],
  rejected: [],
  completed: [],
}

const cursorKey = z.tuple([keyId])

interface PayoutsDependencies {
  database: Database
  idempotency: Idempotency
  fanout: Pick<Fanout, 'toUsers'>
  clock: Clock
}

type Request = z.output<(typeof referralsContract)['withdrawal:request']['input']>

interface Page {
  cursor?: string | undefined
  limit: number
}

interface Row {
  id: string
  userId: string
  amount: number
  currency: string
  method: Withdrawal['method']
  details: StaffWithdrawal['details']
  status: Withdrawal['status']
  reason: string | null
  processedBy: string | null
  processedAt: string | null
  createdAt: string
}

const columns = sql`id, user_id as "userId", amount, currency, method, details, status, reason,
  processed_by as "processedBy", processed_at as "processedAt", created_at as "createdAt"`

/**
 * Owns `withdrawal_requests`: referral money on its way out. Always holds: what is asked for leaves the balance at once, so
 * it cannot be asked for twice; a rejection brings it back; a completed one never comes back.
 */
export function createPayouts({ database, idempotency, fanout, clock }: PayoutsDependencies) {
  return {
    /**
     * Asks for a payout. The same `Idempotency-Key` asks once.
     * @throws AppError unprocessable where the balance has less, or the amount is too small
     */
    request: (input: Request, context: UserContext): Promise<Withdrawal> =>
      idempotency.once(context, 'withdrawal:request', input, {
        begin: (em) => take(em, context.actor.userId, input),
        async perform(id) {
          const [row] = await database.query(sql<Row>`select ${columns} from withdrawal_requests where id = ${id}`)
          return present(row as Row)
        },
      }),

    list: async (userId: string, page: Page) => presented(await list(sql`user_id = ${userId}`, 'desc', page), present),

    /** Of everyone; for staff. */
    listAll: async ({ status, ...page }: Page & { status: Withdrawal['status'] }) =>
      presented(await list(sql`status = ${status}`, 'asc', page), presentForStaff),

    /** @throws AppError not_found, conflict where its state does not allow that, forbidden for one's own */
    async process(
      actor: Actor,
      {
        withdrawalId,
        status,
        reason,
      }: { withdrawalId: string; status: Withdrawal['status']; reason?: string | undefined },
    ): Promise<StaffWithdrawal> {
      const row = await database.transact(async (em) => {
        const [found] = await run(
          em,
          sql<Row>`select ${columns} from withdrawal_requests where id = ${withdrawalId} for no key update`,
        )
        if (!found) throw notFound('withdrawal')
        if (found.userId === actor.userId) throw forbidden('Somebody else has to look at your own withdrawal.')
        if (!next[found.status].includes(status))
          throw new AppError('conflict', `A withdrawal that is ${found.status} cannot become ${status}.`)
        if (status === 'rejected') {
          await run(
            em,
            sql`update referral_accounts set balance = balance + ${found.amount} where user_id = ${found.userId}`,
          )
        }
        const [changed] = await run(
          em,
          sql<Row>`
            update withdrawal_requests set status = ${status}, reason = ${reason ?? null},
              processed_by = ${actor.userId}, processed_at = ${clock().toISOString()}
            where id = ${withdrawalId} returning ${columns}`,
        )
        return changed as Row
      })
      fanout.toUsers([row.userId], 'notification', { kind: 'withdrawal', withdrawalId, status })
      return presentForStaff(row)
    },
  }

  /** Takes the amount out of the balance; gives the id of the request. */
  async function take(em: Connection, userId: string, { amount, method, details }: Request): Promise<string> {
    if (amount < leastAmount) throw unprocessable(`The least amount is ${leastAmount} cents.`)
    const taken = await run(
      em,
      sql`
        update referral_accounts set balance = balance - ${amount}
        where user_id = ${userId} and balance >= ${amount} returning user_id`,
    )
    if (taken.length === 0) throw unprocessable('The balance has less than that.')
    const id = newId()
    await run(
      em,
      sql`
        insert into withdrawal_requests (id, user_id, amount, method, details, created_at)
        values (${id}, ${userId}, ${amount}, ${method}, ${JSON.stringify(details)}::jsonb, ${clock().toISOString()})`,
    )
    return id
  }

  async function list(which: RawBuilder<unknown>, order: 'asc' | 'desc', { cursor, limit }: Page) {
    const from = cursor === undefined ? undefined : decodeCursor(cursor, cursorKey)[0]
    const beyond = order === 'asc' ? sql`id > ${from}::uuid` : sql`id < ${from}::uuid`
    const rows = await database.query(
      sql<Row>`
        select ${columns} from withdrawal_requests where ${which} ${from ? sql`and ${beyond}` : sql``}
        order by id ${sql.raw(order)} limit ${limit + 1}`,
    )
    return { rows: rows.slice(0, limit), more: rows.length > limit }
  }
}

function presented<T>({ rows, more }: { rows: Row[]; more: boolean }, show: (row: Row) => T) {
  const last = rows.at(-1)
  return { items: rows.map(show), ...(more && last && { nextCursor: encodeCursor([last.id]) }) }
}

const present = (row: Row): Withdrawal => ({
  id: row.id,
  amount: { amount: row.amount, currency: row.currency },
  method: row.method,
  status: row.status,
  createdAt: new Date(row.createdAt).toISOString(),
  ...(row.reason !== null && { reason: row.reason }),
  ...(row.processedAt !== null && { processedAt: new Date(row.processedAt).toISOString() }),
})

const presentForStaff = (row: Row): StaffWithdrawal => ({
  ...present(row),
  userId: row.userId,
  details: row.details,
  ...(row.processedBy !== null && { processedBy: row.processedBy }),
})
