import type Stripe from 'stripe'
import { AppError } from '../kernel/errors.ts'
import type { PlanOffer, SubscriptionNotes, SubscriptionProvider } from '../kernel/ports.ts'
import { createPrices, intervals } from './stripe-prices.ts'
import { answered, found, leadingTo, once } from './stripe-requests.ts'
import {
  idOf,
  presentCharge,
  presentCheckout,
  presentEvent,
  presentInvoice,
  presentSubscription,
} from './stripe-shapes.ts'

/** A signature that is older may have been recorded and sent again by somebody else. */
const toleranceSeconds = 300

const asRead = ['latest_invoice.payments', 'schedule']

/** Subscriptions at Stripe. */
export function createSubscriptionProvider(client: Stripe, webhookSecret: string): SubscriptionProvider {
  const prices = createPrices(client)

  const retrieve = (id: string) => client.subscriptions.retrieve(id, { expand: asRead })

  async function release({ schedule }: Stripe.Subscription, key: string): Promise<void> {
    if (typeof schedule !== 'object' || schedule?.status !== 'active') return
    await once(`${key}:release`, (options) => client.subscriptionSchedules.release(schedule.id, {}, options))
  }

  return {
    createCustomer: ({ userId, email, name, replaces }) =>
      answered(async () => {
        // under its key a request must stay the same, so what may have changed by a repetition is told apart from it
        const key = ['customer', userId, ...(replaces === undefined ? [] : [replaces])].join(':')
        const { id } = await once(key, (options) => client.customers.create({ metadata: { userId } }, options))
        await client.customers.update(id, { name, ...(email !== undefined && { email }) })
        return id
      }),

    openCheckout: ({ key, userId, customerId, offer, returnUrl }) =>
      answered(async () => {
        const price = await prices.of(offer)
        const notes = notesFor(offer, userId)
        const session = await once(`checkout:${key}`, (options) =>
          client.checkout.sessions.create(
            {
              mode: 'subscription',
              customer: customerId,
              client_reference_id: userId,
              line_items: [{ price, quantity: 1 }],
              subscription_data: { metadata: notes },
              ...leadingTo(returnUrl),
            },
            options,
          ),
        )
        return { id: session.id, url: session.url ?? '' }
      }),

    openPortal: (customer, returnUrl) =>
      answered(async () => {
        const { url } = await client.billingPortal.sessions.create({ customer, return_url: returnUrl })
        return { url }
      }),

    subscription: (id) => found(async () => presentSubscription(await retrieve(id))),

    liveSubscriptionsOf: (customer) =>
      found(async () => {
        const expand = asRead.map((path) => `data.${path}`)
        const { data } = await client.subscriptions.list({ customer, limit: 100, expand })
        return data.map(presentSubscription).filter(({ status }) => status !== 'ended' && status !== 'incomplete')
      }),

    invoice: (id) => found(async () => presentInvoice(await client.invoices.retrieve(id, { expand: ['payments'] }))),

    checkout: (id) => found(async () => presentCheckout(await client.checkout.sessions.retrieve(id))),

    charge: (id) =>
      found(async () => {
        const charge = await client.charges.retrieve(id, { expand: ['payment_intent'] })
        const disputes = charge.disputed ? (await client.disputes.list({ charge: id })).data : []
        return presentCharge(charge, await invoiceOf(charge), disputes)
      }),

    setRenewal: (id, renews, key) =>
      answered(async () => {
        const subscription = await retrieve(id)
        if (!renews) await release(subscription, key)
        // who cancels on Stripe's own pages may have set a date in place of the flag; both at once Stripe does not take
        const dated = subscription.cancel_at !== null && !subscription.cancel_at_period_end
        const change = renews && dated ? { cancel_at: '' as const } : { cancel_at_period_end: !renews }
        await once(key, (options) => client.subscriptions.update(id, change, options))
      }),

    changeNow: (id, offer, key) =>
      answered(async () => {
        const subscription = await retrieve(id)
        const { items, metadata } = subscription
        const price = await prices.of(offer)
        // one whose change is made goes on for a period: until then it would not let the subscription be changed
        await release(subscription, key)
        await once(key, (options) =>
          client.subscriptions.update(
            id,
            {
              items: items.data.map((item) => ({ id: item.id, price })),
              metadata: notesFor(offer, metadata['userId']),
              // prorations alone would be paid with the next bill, long after what they are for
              proration_behavior: 'always_invoice',
              payment_behavior: 'error_if_incomplete',
            },
            options,
          ),
        )
      }),

    changeNext: (id, offer, key) =>
      answered(async () => {
        const subscription = await retrieve(id)
        if (!offer) return release(subscription, key)
        const price = await prices.of(offer)
        const planned = subscription.schedule
        const schedule =
          typeof planned === 'object' && planned?.status === 'active'
            ? planned
            : await once(`${key}:schedule`, (options) =>
                client.subscriptionSchedules.create({ from_subscription: id }, options),
              )
        const { start_date, end_date } = schedule.current_phase ?? {}
        const items = subscription.items.data.map((item) => ({ price: item.price.id, quantity: 1 }))
        await once(key, (options) =>
          client.subscriptionSchedules.update(
            schedule.id,
            {
              end_behavior: 'release',
              proration_behavior: 'none',
              phases: [
                { items, start_date, end_date },
                {
                  items: [{ price, quantity: 1 }],
                  duration: { interval: intervals[offer.period], interval_count: 1 },
                  proration_behavior: 'none',
                  metadata: notesFor(offer, subscription.metadata['userId']),
                },
              ],
            },
            options,
          ),
        )
      }),

    async end(id) {
      await found(() => client.subscriptions.cancel(id, { invoice_now: false, prorate: false }))
    },

    readEvent(body, signature, at) {
      try {
        const read = [body, signature ?? '', webhookSecret, toleranceSeconds, undefined, at.getTime()] as const
        return presentEvent(client.webhooks.constructEvent(...read))
      } catch {
        throw new AppError('unauthenticated', 'The signature is not valid.')
      }
    },
  }

  /** Charges do not name their invoice: the payments of invoices lead there. */
  async function invoiceOf({ payment_intent: intent }: Stripe.Charge): Promise<string | undefined> {
    if (!intent) return undefined
    const payment = { type: 'payment_intent', payment_intent: idOf(intent) } as const
    const [of] = (await client.invoicePayments.list({ payment })).data
    return of && idOf(of.invoice)
  }
}

const notesFor = (
  { planCode, period }: PlanOffer,
  userId: string | undefined,
): SubscriptionNotes & Stripe.Metadata => ({
  ...(userId && { userId }),
  plan: planCode,
  period,
})
