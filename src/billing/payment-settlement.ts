import { sql } from 'kysely'
import type { Logger } from 'pino'
import { type Connection, run } from '../database/database.ts'
import type { Clock } from '../kernel/clock.ts'
import type { AfterCommit, DomainEvents } from '../kernel/domain-events.ts'
import { newId } from '../kernel/ids.ts'
import type { PaymentProviderName, PaymentReport, ReportingProvider } from '../kernel/payment-ports.ts'
import type { Ledger } from './ledger.service.ts'
import { chargeOf, judge, type PaymentState, type PaymentStatus } from './payment.policy.ts'
import type { ProviderEventHandler } from './provider-events.ts'
import type { Wallets } from './wallets.service.ts'

interface SettlementDependencies {
  events: DomainEvents
  ledger: Pick<Ledger, 'post'>
  wallets: Pick<Wallets, 'tell'>
  clock: Clock
  log: Logger
}

/** A report with whose it is. */
export interface ProviderReport extends PaymentReport {
  provider: PaymentProviderName
  /** When it happened; now, unless given. */
  at?: Date
}

/** A bill of a subscription that was paid, or could not be. */
export interface SubscriptionPayment {
  provider: PaymentProviderName
  userId: string
  /** Names the bill at the provider: for each there is one payment. */
  providerPaymentId: string
  subscriptionId: string
  planCode: string
  /** In the currency's smallest unit. */
  amount: number
  currency: string
  /** US cents. */
  valueUsd: number
  description: string
  outcome: 'succeeded' | 'failed'
  details?: Record<string, unknown>
  at: Date
}

interface LockedPayment extends PaymentState {
  id: string
  userId: string
  valueUsd: number
  credits: number | undefined
  photoCount: number | null
  description: string
  consumed: boolean
  /** What was paid beside what paid it. */
  surplus: object[]
}

/** The handler of a provider's events that say by themselves all that there is to know. */
export const reportsOf = (provider: ReportingProvider, settlement: Settlement): ProviderEventHandler => ({
  async apply(em, event) {
    const report = provider.interpret(event)
    return report && settlement.apply(em, { ...report, provider: provider.name })
  },
})

export type Settlement = ReturnType<typeof createSettlement>

/**
 * What providers report takes effect here, in the transaction of its event. Always holds: a payment moves forward only, and
 * what it buys is given once, with the move to `succeeded`, and taken back once, with the move to `refunded`.
 */
export function createSettlement({ events, ledger, wallets, clock, log }: SettlementDependencies) {
  /**
   * Applies a report to the payment that it names. One of a payment that is not ours, or that brings nothing new, changes
   * nothing. What it returns is to be called after the commit.
   */
  async function apply(em: Connection, report: ProviderReport): Promise<AfterCommit | undefined> {
    const { provider, outcome } = report
    const payment = await lockPayment(em, report)
    if (!payment) {
      log.warn({ provider, outcome }, 'a provider reports of a payment that is not known here')
      return undefined
    }
    const facts = { provider, paymentId: payment.id, outcome }
    switch (judge(payment, report)) {
      case 'ignore':
        return undefined
      case 'note':
        await keep(em, payment.id, report.details)
        return undefined
      case 'mismatch': {
        const paid = { amount: String(report.amount), currency: report.currency }
        const due = { amount: payment.amount, currency: payment.currency }
        log.error({ ...facts, paid, due }, 'a payment was not paid with what was asked for: a person has to look at it')
        return undefined
      }
      case 'surplus':
        log.error({ ...facts, chargeId: chargeOf(report) }, 'a payment was paid twice: a person has to give one back')
        await keep(em, payment.id, {
          surplus: [...payment.surplus, { ...report.details, charge_id: chargeOf(report) }],
        })
        return undefined
      case 'move':
        return move(em, payment, report)
    }
  }

  async function move(
    em: Connection,
    payment: LockedPayment,
    report: ProviderReport,
  ): Promise<AfterCommit | undefined> {
    const { outcome, at = clock() } = report
    if (outcome === 'succeeded') {
      await become(em, payment, report, { status: 'succeeded', at })
      return give(em, payment, at)
    }
    if (outcome === 'refunded') {
      const missing = payment.status === 'succeeded' ? await takeBack(em, payment, at) : {}
      await become(em, payment, { ...report, details: { ...report.details, ...missing } }, { status: 'refunded', at })
      return payment.status === 'succeeded' ? tellRefund(em, payment, at) : undefined
    }
    await become(em, payment, report, { status: outcome as PaymentStatus, at })
    return undefined
  }

  async function give(em: Connection, { id, userId, credits, valueUsd, description }: LockedPayment, at: Date) {
    if (credits !== undefined) {
      const key = `payment:${id}`
      await ledger.post(em, { userId, amount: credits, type: 'charge', key, paymentId: id, description, at })
    }
    const published = await events.publish(em, 'payment.succeeded', { paymentId: id, userId, valueUsd, at })
    return async () => {
      if (credits !== undefined) void wallets.tell(userId)
      await published()
    }
  }

  /** Takes back what is left of the credits, neither what is spent nor what is held; gives what could not be taken. */
  async function takeBack(
    em: Connection,
    { id, userId, credits, photoCount, description, consumed }: LockedPayment,
    at: Date,
  ): Promise<Record<string, unknown>> {
    if (credits === undefined) return consumed ? { shortfall_photos: photoCount } : {}
    const [wallet] = await run(
      em,
      sql<{ free: string }>`
        select credits - held as free from wallets where user_id = ${userId} for no key update`,
    )
    const taken = Math.min(credits, Number(wallet?.free ?? 0))
    if (taken > 0) {
      const key = `refund:${id}`
      const reason = `Refund: ${description}`
      await ledger.post(em, { userId, amount: -taken, type: 'adjustment', key, paymentId: id, description: reason, at })
    }
    return taken < credits ? { shortfall_credits: credits - taken } : {}
  }

  async function tellRefund(em: Connection, { id, userId, credits, valueUsd }: LockedPayment, at: Date) {
    const published = await events.publish(em, 'payment.refunded', { paymentId: id, userId, valueUsd, at })
    return async () => {
      if (credits !== undefined) void wallets.tell(userId)
      await published()
    }
  }

  /** Records what a bill of a subscription has come to; as often as it is told. */
  async function recordSubscriptionPayment(
    em: Connection,
    payment: SubscriptionPayment,
  ): Promise<AfterCommit | undefined> {
    const { userId, provider, providerPaymentId, amount, currency, at } = payment
    await lockUser(em, userId)
    await run(
      em,
      sql`
        insert into payments (id, user_id, provider, provider_payment_id, purpose, plan_code, subscription_id, amount,
          currency, value_usd, description, created_at)
        values (${newId()}, ${userId}, ${provider}, ${providerPaymentId}, 'subscription', ${payment.planCode},
          ${payment.subscriptionId}, ${amount}, ${currency}, ${payment.valueUsd}, ${payment.description},
          ${at.toISOString()})
        on conflict (provider, provider_payment_id) do nothing`,
    )
    const { outcome, details } = payment
    return apply(em, { provider, providerPaymentId, outcome, amount, currency, details, at })
  }

  return { apply, recordSubscriptionPayment }
}

const lockUser = (em: Connection, userId: string) =>
  run(em, sql`select id from users where id = ${userId} for no key update`)

/** The payment of a report, under the lock of its user and its own. */
async function lockPayment(em: Connection, report: ProviderReport): Promise<LockedPayment | undefined> {
  const { provider, paymentId, providerPaymentId } = report
  // providers give back what they were given, and other systems may use the same terminal or bot
  if (paymentId === undefined ? providerPaymentId === undefined : !isId(paymentId)) return undefined
  const named = paymentId === undefined ? sql`provider_payment_id = ${providerPaymentId}` : sql`id = ${paymentId}`
  const [found] = await run(
    em,
    sql<{ id: string; userId: string }>`
      select id, user_id as "userId" from payments where provider = ${provider} and ${named}`,
  )
  if (!found) return undefined
  await lockUser(em, found.userId)
  const [row] = await run(
    em,
    sql<Omit<LockedPayment, 'amount' | 'credits'> & { amount: string; credits: string | null }>`
      select id, user_id as "userId", status, amount, currency, provider_payment_id as "providerPaymentId",
        details ->> 'charge_id' as "chargeId", value_usd as "valueUsd", credits, photo_count as "photoCount", description,
        consumed_at is not null as consumed, coalesce(details -> 'surplus', '[]') as surplus
      from payments where id = ${found.id} for no key update`,
  )
  return (
    row && {
      ...row,
      amount: Number(row.amount),
      credits: row.credits === null ? undefined : Number(row.credits),
      chargeId: row.chargeId ?? undefined,
    }
  )
}

/** Whether a text that came from outside can be an id of ours. */
export const isId = (text: string): boolean => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)

async function become(
  em: Connection,
  { id }: LockedPayment,
  report: ProviderReport,
  { status, at }: { status: PaymentStatus; at: Date },
): Promise<void> {
  const time = at.toISOString()
  const charge = chargeOf(report)
  const settled = status === 'succeeded' || status === 'refunded'
  const details = { ...report.details, ...(settled && charge !== undefined && { charge_id: charge }) }
  await run(
    em,
    sql`
      update payments set status = ${status}, details = details || ${JSON.stringify(details)}::jsonb,
        provider_payment_id = coalesce(${(settled && report.providerPaymentId) || null}, provider_payment_id),
        succeeded_at = ${status === 'succeeded' ? sql`${time}` : sql`succeeded_at`},
        refunded_at = ${status === 'refunded' ? sql`${time}` : sql`refunded_at`}
      where id = ${id}`,
  )
}

const keep = (em: Connection, id: string, details: Record<string, unknown> = {}) =>
  run(em, sql`update payments set details = details || ${JSON.stringify(details)}::jsonb where id = ${id}`)
