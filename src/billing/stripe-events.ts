import type { Connection } from '../database/database.ts'
import type { AfterCommit } from '../kernel/domain-events.ts'
import type {
  ProviderCharge,
  ProviderCheckout,
  ProviderEvent,
  ProviderSubscription,
  SubscriptionEvent,
  SubscriptionInvoice,
  SubscriptionProvider,
} from '../kernel/ports.ts'
import type { Settlement } from './payment-settlement.ts'
import type { ProviderEventHandler } from './provider-events.ts'
import type { SubscriptionBooks } from './subscription-books.ts'

/** What Stripe has of the thing that an event is about, and of what hangs on it. */
interface Facts {
  subscription?: ProviderSubscription | undefined
  invoice?: SubscriptionInvoice | undefined
  checkout?: ProviderCheckout | undefined
  charge?: ProviderCharge | undefined
}

/** An event as it is stored: what to look at, and nothing of what it says. */
export const storedEvent = ({ id, type, subject }: SubscriptionEvent): ProviderEvent => ({ id, type, payload: subject })

/** How Stripe's events take effect: what they are about is read, and what was read is written. */
export function createStripeEvents(deps: {
  provider: SubscriptionProvider
  books: SubscriptionBooks
  settlement: Settlement
}): ProviderEventHandler<Facts> {
  const { provider, books, settlement } = deps

  async function read({ kind, id }: SubscriptionEvent['subject']): Promise<Facts> {
    switch (kind) {
      case 'subscription':
        return { subscription: await provider.subscription(id) }
      case 'invoice': {
        const invoice = await provider.invoice(id)
        return { invoice, ...(invoice && (await read({ kind: 'subscription', id: invoice.subscriptionId }))) }
      }
      case 'checkout': {
        const checkout = await provider.checkout(id)
        const of = checkout?.subscriptionId
        return { checkout, ...(of && (await read({ kind: 'subscription', id: of }))) }
      }
      case 'charge': {
        const charge = await provider.charge(id)
        const of = charge?.invoiceId
        return { charge, ...(of && (await read({ kind: 'invoice', id: of }))) }
      }
    }
  }

  async function settle(em: Connection, type: string, checkout: ProviderCheckout): Promise<AfterCommit | undefined> {
    const { id, paymentId, status, paid, amount, currency, transferId } = checkout
    // one of a subscription: there is no payment before its bill
    if (paymentId === undefined) return undefined
    const failed = type === 'checkout.session.async_payment_failed' ? 'failed' : 'noted'
    const unpaid = status === 'expired' ? 'cancelled' : failed
    return settlement.apply(em, {
      provider: 'stripe',
      paymentId,
      providerPaymentId: id,
      outcome: paid && status === 'complete' ? 'succeeded' : unpaid,
      ...{ amount, currency },
      ...(transferId && { chargeId: transferId, details: { payment_intent: transferId } }),
    })
  }

  return {
    prepare: ({ payload }) => read(payload as SubscriptionEvent['subject']),

    async apply(em, { type }, { subscription, invoice, checkout, charge }, startedAt) {
      // in this order: a payment stands at its subscription, and what came back at its payment
      const afterwards = [
        subscription && (await books.apply(em, { subscription, startedAt })),
        invoice && (await books.applyInvoice(em, invoice)),
        checkout && (await settle(em, type, checkout)),
        charge && (await books.applyCharge(em, charge)),
      ]
      return async () => {
        for (const afterCommit of afterwards) await afterCommit?.()
      }
    },
  }
}
