import { sql } from 'kysely'
import type { Database } from '../database/database.ts'
import type { Clock } from '../kernel/clock.ts'
import type { ProviderEvent, Ton, TonPlace } from '../kernel/payment-ports.ts'
import type { Jobs } from '../kernel/ports.ts'
import type { ProviderEvents } from './provider-events.ts'

/** How far back transfers are looked for that were missed; less than stored events are kept. */
const reachMs = 30 * 24 * 3600 * 1000

interface WatcherDependencies {
  database: Database
  jobs: Jobs
  providerEvents: ProviderEvents
  ton: Ton
  clock: Clock
}

/**
 * Looks once a minute what has come in at the address. Always holds: where a transfer is stored, all that came before are
 * stored as well; so a look goes back to the first that it knows, however long the server was away.
 */
export function watchTon({ database, jobs, providerEvents, ton, clock }: WatcherDependencies): void {
  jobs.define({ name: 'ton-watch', expireSeconds: 600, retries: 0, schedule: '* * * * *', handle: look })

  async function look(_data: object, { signal }: { signal: AbortSignal }): Promise<void> {
    const reach = new Date(clock().getTime() - reachMs)
    const pages: ProviderEvent[][] = []
    let from: TonPlace | undefined
    do {
      const { transfers, reachesTo, next } = await ton.history(from)
      if (signal.aborted) return
      const fresh = await unknownAmong(transfers)
      pages.push(fresh)
      from = fresh.length === transfers.length && reachesTo > reach ? next : undefined
    } while (from)
    // the oldest first: what this process does not get to is found again from above
    for (const page of pages.toReversed()) await providerEvents.receive('ton', page)
  }

  async function unknownAmong(transfers: ProviderEvent[]): Promise<ProviderEvent[]> {
    const ids = transfers.map(({ id }) => id)
    const known = await database.query(sql<{ id: string }>`
      select event_id as id from provider_events where provider = 'ton' and event_id = any(${ids}::text[])`)
    const seen = new Set(known.map(({ id }) => id))
    return transfers.filter(({ id }) => !seen.has(id))
  }
}
