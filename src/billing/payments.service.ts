import { sql } from 'kysely'
import { z } from 'zod'
import type { Database } from '../database/database.ts'
import type { Clock } from '../kernel/clock.ts'
import { decodeCursor, encodeCursor, keyId, keyTime, keyTimeOf } from '../kernel/cursors.ts'
import { notFound, unprocessable } from '../kernel/errors.ts'
import type { UserContext } from '../kernel/operation.ts'
import { inPages } from '../kernel/pages.ts'
import type { PaymentCurrency } from '../kernel/payment-ports.ts'
import type { ExportSection, Jobs } from '../kernel/ports.ts'
import type { Idempotency } from './idempotency.ts'
import { type PaymentRow, payableMs, paymentColumns, presentPayment, presentStaffPayment } from './payment.presenter.ts'
import type { PaymentProviders } from './payment-providers.ts'
import type { Settlement } from './payment-settlement.ts'
import type { Input, Output, Payment, StaffPayment } from './payments.contract.ts'
import { effectivePlan } from './wallet.presenter.ts'

interface PaymentsDependencies {
  database: Database
  jobs: Jobs
  idempotency: Idempotency
  settlement: Settlement
  providers: PaymentProviders
  addExportSection: (section: ExportSection) => void
  clock: Clock
}

export type Payments = ReturnType<typeof createPayments>

const exportPage = 200

const cursorKey = z.tuple([keyTime, keyId])

/** Payments as people see them, and as staff give them back; those that nobody pays end after a day. */
export function createPayments(deps: PaymentsDependencies) {
  const { database, jobs, idempotency, settlement, providers, clock } = deps

  jobs.define({
    name: 'payments-expire',
    expireSeconds: 60,
    retries: 2,
    schedule: '*/10 * * * *',
    async handle() {
      const end = new Date(clock().getTime() - payableMs)
      await database.query(sql`
        update payments set status = 'cancelled' where status = 'pending' and created_at <= ${end.toISOString()}`)
    },
  })

  deps.addExportSection({
    name: 'payments',
    about: 'Your payments, and what they bought.',
    async *rows(userId) {
      const pages = inPages<PaymentRow>((after) =>
        database.query(sql`
          select ${paymentColumns} from payments where user_id = ${userId} ${after ? sql`and id > ${after.id}` : sql``}
          order by id limit ${exportPage}`),
      )
      for await (const row of pages) yield presentPayment(row)
    },
  })

  /** One's payments that were begun: one whose provider never answered is nobody's business. */
  async function list(userId: string, { cursor, limit }: Input<'payment:list'>): Promise<Output<'payment:list'>> {
    const [time, id] = cursor === undefined ? [] : decodeCursor(cursor, cursorKey)
    const rows = await database.query(sql<PaymentRow & { key: string }>`
      select ${paymentColumns}, ${keyTimeOf('created_at')} as key from payments
      where user_id = ${userId} and (url is not null or status <> 'pending')
        and ${time === undefined ? sql`true` : sql`(created_at, id) < (${time}::timestamptz, ${id}::uuid)`}
      order by created_at desc, id desc limit ${limit + 1}`)
    const items = rows.slice(0, limit)
    const last = items.at(-1)
    return {
      items: items.map(presentPayment),
      ...(rows.length > limit && last && { nextCursor: encodeCursor([last.key, last.id]) }),
    }
  }

  /** @throws AppError not_found, also for others' payments */
  async function get(userId: string, paymentId: string): Promise<Payment> {
    return presentPayment(await read(sql`id = ${paymentId} and user_id = ${userId}`))
  }

  /**
   * Gives a payment back in full.
   * @throws AppError not_found; unprocessable where it has not come in, or cannot be given back from here;
   *   upstream_failed, after which it may be tried again: the provider does it once
   */
  const refund = (input: Input<'staff:refund-payment'>, context: UserContext): Promise<StaffPayment> =>
    idempotency.once(context, 'staff:refund-payment', input, {
      begin: async () => input.paymentId,
      perform: (paymentId) => giveBack(paymentId, context.actor.userId),
    })

  async function giveBack(paymentId: string, staffId: string): Promise<StaffPayment> {
    const row = await read(sql`id = ${paymentId}`)
    const { provider, status, details } = row
    if (status === 'refunded') return presentStaffPayment(row)
    if (status !== 'succeeded') throw unprocessable('This payment has not come in.')
    const { refund } = providers.configured(provider)
    if (!refund) throw unprocessable('A payment made this way can only be given back by hand.')
    const amount = Number(row.amount)
    const providerPaymentId = row.providerPaymentId ?? undefined
    const currency = row.currency as PaymentCurrency
    const done = await refund({ paymentId, providerPaymentId, amount, currency, details })
    const outcome = done === 'refunded' ? 'refunded' : 'noted'
    const report = { provider, paymentId, outcome, details: { refund_requested_by: staffId } } as const
    const afterCommit = await database.transact((em) => settlement.apply(em, report))
    await afterCommit?.()
    return presentStaffPayment(await read(sql`id = ${paymentId}`))
  }

  async function read(which: ReturnType<typeof sql>): Promise<PaymentRow> {
    const [row] = await database.query(sql<PaymentRow>`select ${paymentColumns} from payments where ${which}`)
    if (!row) throw notFound('payment')
    return row
  }

  /** Who has ever paid for something that was not given back, or has a plan that costs something. */
  async function isPro(userId: string): Promise<boolean> {
    const [row] = await database.query(sql<{ isPro: boolean }>`
      select exists (select from payments where user_id = ${userId} and status = 'succeeded') or exists (
        select from wallets w join plans p on p.code = ${effectivePlan(clock())}
        where w.user_id = ${userId} and p.price_monthly > 0
      ) as "isPro"`)
    return row?.isPro ?? false
  }

  return { list, get, refund, isPro }
}
