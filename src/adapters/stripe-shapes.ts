import type Stripe from 'stripe'
import type {
  BillingPeriod,
  ProviderCharge,
  ProviderCheckout,
  ProviderSubscription,
  SubscriptionEvent,
  SubscriptionInvoice,
  SubscriptionNotes,
} from '../kernel/ports.ts'

/**
 * Stripe's objects in the words of our ports, as API version 2026-10-28 has them: the period of a subscription stands at its
 * item, an invoice leads to its subscription by `parent` and to its payment by `payments`, a charge leads nowhere.
 */

/** A period that is longer than this is a year. */
const longestMonthDays = 45

export function presentSubscription(subscription: Stripe.Subscription): ProviderSubscription {
  const [item] = subscription.items.data
  if (!item) throw new Error('a subscription without an item')
  const ended = subscription.status === 'canceled'
  const { latest_invoice: invoice, cancel_at_period_end: cancelled } = subscription
  const settledEnd = subscription.cancel_at ?? (cancelled ? item.current_period_end : null)
  return {
    id: subscription.id,
    customerId: idOf(subscription.customer),
    status: statusOf(subscription.status),
    priceId: item.price.id,
    period: item.price.recurring?.interval === 'year' ? 'yearly' : 'monthly',
    notes: notesOf(subscription.metadata),
    periodStart: dateOf(item.current_period_start),
    periodEnd: dateOf(item.current_period_end),
    endsAt: dateOrNone(ended ? (subscription.ended_at ?? subscription.canceled_at) : settledEnd),
    cancelledAt: wasChosen(subscription) ? dateOrNone(subscription.canceled_at) : undefined,
    createdAt: dateOf(subscription.created),
    latestInvoice: typeof invoice === 'object' && invoice ? presentInvoice(invoice) : undefined,
    next: nextOf(subscription),
  }
}

/** What Stripe may invent beside gives nothing away: `unpaid`. Paused means a trial that ended without a way to pay. */
const statusOf = (status: string): ProviderSubscription['status'] => statuses[status] ?? 'unpaid'

const statuses: Record<string, ProviderSubscription['status']> = {
  incomplete: 'incomplete',
  incomplete_expired: 'incomplete',
  trialing: 'trialing',
  active: 'active',
  past_due: 'past_due',
  canceled: 'ended',
}

const wasChosen = ({ cancellation_details: details }: Stripe.Subscription): boolean =>
  !details?.reason?.startsWith('payment_')

function nextOf({ schedule }: Stripe.Subscription): ProviderSubscription['next'] {
  if (typeof schedule !== 'object' || schedule?.status !== 'active') return undefined
  const now = schedule.current_phase
  const phase = now && schedule.phases.find(({ start_date }) => start_date >= now.end_date)
  const price = phase?.items[0]?.price
  if (!price) return undefined
  const notes = notesOf(phase.metadata)
  return { priceId: idOf(price), notes, period: notes.period ?? 'monthly' }
}

/** Undefined for an invoice that belongs to no subscription. */
export function presentInvoice(invoice: Stripe.Invoice): SubscriptionInvoice | undefined {
  const details = invoice.parent?.subscription_details
  const line = mainLine(invoice)
  if (!details || !line) return undefined
  const notes = notesOf(details.metadata)
  const payment = invoice.payments?.data.find(({ status }) => status === 'paid')?.payment
  const price = line.pricing?.price_details?.price
  return {
    id: invoice.id,
    subscriptionId: idOf(details.subscription),
    status: invoiceStatuses[invoice.status ?? ''] ?? 'open',
    reason: reasons[invoice.billing_reason ?? ''] ?? 'other',
    priceId: price ? idOf(price) : undefined,
    notes,
    periodStart: dateOf(line.period.start),
    periodEnd: dateOf(line.period.end),
    period: notes.period ?? lengthOf(line.period),
    amountDue: invoice.amount_due,
    amountPaid: invoice.amount_paid,
    currency: invoice.currency.toUpperCase(),
    createdAt: dateOf(invoice.created),
    paidAt: dateOrNone(invoice.status_transitions.paid_at),
    transferId: payment?.payment_intent ? idOf(payment.payment_intent) : undefined,
  }
}

/** One that was given up, `uncollectible`, can still be paid. */
const invoiceStatuses: Record<string, SubscriptionInvoice['status']> = { paid: 'paid', void: 'void' }

const reasons: Record<string, SubscriptionInvoice['reason']> = {
  subscription_create: 'first',
  subscription_cycle: 'renewal',
  subscription_update: 'change',
}

/** The line of the period itself; where there are prorations alone, the one that costs most. */
function mainLine({ lines }: Stripe.Invoice): Stripe.InvoiceLineItem | undefined {
  const byAmount = lines.data.toSorted((a, b) => b.amount - a.amount)
  return byAmount.find((line) => line.parent?.subscription_item_details?.proration === false) ?? byAmount[0]
}

const lengthOf = ({ start, end }: { start: number; end: number }): BillingPeriod =>
  end - start > longestMonthDays * 86_400 ? 'yearly' : 'monthly'

/** @param contests the disputes of the charge, the newest first */
export function presentCharge(
  charge: Stripe.Charge,
  invoiceId: string | undefined,
  contests: Stripe.Dispute[],
): ProviderCharge {
  const intent = charge.payment_intent
  const paymentId = typeof intent === 'object' ? intent?.metadata['paymentId'] : undefined
  return {
    id: charge.id,
    invoiceId,
    paymentId: paymentId ?? charge.metadata['paymentId'],
    transferId: intent ? idOf(intent) : undefined,
    amount: charge.amount,
    amountRefunded: charge.amount_refunded,
    currency: charge.currency.toUpperCase(),
    dispute: contests[0] && disputeOf(contests[0].status),
  }
}

const disputeOf = (status: string): ProviderCharge['dispute'] => disputes[status] ?? 'open'

const disputes: Record<string, ProviderCharge['dispute']> = {
  warning_needs_response: 'inquiry',
  warning_under_review: 'inquiry',
  warning_closed: 'inquiry',
  // settled before it became a dispute, by giving the money back: that comes as a refund
  prevented: 'inquiry',
  won: 'won',
  lost: 'lost',
}

export function presentCheckout(session: Stripe.Checkout.Session): ProviderCheckout {
  return {
    id: session.id,
    status: checkoutStatuses[session.status ?? ''] ?? 'open',
    paid: session.payment_status !== 'unpaid',
    subscriptionId: session.subscription ? idOf(session.subscription) : undefined,
    paymentId: session.mode === 'payment' ? (session.client_reference_id ?? undefined) : undefined,
    amount: session.amount_total ?? 0,
    currency: (session.currency ?? '').toUpperCase(),
    transferId: session.payment_intent ? idOf(session.payment_intent) : undefined,
  }
}

const checkoutStatuses: Record<string, ProviderCheckout['status']> = { complete: 'complete', expired: 'expired' }

const subjects: Record<string, SubscriptionEvent['subject']['kind']> = {
  'checkout.session.completed': 'checkout',
  'checkout.session.expired': 'checkout',
  'checkout.session.async_payment_succeeded': 'checkout',
  'checkout.session.async_payment_failed': 'checkout',
  'customer.subscription.created': 'subscription',
  'customer.subscription.updated': 'subscription',
  'customer.subscription.deleted': 'subscription',
  'customer.subscription.paused': 'subscription',
  'customer.subscription.resumed': 'subscription',
  'invoice.paid': 'invoice',
  'invoice.payment_failed': 'invoice',
  'charge.refunded': 'charge',
  'charge.dispute.created': 'charge',
  'charge.dispute.closed': 'charge',
}

/** Names of people, their addresses and cards are in events as well: of those nothing is kept. */
export function presentEvent({ id, type, data }: Stripe.Event): SubscriptionEvent | undefined {
  const kind = Object.hasOwn(subjects, type) ? subjects[type] : undefined
  if (!kind) return undefined
  const object = data.object as { id?: string; charge?: string | { id: string } }
  const subject = type.startsWith('charge.dispute.') ? object.charge && idOf(object.charge) : object.id
  return subject === undefined ? undefined : { id, type, subject: { kind, id: subject } }
}

function notesOf(metadata: Stripe.Metadata | null): SubscriptionNotes {
  const { userId, plan, period } = metadata ?? {}
  const known = period === 'monthly' || period === 'yearly'
  return { ...(userId && { userId }), ...(plan && { plan }), ...(known && { period }) }
}

/** What Stripe gives as an id or, expanded, as the thing itself. */
export const idOf = (reference: string | { id: string }): string =>
  typeof reference === 'string' ? reference : reference.id

const dateOf = (seconds: number): Date => new Date(seconds * 1000)

const dateOrNone = (seconds: number | null | undefined): Date | undefined =>
  seconds === null || seconds === undefined ? undefined : dateOf(seconds)
