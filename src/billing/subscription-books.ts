import { sql } from 'kysely'
import type { Logger } from 'pino'
import { type Connection, run } from '../database/database.ts'
import type { Clock } from '../kernel/clock.ts'
import type { AfterCommit } from '../kernel/domain-events.ts'
import type { Fanout, ProviderCharge, ProviderSubscription, SubscriptionInvoice } from '../kernel/ports.ts'
import type { Settlement } from './payment-settlement.ts'
import type { Plans } from './plans.service.ts'
import {
  isHigherAmong,
  type KnownPlan,
  knownPlans,
  lockOwner,
  lockSubscription,
  noteChange,
  type Owner,
  planOf,
  type StoredSubscription,
  saveSubscription,
  subscriptionsWhere,
} from './subscription-rows.ts'
import {
  changeByInvoice,
  changesBetween,
  givesPlan,
  isLive,
  lapsed,
  paidUntil,
  planUntil,
  type Rules,
  type SubscriptionState,
  stateOf,
} from './subscription-state.ts'
import type { Wallets } from './wallets.service.ts'

interface BooksDependencies {
  plans: Plans
  wallets: Wallets
  settlement: Settlement
  fanout: Pick<Fanout, 'toUsers'>
  clock: Clock
  log: Logger
  /** How long a plan goes on while a bill is open. */
  graceDays: number
  /** Has a subscription ended whose owner has left. */
  endLater(em: Connection, subscriptionId: string): Promise<AfterCommit>
}

/** What was read of a subscription, and when the reading began, by the database's clock. */
export interface Reading {
  subscription: ProviderSubscription
  startedAt: string
}

export type SubscriptionBooks = ReturnType<typeof createSubscriptionBooks>

/**
 * Owns `subscriptions` and `subscription_history`: writes what was read at the provider, with all that follows from it.
 * Always holds: what is written is the reading that began last, so the order of events does not matter; each change is in the
 * history once; the newest subscription that is live decides about the plan.
 */
export function createSubscriptionBooks(deps: BooksDependencies) {
  const { plans, wallets, settlement, fanout, clock, log, graceDays } = deps

  /**
   * Writes a reading in the transaction. One that is older than what is written, and one of a subscription that is not ours,
   * changes nothing. What it returns is to be called after the commit.
   */
  async function apply(em: Connection, { subscription, startedAt }: Reading): Promise<AfterCommit | undefined> {
    const owner = await lockOwner(em, subscription)
    const known = await knownPlans(em)
    const rules: Rules = { at: clock(), graceDays, planOf: planOf(known) }
    const { before, isStale } = await lockSubscription(em, subscription.id, startedAt)
    const after = stateOf(subscription, before, rules)
    if (!owner || !after) {
      if (subscription.status !== 'incomplete')
        log.warn({ subscriptionId: subscription.id }, 'a subscription has no owner or no plan here: it is left alone')
      return undefined
    }
    if (isStale) return undefined
    const { id: stripeId, createdAt, latestInvoice: bill } = subscription
    const id = await saveSubscription(em, { userId: owner.id, stripeId, createdAt, readAt: startedAt }, after)
    const reading = { at: wholeSecond(rules.at), createdAt, bill, isHigher: isHigherAmong(known) }
    for (const change of changesBetween(before, after, reading)) {
      await noteChange(
        em,
        { id, userId: owner.id },
        { ...change, currency: change.currency ?? currencyOf(known, after) },
      )
    }
    const billed = bill && (await applyInvoice(em, bill))
    const told = await follow(em, owner, before, after)
    const ending = owner.isDeleted && givesPlan(after) ? await deps.endLater(em, stripeId) : undefined
    return allOf(billed, told, ending)
  }

  /** Gives the user the plan that follows, and tells their devices where something is new. */
  async function follow(
    em: Connection,
    { id: userId, isDeleted }: Owner,
    before: SubscriptionState | undefined,
    after: SubscriptionState,
  ): Promise<AfterCommit | undefined> {
    // who has left has no plan, and nobody to tell
    if (isDeleted) return undefined
    const at = clock()
    const [live] = (await subscriptionsWhere(em, sql`user_id = ${userId}`)).filter((one) =>
      isLive(one, { at, graceDays }),
    )
    const until = live && planUntil(live, graceDays)
    if (live && until) {
      const { planCode, periodStart } = live
      const assignment = { userId, planCode, until, paidUntil: paidUntil(live), at: periodStart }
      await plans.assign(em, { ...assignment, reason: 'subscription' })
    } else if (before && givesPlan(before)) {
      await plans.assign(em, { userId, planCode: freePlan, until: null, at, reason: 'subscription' })
    }
    const isNew = before === undefined || JSON.stringify(before, shown) !== JSON.stringify(after, shown)
    return async () => {
      if (!isNew) return
      await wallets.tell(userId)
      const plan = live?.planCode ?? freePlan
      fanout.toUsers([userId], 'notification', { kind: 'subscription', status: after.status, plan })
    }
  }

  /** Records a bill that was paid: the payment, and what it adds to the history. */
  async function applyInvoice(em: Connection, bill: SubscriptionInvoice): Promise<AfterCommit | undefined> {
    if (bill.status !== 'paid') return undefined
    const [of] = await subscriptionsWhere(em, sql`stripe_subscription_id = ${bill.subscriptionId}`)
    if (!of) return undefined
    const known = await knownPlans(em)
    const planCode = planOf(known)(bill.priceId, bill.notes) ?? of.planCode
    const change = changeByInvoice(bill, planCode)
    if (change) await noteChange(em, of, { ...change, currency: bill.currency })
    if (bill.amountPaid === 0) return undefined
    const { amountPaid: amount, currency } = bill
    return settlement.recordSubscriptionPayment(em, {
      provider: 'stripe',
      userId: of.userId,
      providerPaymentId: bill.id,
      subscriptionId: of.id,
      ...{ planCode, amount, currency, outcome: 'succeeded', at: bill.paidAt ?? bill.createdAt },
      // of what was paid in other currencies nobody has said the value
      valueUsd: currency === 'USD' ? amount : 0,
      description: `${known.find(({ code }) => code === planCode)?.name ?? planCode}, ${bill.period}`,
      details: { ...(bill.transferId && { payment_intent: bill.transferId }) },
    })
  }

  /**
   * What came back of a payment. One that was given back in full, or that the payer's bank has taken back, is refunded, with
   * what it bought; a part, or a question of the bank, is only noted. It ends no subscription.
   */
  async function applyCharge(em: Connection, charge: ProviderCharge): Promise<AfterCommit | undefined> {
    const { id, invoiceId, paymentId, transferId, amount, amountRefunded, dispute } = charge
    if (dispute !== undefined)
      log.warn(
        { chargeId: id, invoiceId, paymentId, dispute },
        'a payment is disputed: staff should look at it at Stripe',
      )
    const isGone = amountRefunded >= amount || dispute === 'open' || dispute === 'lost'
    const named = invoiceId === undefined ? { paymentId, chargeId: transferId } : { providerPaymentId: invoiceId }
    if (invoiceId === undefined && paymentId === undefined) return undefined
    return settlement.apply(em, {
      provider: 'stripe',
      ...named,
      outcome: isGone ? 'refunded' : 'noted',
      details: { amount_refunded: amountRefunded, ...(dispute && { dispute }) },
    })
  }

  /** Ends by the dates in the books one whose time is over, where the provider cannot be asked. */
  async function lapse(em: Connection, { userId, stripeId }: StoredSubscription): Promise<AfterCommit | undefined> {
    const [owner] = await run(
      em,
      sql<Owner>`select id, deleted_at is not null as "isDeleted" from users where id = ${userId} for no key update`,
    )
    const at = clock()
    const { before } = await lockSubscription(em, stripeId, anyReading)
    if (!owner || !before || !givesPlan(before) || isLive(before, { at, graceDays })) return undefined
    const after = lapsed(before)
    await saveSubscription(em, { ...before, readAt: anyReading }, after)
    const known = await knownPlans(em)
    const reading = {
      at: wholeSecond(at),
      createdAt: before.createdAt,
      bill: undefined,
      isHigher: isHigherAmong(known),
    }
    for (const change of changesBetween(before, after, reading))
      await noteChange(em, before, { ...change, currency: currencyOf(known, after) })
    return follow(em, owner, before, after)
  }

  return { apply, applyInvoice, applyCharge, lapse }
}

/** The plan of who pays for none. */
const freePlan = 'basic'

/** Older than any reading: what is read next is newer. */
const anyReading = '-infinity'

/** Stripe's times are whole seconds: only beside such does an order by time say what came first. */
const wholeSecond = (time: Date): Date => new Date(Math.floor(time.getTime() / 1000) * 1000)

/** What the user is told of; the rest moves with each reading. */
const shown = ['planCode', 'status', 'period', 'periodEnd', 'autoRenew', 'next']

const currencyOf = (known: KnownPlan[], { planCode }: SubscriptionState): string =>
  known.find(({ code }) => code === planCode)?.currency ?? 'USD'

const allOf =
  (...parts: (AfterCommit | undefined)[]): AfterCommit =>
  async () => {
    for (const part of parts) await part?.()
  }
