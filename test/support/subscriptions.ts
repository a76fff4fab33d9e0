import assert from 'node:assert/strict'
import { sql } from 'kysely'
import { createStripe } from '../../src/adapters/stripe.ts'
import type { Wallet } from '../../src/billing/billing.contract.ts'
import type { HistoryReason } from '../../src/billing/subscription-state.ts'
import type { Subscription, SubscriptionChange } from '../../src/billing/subscriptions.contract.ts'
import type { Actor, Context, RequestFacts } from '../../src/kernel/operation.ts'
import { createTestClock, startBilling } from './billing.ts'
import { startStripe, type TestStripe } from './stripe.ts'
import type { StripeEvent } from './stripe-world.ts'

/** Billing with a Stripe of its own, on one clock that the test moves. */
export async function startSubscriptions(
  config: Parameters<typeof startBilling>[0] = {},
  { timeoutMs = 10_000 }: { timeoutMs?: number } = {},
) {
  const time = createTestClock()
  const stripe = await startStripe(time)
  const { secretKey, webhookSecret, url: apiUrl } = stripe
  const adapter = createStripe({ secretKey, webhookSecret, apiUrl, timeoutMs })
  const billing = await startBilling(config, {
    clock: time.clock,
    providers: { stripe: adapter.payments },
    subscriptions: adapter.subscriptions,
  })
  return withStripe({ ...billing, ...time, setClock: time.set }, stripe)
}

type Billing = Awaited<ReturnType<typeof startBilling>> & ReturnType<typeof createTestClock>

function withStripe(billing: Billing, stripe: TestStripe) {
  /** How many of the events at Stripe were delivered. */
  let delivered = 0

  /** Hands a request to the webhook as the transport does. */
  async function post({ body, signature }: { body: string; signature: string | undefined }): Promise<void> {
    const found = billing.routes.find((route) => route.operation.name === 'webhook:stripe')?.operation
    assert.ok(found?.access === 'public')
    const header = (name: string) => (name === 'stripe-signature' ? signature : undefined)
    const request: RequestFacts = { header, cookie: () => undefined, rawBody: Buffer.from(body) }
    const context: Context = { requestId: 'test', ip: '192.0.2.1', userAgent: 'Stripe/1.0', request }
    await found.run({} as never, context)
  }

  /** Runs the jobs that wait, as a node would. */
  async function work(): Promise<void> {
    for (let next = billing.queued.shift(); next; next = billing.queued.shift())
      await billing.runJob(next.name, next.data)
  }

  const deliver = async (event: StripeEvent): Promise<void> => post(stripe.signed(event))

  /** Delivers what has happened at Stripe since the last time, and has it take effect. */
  async function hear(): Promise<string[]> {
    const news = stripe.events.slice(delivered)
    delivered = stripe.events.length
    for (const event of news) await deliver(event)
    await work()
    return news.map(({ type }) => type)
  }

  /** Moves the clock and lets Stripe do what is due; what it tells is heard. */
  async function pass(time: { days?: number; hours?: number; minutes?: number }): Promise<string[]> {
    billing.advance(time as { [unit: string]: number })
    stripe.catchUp()
    return hear()
  }

  const subscriptionOf = (userId: string): Promise<Subscription> => billing.call('subscription:get', {}, userId)

  async function historyOf(userId: string): Promise<SubscriptionChange[]> {
    const { items } = await billing.call<{ items: SubscriptionChange[] }>(
      'subscription:history',
      { limit: 100 },
      userId,
    )
    return items.toReversed()
  }

  return {
    ...billing,
    stripe,
    post,
    deliver,
    work,
    hear,
    pass,
    subscriptionOf,
    historyOf,
    walletOf: (userId: string): Promise<Wallet> => billing.call('wallet:get', {}, userId),
    reasonsOf: async (userId: string): Promise<HistoryReason[]> =>
      (await historyOf(userId)).map(({ reason }) => reason),

    /** Begins a subscription as a person does, up to the page. */
    checkout: (
      userId: string | Actor,
      input: { plan?: string; period?: string } = {},
      headers: Record<string, string> = {},
    ): Promise<{ url: string; sessionId: string }> =>
      billing.call('billing:checkout', { plan: 'premium_pro', period: 'monthly', ...input }, userId, headers),

    /** A person with a subscription that is paid and heard of; the id is the one at Stripe. */
    async subscriber(input: { plan?: string; period?: string } = {}): Promise<{ userId: string; id: string }> {
      const userId = await billing.person()
      const { sessionId } = await this.checkout(userId, input)
      const { subscriptionId } = stripe.complete(sessionId)
      assert.ok(subscriptionId)
      await hear()
      return { userId, id: subscriptionId }
    },

    /** Lets it look as if a subscription was last read more than a day ago. */
    age: (id: string) =>
      billing.database.query(
        sql`update subscriptions set read_at = clock_timestamp() - interval '25 hours' where stripe_subscription_id = ${id}`,
      ),

    /** The customer of a subscription at Stripe. */
    customerOf(id: string): string {
      const customer = stripe.subscriptions.get(id)?.customer
      assert.ok(customer)
      return customer
    },

    async close(): Promise<void> {
      await billing.close()
      await stripe.close()
    },
  }
}

export type TestSubscriptions = Awaited<ReturnType<typeof startSubscriptions>>
