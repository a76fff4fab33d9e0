import { randomBytes } from 'node:crypto'
import type Stripe from 'stripe'

/**
 * Stripe's side of subscriptions, in memory: customers, prices, checkout pages, subscriptions with their schedules, invoices
 * and charges, as API version 2026-10-28 describes them, on a clock of the test's. Only what the server uses of it; the types
 * are cut out of the SDK's, so that a field which is not there any more does not compile.
 */

type Customer = Pick<Stripe.Customer, 'id' | 'object' | 'metadata' | 'email' | 'name'> & { card: Card }
type Price = Pick<Stripe.Price, 'id' | 'object' | 'active' | 'currency' | 'unit_amount' | 'lookup_key' | 'recurring'>
type Item = Pick<Stripe.SubscriptionItem, 'id' | 'object' | 'current_period_start' | 'current_period_end'> & {
  price: Price
}
type Subscription = Pick<
  Stripe.Subscription,
  | 'id'
  | 'object'
  | 'status'
  | 'cancel_at'
  | 'cancel_at_period_end'
  | 'canceled_at'
  | 'ended_at'
  | 'created'
  | 'currency'
  | 'metadata'
> & {
  customer: string
  schedule: string | null
  latest_invoice: string
  cancellation_details: { reason: string | null }
  items: { object: 'list'; data: [Item] }
}
type Phase = { start_date: number; end_date: number; items: { price: string }[]; metadata: Record<string, string> }
type Schedule = Pick<Stripe.SubscriptionSchedule, 'id' | 'object' | 'status' | 'current_phase'> & {
  subscription: string | null
  phases: Phase[]
}
interface Line {
  id: string
  object: 'line_item'
  amount: number
  period: { start: number; end: number }
  parent: { type: string; subscription_item_details: { proration: boolean } }
  pricing: { type: string; price_details: { price: string; product: string } }
}
type Invoice = Pick<
  Stripe.Invoice,
  | 'id'
  | 'object'
  | 'status'
  | 'billing_reason'
  | 'amount_due'
  | 'amount_paid'
  | 'currency'
  | 'created'
  | 'attempt_count'
> & {
  customer: string
  parent: {
    type: 'subscription_details'
    subscription_details: { subscription: string; metadata: Record<string, string> }
  }
  lines: { object: 'list'; data: Line[] }
  payments: { object: 'list'; data: { status: string; payment: { type: string; payment_intent: string } }[] }
  status_transitions: { paid_at: number | null }
}
type Charge = Pick<
  Stripe.Charge,
  'id' | 'object' | 'amount' | 'amount_refunded' | 'currency' | 'disputed' | 'metadata' | 'refunded'
> & { payment_intent: string; customer: string | null }
interface Session {
  id: string
  object: 'checkout.session'
  mode: 'payment' | 'subscription'
  status: 'open' | 'complete' | 'expired'
  payment_status: 'paid' | 'unpaid'
  url: string
  customer: string | null
  client_reference_id: string | null
  subscription: string | null
  payment_intent: string | null
  amount_total: number
  currency: string
  price: string | undefined
  notes: Record<string, string>
  /** Where the page leads back to. */
  leads: { success: string; cancel: string }
}

/** Whether a customer's card pays. */
type Card = 'good' | 'declined'

/** A refusal as the API answers it. */
export class Refusal extends Error {
  readonly status: number
  readonly body: object

  constructor(status: number, error: { type: string; code?: string; message: string }) {
    super(error.message)
    this.status = status
    this.body = { error }
  }
}

const missing = (what: string) =>
  new Refusal(404, { type: 'invalid_request_error', code: 'resource_missing', message: `No such ${what}` })

const invalid = (message: string) => new Refusal(400, { type: 'invalid_request_error', message })

const declined = () =>
  new Refusal(402, { type: 'card_error', code: 'card_declined', message: 'Your card was declined.' })

// biome-ignore lint/suspicious/noExplicitAny: form fields, nested as they come
export type Parameters = Record<string, any>

const newId = (prefix: string): string => `${prefix}_${randomBytes(9).toString('hex')}`

export interface StripeEvent {
  id: string
  object: 'event'
  type: string
  api_version: string
  created: number
  data: { object: object }
}

export function createStripeWorld(clock: () => Date) {
  const customers = new Map<string, Customer>()
  const prices = new Map<string, Price>()
  const sessions = new Map<string, Session>()
  const subscriptions = new Map<string, Subscription>()
  const schedules = new Map<string, Schedule>()
  const invoices = new Map<string, Invoice>()
  const charges = new Map<string, Charge>()
  const intents = new Map<string, { id: string; metadata: Record<string, string> }>()
  const disputes = new Map<string, { id: string; object: 'dispute'; charge: string; status: string; amount: number }>()
  /** What webhooks would tell, in the order in which it happened. */
  const events: StripeEvent[] = []

  const now = (): number => Math.floor(clock().getTime() / 1000)

  function get<T>(things: Map<string, T>, id: string, what: string): T {
    const thing = things.get(id)
    if (!thing) throw missing(what)
    return thing
  }

  function put<T extends { id: string }>(things: Map<string, T>, thing: T): T {
    things.set(thing.id, thing)
    return thing
  }

  function emit(type: string, object: object): void {
    events.push({
      ...{ id: newId('evt'), object: 'event' as const, type, api_version: '2026-10-28.endive', created: now() },
      data: { object: structuredClone(object) },
    })
  }

  function after(start: number, price: Price, periods = 1): number {
    const months = (price.recurring?.interval === 'year' ? 12 : 1) * periods
    const date = new Date(start * 1000)
    const day = date.getUTCDate()
    date.setUTCDate(1)
    date.setUTCMonth(date.getUTCMonth() + months)
    const last = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate()
    date.setUTCDate(Math.min(day, last))
    return Math.floor(date.getTime() / 1000)
  }

  const line = (amount: number, price: Price, start: number, end: number, proration: boolean): Line => ({
    ...{ id: newId('il'), object: 'line_item' as const, amount, period: { start, end } },
    parent: { type: 'subscription_item_details', subscription_item_details: { proration } },
    pricing: { type: 'price_details', price_details: { price: price.id, product: `prod_${price.id}` } },
  })

  function bill(subscription: Subscription, reason: NonNullable<Invoice['billing_reason']>, lines: Line[]): Invoice {
    const due = Math.max(
      0,
      lines.reduce((sum, { amount }) => sum + amount, 0),
    )
    return {
      ...{
        id: newId('in'),
        object: 'invoice',
        status: 'open',
        billing_reason: reason,
        created: now(),
        attempt_count: 0,
      },
      ...{ amount_due: due, amount_paid: 0, currency: subscription.currency, customer: subscription.customer },
      parent: {
        type: 'subscription_details',
        subscription_details: { subscription: subscription.id, metadata: { ...subscription.metadata } },
      },
      lines: { object: 'list', data: lines },
      payments: { object: 'list', data: [] },
      status_transitions: { paid_at: null },
    }
  }

  function charge(amount: number, currency: string, customer: string | null, metadata: Record<string, string>): string {
    const intent = put(intents, { id: newId('pi'), metadata })
    put(charges, {
      ...{ id: newId('ch'), object: 'charge', amount, amount_refunded: 0, currency, disputed: false, refunded: false },
      ...{ metadata, payment_intent: intent.id, customer },
    })
    return intent.id
  }

  /** Tries to have a bill paid by the customer's card. */
  function collect(invoice: Invoice): boolean {
    invoice.attempt_count++
    if (invoice.amount_due > 0) {
      if (get(customers, invoice.customer, 'customer').card === 'declined') return false
      const intent = charge(invoice.amount_due, invoice.currency, invoice.customer, {})
      invoice.payments.data.push({ status: 'paid', payment: { type: 'payment_intent', payment_intent: intent } })
    }
    Object.assign(invoice, { status: 'paid', amount_paid: invoice.amount_due })
    invoice.status_transitions.paid_at = now()
    return true
  }

  function subscribe(session: Session): Subscription {
    const price = get(prices, session.price ?? '', 'price')
    const start = now()
    const subscription: Subscription = {
      ...{ id: newId('sub'), object: 'subscription', status: 'active', created: start, currency: price.currency },
      ...{ cancel_at: null, cancel_at_period_end: false, canceled_at: null, ended_at: null },
      ...{ customer: session.customer ?? '', schedule: null, latest_invoice: '', metadata: { ...session.notes } },
      cancellation_details: { reason: null },
      items: {
        object: 'list',
        data: [
          {
            ...{ id: newId('si'), object: 'subscription_item', price },
            ...{ current_period_start: start, current_period_end: after(start, price) },
          },
        ],
      },
    }
    const [item] = subscription.items.data
    const invoice = bill(subscription, 'subscription_create', [
      line(price.unit_amount ?? 0, price, start, item.current_period_end, false),
    ])
    if (!collect(invoice)) throw declined()
    put(invoices, invoice)
    subscription.latest_invoice = invoice.id
    put(subscriptions, subscription)
    emit('customer.subscription.created', subscription)
    emit('invoice.paid', invoice)
    return subscription
  }

  function end(subscription: Subscription, at: number, reason: string): void {
    Object.assign(subscription, { status: 'canceled', ended_at: at, canceled_at: subscription.canceled_at ?? at })
    subscription.cancellation_details.reason = reason
    detach(subscription, 'canceled')
    emit('customer.subscription.deleted', subscription)
  }

  function detach(subscription: Subscription, status: 'released' | 'canceled'): void {
    const schedule = schedules.get(subscription.schedule ?? '')
    if (schedule) Object.assign(schedule, { status, subscription: null, current_phase: null })
    subscription.schedule = null
  }

  /** Begins the next period of a subscription whose period is over. */
  function turn(subscription: Subscription): void {
    const [item] = subscription.items.data
    const start = item.current_period_end
    if (subscription.cancel_at_period_end) {
      end(subscription, start, 'cancellation_requested')
      return
    }
    const schedule = schedules.get(subscription.schedule ?? '')
    const phase = schedule?.phases.find(({ start_date }) => start_date === start)
    if (schedule && phase) {
      item.price = get(prices, phase.items[0]?.price ?? '', 'price')
      Object.assign(subscription.metadata, phase.metadata)
      schedule.current_phase = { start_date: phase.start_date, end_date: phase.end_date }
    } else detach(subscription, 'released')
    Object.assign(item, { current_period_start: start, current_period_end: after(start, item.price) })
    const invoice = bill(subscription, 'subscription_cycle', [
      line(item.price.unit_amount ?? 0, item.price, start, item.current_period_end, false),
    ])
    put(invoices, invoice)
    subscription.latest_invoice = invoice.id
    const paid = collect(invoice)
    if (!paid) subscription.status = 'past_due'
    emit('customer.subscription.updated', subscription)
    emit(paid ? 'invoice.paid' : 'invoice.payment_failed', invoice)
  }

  /** Another price from now on, the difference for the rest of the period charged at once. */
  function reprice(subscription: Subscription, price: Price, metadata: Record<string, string>): void {
    const [item] = subscription.items.data
    const { current_period_start: start, current_period_end: end, price: old } = item
    const rest = (end - now()) / (end - start)
    const credit = line(-Math.round((old.unit_amount ?? 0) * rest), old, now(), end, true)
    const anew = old.recurring?.interval !== price.recurring?.interval
    const period = anew ? { start: now(), end: after(now(), price) } : { start, end }
    const cost = anew ? (price.unit_amount ?? 0) : Math.round((price.unit_amount ?? 0) * rest)
    const next = { ...subscription, metadata: { ...subscription.metadata, ...metadata } }
    const invoice = bill(next, 'subscription_update', [credit, line(cost, price, now(), period.end, !anew)])
    if (!collect(invoice)) throw declined()
    put(invoices, invoice)
    Object.assign(item, { price, current_period_start: period.start, current_period_end: period.end })
    Object.assign(subscription, { metadata: next.metadata, latest_invoice: invoice.id })
    emit('invoice.paid', invoice)
  }

  /** An object with what `expand` names in place of ids; only the paths that the server asks for. */
  function expanded(subscription: Subscription, expand: string[]): object {
    return {
      ...subscription,
      ...(expand.includes('latest_invoice.payments') && {
        latest_invoice: withPayments(get(invoices, subscription.latest_invoice, 'invoice'), true),
      }),
      ...(expand.includes('schedule') && { schedule: schedules.get(subscription.schedule ?? '') ?? null }),
    }
  }

  const withPayments = ({ payments, ...invoice }: Invoice, asked: boolean) =>
    asked ? { ...invoice, payments } : invoice

  const list = (data: object[]) => ({ object: 'list', data, has_more: false })

  const publicCustomer = ({ card: _, ...customer }: Customer) => customer

  const publicSession = ({ price: _, notes: __, leads: ___, ...session }: Session) => session

  /** The requests that the server makes, by method and path; `:id` is handed over. */
  const api: Record<string, { takes: string[]; answer(given: Parameters, id: string): object }> = {
    'POST /v1/customers': {
      takes: ['metadata', 'email', 'name'],
      answer: ({ metadata = {}, email = null, name = null }) =>
        publicCustomer(put(customers, { id: newId('cus'), object: 'customer', metadata, email, name, card: 'good' })),
    },
    'POST /v1/customers/:id': {
      takes: ['email', 'name'],
      answer: (given, id) => publicCustomer(Object.assign(get(customers, id, 'customer'), given)),
    },
    'GET /v1/prices': {
      takes: ['lookup_keys', 'active', 'limit'],
      answer: ({ lookup_keys }) =>
        list([...prices.values()].filter(({ lookup_key, active }) => active && lookup_keys.includes(lookup_key))),
    },
    'POST /v1/prices': {
      takes: ['currency', 'unit_amount', 'recurring', 'product_data', 'lookup_key'],
      answer({ currency, unit_amount, recurring, product_data, lookup_key }) {
        if (!product_data?.name) throw invalid('product_data[name] is missing')
        return addPrice({ lookup_key, amount: Number(unit_amount), currency, interval: recurring.interval })
      },
    },
    'POST /v1/checkout/sessions': {
      takes: [
        ...[
          'mode',
          'customer',
          'customer_email',
          'client_reference_id',
          'line_items',
          'subscription_data',
          'expires_at',
        ],
        ...['payment_intent_data', 'success_url', 'cancel_url'],
      ],
      answer(given) {
        const { mode, line_items: [item] = [], customer = null } = given
        if (customer !== null) get(customers, customer, 'customer')
        const price = item.price === undefined ? undefined : get(prices, item.price, 'price')
        const id = newId('cs_test')
        const session: Session = {
          ...{ id, object: 'checkout.session', mode, status: 'open', payment_status: 'unpaid', customer },
          ...{ url: `https://checkout.stripe.test/${id}`, subscription: null, payment_intent: null },
          client_reference_id: given['client_reference_id'] ?? null,
          amount_total: price?.unit_amount ?? Number(item.price_data.unit_amount),
          currency: (price?.currency ?? item.price_data.currency).toLowerCase(),
          price: price?.id,
          notes: given['subscription_data']?.metadata ?? given['payment_intent_data']?.metadata ?? {},
          leads: { success: given['success_url'], cancel: given['cancel_url'] },
        }
        return publicSession(put(sessions, session))
      },
    },
    'GET /v1/checkout/sessions/:id': {
      takes: [],
      answer: (_, id) => publicSession(get(sessions, id, 'checkout session')),
    },
    'POST /v1/billing_portal/sessions': {
      takes: ['customer', 'return_url'],
      answer: ({ customer }) => ({
        object: 'billing_portal.session',
        url: `https://billing.stripe.test/${get(customers, customer, 'customer').id}`,
      }),
    },
    'GET /v1/subscriptions': {
      takes: ['customer', 'limit', 'expand'],
      answer: ({ customer, expand = [] }) =>
        get(customers, customer, 'customer') &&
        list(
          [...subscriptions.values()]
            .filter((one) => one.customer === customer && one.status !== 'canceled')
            .map((one) =>
              expanded(
                one,
                expand.map((path: string) => path.replace('data.', '')),
              ),
            ),
        ),
    },
    'GET /v1/subscriptions/:id': {
      takes: ['expand'],
      answer: ({ expand = [] }, id) => expanded(get(subscriptions, id, 'subscription'), expand),
    },
    'POST /v1/subscriptions/:id': {
      takes: [
        ...['items', 'metadata', 'proration_behavior', 'payment_behavior'],
        ...['cancel_at_period_end', 'cancel_at'],
      ],
      answer(given, id) {
        const subscription = get(subscriptions, id, 'subscription')
        if (subscription.status === 'canceled') throw invalid('A canceled subscription can only update its metadata.')
        if (subscription.schedule) throw invalid('The subscription is managed by a subscription schedule.')
        if (given['cancel_at_period_end'] !== undefined) {
          const on = given['cancel_at_period_end'] === 'true'
          const since = subscription.cancel_at_period_end ? subscription.canceled_at : now()
          Object.assign(subscription, {
            cancel_at_period_end: on,
            cancel_at: on ? subscription.items.data[0].current_period_end : null,
            canceled_at: on ? since : null,
          })
          subscription.cancellation_details.reason = on ? 'cancellation_requested' : null
        }
        if (given['cancel_at'] === '') Object.assign(subscription, { cancel_at: null, canceled_at: null })
        if (given['items'])
          reprice(subscription, get(prices, given['items'][0].price, 'price'), given['metadata'] ?? {})
        emit('customer.subscription.updated', subscription)
        return subscription
      },
    },
    'DELETE /v1/subscriptions/:id': {
      takes: ['invoice_now', 'prorate'],
      answer(_, id) {
        const subscription = get(subscriptions, id, 'subscription')
        if (subscription.status === 'canceled') throw missing('subscription')
        end(subscription, now(), 'cancellation_requested')
        return subscription
      },
    },
    'POST /v1/subscription_schedules': {
      takes: ['from_subscription'],
      answer({ from_subscription }) {
        const subscription = get(subscriptions, from_subscription, 'subscription')
        if (subscription.schedule) throw invalid('The subscription is already attached to a schedule.')
        const [item] = subscription.items.data
        const current_phase = { start_date: item.current_period_start, end_date: item.current_period_end }
        const schedule = put(schedules, {
          ...{ id: newId('sub_sched'), object: 'subscription_schedule', status: 'active', current_phase },
          subscription: subscription.id,
          phases: [{ ...current_phase, items: [{ price: item.price.id }], metadata: {} }],
        })
        subscription.schedule = schedule.id
        emit('customer.subscription.updated', subscription)
        return schedule
      },
    },
    'POST /v1/subscription_schedules/:id': {
      takes: ['end_behavior', 'proration_behavior', 'phases'],
      answer({ phases }, id) {
        const schedule = get(schedules, id, 'schedule')
        if (schedule.status !== 'active') throw invalid(`The schedule is ${schedule.status}.`)
        const [first, second] = phases
        if (Number(first.start_date) !== schedule.current_phase?.start_date)
          throw invalid('You can not modify the start date of the current phase.')
        const price = get(prices, second.items[0].price, 'price')
        if (price.recurring?.interval !== second.duration.interval) throw invalid('The duration is not of the price.')
        const start_date = Number(first.end_date)
        const next = { start_date, end_date: after(start_date, price) }
        const current = schedule.phases.find(
          (phase) => phase.start_date === schedule.current_phase?.start_date,
        ) as Phase
        schedule.phases = [current, { ...next, items: [{ price: price.id }], metadata: second.metadata }]
        emit('customer.subscription.updated', get(subscriptions, schedule.subscription ?? '', 'subscription'))
        return schedule
      },
    },
    'POST /v1/subscription_schedules/:id/release': {
      takes: [],
      answer(_, id) {
        const schedule = get(schedules, id, 'schedule')
        if (schedule.status !== 'active') throw invalid(`The schedule is ${schedule.status}.`)
        const subscription = get(subscriptions, schedule.subscription ?? '', 'subscription')
        detach(subscription, 'released')
        emit('customer.subscription.updated', subscription)
        return schedule
      },
    },
    'GET /v1/invoices/:id': {
      takes: ['expand'],
      answer: ({ expand = [] }, id) => withPayments(get(invoices, id, 'invoice'), expand.includes('payments')),
    },
    'GET /v1/invoice_payments': {
      takes: ['payment'],
      answer: ({ payment }) =>
        list(
          [...invoices.values()].flatMap(({ id, payments }) =>
            payments.data
              .filter((one) => one.payment.payment_intent === payment.payment_intent)
              .map((one) => ({ object: 'invoice_payment', invoice: id, ...one })),
          ),
        ),
    },
    'GET /v1/charges/:id': {
      takes: ['expand'],
      answer({ expand = [] }, id) {
        const found = get(charges, id, 'charge')
        const intent = intents.get(found.payment_intent)
        return { ...found, ...(expand.includes('payment_intent') && { payment_intent: intent }) }
      },
    },
    'GET /v1/disputes': {
      takes: ['charge'],
      answer: ({ charge }) => list([...disputes.values()].filter((one) => one.charge === charge).toReversed()),
    },
    'POST /v1/refunds': {
      takes: ['payment_intent'],
      answer({ payment_intent }) {
        const found = [...charges.values()].find((one) => one.payment_intent === payment_intent)
        if (!found) throw missing('payment_intent')
        if (found.refunded)
          throw new Refusal(400, { type: 'invalid_request_error', code: 'charge_already_refunded', message: 'done' })
        refund(found.id)
        return { id: newId('re'), object: 'refund', status: 'succeeded' }
      },
    },
  }

  function addPrice(price: {
    amount: number
    currency: string
    interval: 'month' | 'year'
    lookup_key?: string | undefined
  }): Price {
    const { amount, currency, interval, lookup_key = null } = price
    return put(prices, {
      ...{ id: newId('price'), object: 'price', active: true, currency: currency.toLowerCase(), unit_amount: amount },
      ...{ lookup_key, recurring: { interval, interval_count: 1, meter: null, usage_type: 'licensed' } },
    } as Price)
  }

  function refund(chargeId: string, amount?: number): void {
    const found = get(charges, chargeId, 'charge')
    found.amount_refunded = Math.min(found.amount, found.amount_refunded + (amount ?? found.amount))
    found.refunded = found.amount_refunded === found.amount
    emit('charge.refunded', found)
  }

  return {
    api,
    events,
    customers,
    sessions,
    subscriptions,
    schedules,
    invoices,
    charges,
    prices,
    addPrice,
    refund,

    /** Somebody fills in the checkout page and pays; some ways to pay take days, and then the money may still not come. */
    complete(sessionId: string, when: 'now' | 'later' = 'now'): { subscriptionId: string | undefined } {
      const session = get(sessions, sessionId, 'checkout session')
      if (session.status !== 'open') throw invalid('The page is not open.')
      if (session.mode === 'subscription') session.subscription = subscribe(session).id
      else session.payment_intent = charge(session.amount_total, session.currency, session.customer, session.notes)
      Object.assign(session, { status: 'complete', payment_status: when === 'now' ? 'paid' : 'unpaid' })
      emit('checkout.session.completed', publicSession(session))
      return { subscriptionId: session.subscription ?? undefined }
    },

    /** The money of a page that was to come later comes, or does not. */
    arrive(sessionId: string, comes: boolean): void {
      const session = get(sessions, sessionId, 'checkout session')
      if (comes) session.payment_status = 'paid'
      emit(`checkout.session.async_payment_${comes ? 'succeeded' : 'failed'}`, publicSession(session))
    },

    /** Nobody does. */
    expire(sessionId: string): void {
      const session = Object.assign(get(sessions, sessionId, 'checkout session'), { status: 'expired' as const })
      emit('checkout.session.expired', publicSession(session))
    },

    setCard(customerId: string, card: Card): void {
      get(customers, customerId, 'customer').card = card
    },

    /** Lets the clock's time take effect: periods that are over end or are renewed. */
    catchUp(): void {
      const over = () =>
        [...subscriptions.values()].find(
          ({ status, items }) =>
            (status === 'active' || status === 'past_due') && items.data[0].current_period_end <= now(),
        )
      for (let next = over(); next; next = over()) turn(next)
    },

    /** Another attempt at the open bill. */
    retry(subscriptionId: string): void {
      const subscription = get(subscriptions, subscriptionId, 'subscription')
      const invoice = get(invoices, subscription.latest_invoice, 'invoice')
      const paid = collect(invoice)
      if (paid) subscription.status = 'active'
      emit(paid ? 'invoice.paid' : 'invoice.payment_failed', invoice)
      if (paid) emit('customer.subscription.updated', subscription)
    },

    /** All attempts have failed. */
    giveUp(subscriptionId: string, into: 'canceled' | 'unpaid' = 'canceled'): void {
      const subscription = get(subscriptions, subscriptionId, 'subscription')
      if (into === 'canceled') end(subscription, now(), 'payment_failed')
      else {
        subscription.status = 'unpaid'
        emit('customer.subscription.updated', subscription)
      }
    },

    dispute(chargeId: string, status = 'needs_response'): string {
      const found = Object.assign(get(charges, chargeId, 'charge'), { disputed: true })
      const dispute = put(disputes, {
        ...{ id: newId('dp'), object: 'dispute' as const, charge: chargeId, status, amount: found.amount },
      })
      emit('charge.dispute.created', dispute)
      return dispute.id
    },

    closeDispute(disputeId: string, status: 'won' | 'lost' | 'warning_closed'): void {
      const dispute = Object.assign(get(disputes, disputeId, 'dispute'), { status })
      emit('charge.dispute.closed', dispute)
    },

    /** The charge that paid a bill or a page. */
    chargeOf(intent: string): string {
      const found = [...charges.values()].find((one) => one.payment_intent === intent)
      if (!found) throw missing('charge')
      return found.id
    },
  }
}

export type StripeWorld = ReturnType<typeof createStripeWorld>
