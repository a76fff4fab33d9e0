import { sql } from 'kysely'
import type { Logger } from 'pino'
import { type Database, run } from '../database/database.ts'
import type { Clock } from '../kernel/clock.ts'
import { keyTimeOf } from '../kernel/cursors.ts'
import type { DomainEvents } from '../kernel/domain-events.ts'
import type { Route } from '../kernel/operation.ts'
import type { ExportSection, Fanout, Jobs, SubscriptionProvider } from '../kernel/ports.ts'
import type { Idempotency } from './idempotency.ts'
import type { Settlement } from './payment-settlement.ts'
import type { Plans } from './plans.service.ts'
import type { ProviderEvents } from './provider-events.ts'
import { createStripeEvents } from './stripe-events.ts'
import { createSubscriptionBooks } from './subscription-books.ts'
import { createSubscriptionReader, type SubscriptionReader } from './subscription-reader.ts'
import { watchSubscriptions } from './subscription-watch.ts'
import { subscriptionsRoutes } from './subscriptions.routes.ts'
import { createSubscriptions } from './subscriptions.service.ts'
import type { Wallets } from './wallets.service.ts'

interface SubscriptionDependencies {
  database: Database
  events: DomainEvents
  jobs: Jobs
  idempotency: Idempotency
  providerEvents: ProviderEvents
  settlement: Settlement
  plans: Plans
  wallets: Wallets
  fanout: Pick<Fanout, 'toUsers'>
  addExportSection: (section: ExportSection) => void
  clock: Clock
  log: Logger
  config: { publicUrl: string; pastDueGraceDays: number }
  /** Absent where it is not configured. */
  provider: SubscriptionProvider | undefined
}

/** Puts subscriptions together; gives their routes. */
export function connectSubscriptions(deps: SubscriptionDependencies): Route[] {
  const { database, provider, providerEvents, clock, config } = deps
  const stripe = provider && { provider, reader: connectProvider({ ...deps, provider }) }
  const graceDays = config.pastDueGraceDays
  for (const section of subscriptionSections(database)) deps.addExportSection(section)
  const subscriptions = createSubscriptions({ ...deps, stripe, graceDays, publicUrl: config.publicUrl })
  return subscriptionsRoutes({ subscriptions, providerEvents, provider, clock })
}

/** What runs by itself: the provider's events, the watch over dates, the end of what people leave behind. */
function connectProvider(deps: SubscriptionDependencies & { provider: SubscriptionProvider }): SubscriptionReader {
  const { database, provider, jobs, events, settlement, providerEvents, config } = deps
  const graceDays = config.pastDueGraceDays

  const endings = jobs.define<{ customerId?: string; subscriptionId?: string }>({
    name: 'subscription-end',
    expireSeconds: 120,
    retries: 12,
    retryDelaySeconds: 30,
    async handle({ customerId, subscriptionId }) {
      const live = (customerId !== undefined && (await provider.liveSubscriptionsOf(customerId))) || []
      const ids = subscriptionId === undefined ? live.map(({ id }) => id) : [subscriptionId]
      for (const id of ids) {
        await provider.end(id)
        await reader.one(id)
      }
    },
  })
  const books = createSubscriptionBooks({
    ...deps,
    graceDays,
    endLater: (em, subscriptionId) => endings.enqueue(em, { subscriptionId }),
  })
  const reader = createSubscriptionReader({ database, provider, books })
  providerEvents.on('stripe', createStripeEvents({ provider, books, settlement }))
  watchSubscriptions({ ...deps, reader, books, graceDays })

  events.on('user.deleting', async (em, { userId }) => {
    const [customer] = await run(
      em,
      sql<{ id: string }>`
        select stripe_customer_id as id from users where id = ${userId} and stripe_customer_id is not null`,
    )
    return customer && endings.enqueue(em, { customerId: customer.id })
  })
  return reader
}

/** What the books say of a user's subscriptions. */
const subscriptionSections = (database: Pick<Database, 'query'>): ExportSection[] => [
  {
    name: 'subscriptions',
    about: 'Your subscriptions, as they were last read at the payment provider.',
    async *rows(userId) {
      yield* await database.query(sql<object>`
        select id, plan_code as plan, status, period, ${keyTimeOf('current_period_start')} as "currentPeriodStart",
          ${keyTimeOf('current_period_end')} as "currentPeriodEnd", auto_renew as "autoRenew",
          ${keyTimeOf('cancelled_at')} as "cancelledAt", ${keyTimeOf('created_at')} as "createdAt"
        from subscriptions where user_id = ${userId} order by created_at`)
    },
  },
  {
    name: 'subscription-history',
    about: 'Each change of them, and what was paid.',
    async *rows(userId) {
      yield* await database.query(sql<object>`
        select id, subscription_id as "subscriptionId", reason, previous_plan as "previousPlan", new_plan as "newPlan",
          period, amount, currency, ${keyTimeOf('created_at')} as "createdAt"
        from subscription_history where user_id = ${userId} order by created_at`)
    },
  },
]
