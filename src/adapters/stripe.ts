import Stripe from 'stripe'
import type { PaymentOrder, PaymentProvider, SubscriptionProvider } from '../kernel/ports.ts'
import { answered, codeOf, leadingTo, once } from './stripe-requests.ts'
import { createSubscriptionProvider } from './stripe-subscriptions.ts'

/** A person waits: what takes longer has failed. */
const standardTimeoutMs = 8_000
/** A checkout page cannot be given a shorter life, nor a longer one. */
const checkoutMs = { least: 31 * 60_000, most: 24 * 3600_000 }

interface StripeOptions {
  secretKey: string
  webhookSecret: string
  apiUrl: string
  timeoutMs?: number
}

/** Stripe, by its official SDK: subscriptions, and single payments on its checkout pages. */
export function createStripe(options: StripeOptions): {
  subscriptions: SubscriptionProvider
  payments: PaymentProvider
} {
  const client = createClient(options)
  return {
    subscriptions: createSubscriptionProvider(client, options.webhookSecret),
    payments: createPayments(client),
  }
}

/** Single payments: a checkout page each. */
function createPayments(client: Stripe): PaymentProvider {
  return {
    name: 'stripe',
    currency: 'USD',

    begin: (order) =>
      answered(async () => {
        const { paymentId, amount, currency, description, returnUrl } = order
        const session = await once(`payment:${paymentId}`, (options) =>
          client.checkout.sessions.create(
            {
              mode: 'payment',
              client_reference_id: paymentId,
              line_items: [
                { price_data: { currency, unit_amount: amount, product_data: { name: description } }, quantity: 1 },
              ],
              payment_intent_data: { metadata: { paymentId } },
              ...payerOf(order),
              ...lifeOf(order),
              ...leadingTo(returnUrl),
            },
            options,
          ),
        )
        return { providerPaymentId: session.id, url: session.url ?? '' }
      }),

    refund: ({ paymentId, details }) =>
      answered(async () => {
        const intent = String(details['payment_intent'] ?? '')
        try {
          const { status } = await once(`refund:${paymentId}`, (options) =>
            client.refunds.create({ payment_intent: intent }, options),
          )
          return status === 'succeeded' ? 'refunded' : 'accepted'
        } catch (error) {
          if (codeOf(error) === 'charge_already_refunded') return 'refunded'
          throw error
        }
      }),
  }
}

const payerOf = ({ customer: { stripeCustomerId, email } }: PaymentOrder) =>
  stripeCustomerId === undefined ? email !== undefined && { customer_email: email } : { customer: stripeCustomerId }

function lifeOf({ expiresAt }: PaymentOrder) {
  const left = expiresAt.getTime() - Date.now()
  const possible = left >= checkoutMs.least && left <= checkoutMs.most
  return possible && { expires_at: Math.floor(expiresAt.getTime() / 1000) }
}

function createClient({ secretKey, apiUrl, timeoutMs = standardTimeoutMs }: StripeOptions): Stripe {
  const { hostname, port, protocol } = new URL(apiUrl)
  const isPlain = protocol === 'http:'
  return new Stripe(secretKey, {
    timeout: timeoutMs,
    maxNetworkRetries: 1,
    telemetry: false,
    host: hostname,
    port: port || (isPlain ? 80 : 443),
    protocol: isPlain ? 'http' : 'https',
  })
}
