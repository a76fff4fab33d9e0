import { sql } from 'kysely'
import type { Database } from '../database/database.ts'
import type { ProviderSubscription, SubscriptionProvider } from '../kernel/ports.ts'
import type { SubscriptionBooks } from './subscription-books.ts'

export type SubscriptionReader = ReturnType<typeof createSubscriptionReader>

/** Brings the books to what the provider has now, for whoever does not want to wait for its events. */
export function createSubscriptionReader(deps: {
  database: Database
  provider: SubscriptionProvider
  books: SubscriptionBooks
}) {
  const { database, provider, books } = deps

  async function write<T extends ProviderSubscription[] | undefined>(read: () => Promise<T>): Promise<T> {
    const [now] = await database.query(sql<{ startedAt: string }>`
      select to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as "startedAt"`)
    const subscriptions = await read()
    for (const subscription of subscriptions ?? []) {
      const startedAt = now?.startedAt ?? ''
      const afterCommit = await database.transact((em) => books.apply(em, { subscription, startedAt }))
      await afterCommit?.()
    }
    return subscriptions
  }

  return {
    /** @throws AppError upstream_failed */
    async one(id: string): Promise<ProviderSubscription | undefined> {
      const [found] = await write(async () => [await provider.subscription(id)].filter((one) => one !== undefined))
      return found
    },

    /** Those of a customer that go on; undefined for an unknown customer. @throws AppError upstream_failed */
    liveOf: (customerId: string): Promise<ProviderSubscription[] | undefined> =>
      write(() => provider.liveSubscriptionsOf(customerId)),
  }
}
