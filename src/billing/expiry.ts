import { sql } from 'kysely'
import type { Database } from '../database/database.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Jobs } from '../kernel/ports.ts'
import type { Ledger } from './ledger.service.ts'
import type { Meter } from './meter.service.ts'
import type { Wallets } from './wallets.service.ts'

const batch = 100

interface ExpiryDependencies {
  database: Database
  ledger: Ledger
  meter: Meter
  wallets: Wallets
  jobs: Jobs
  clock: Clock
}

/** Gives back, every minute, what was reserved or held for something that never came to its end. */
export function defineExpiry({ database, ledger, meter, wallets, jobs, clock }: ExpiryDependencies): void {
  jobs.define({
    name: 'holds-expire',
    expireSeconds: 300,
    retries: 2,
    schedule: '* * * * *',
    async handle(_data, { signal }) {
      // reservations first: they release their own holds, which end at the same time
      for (const expire of [meter.expire, expireHolds]) {
        for (let users = await expire(batch); users.length > 0; users = await expire(batch)) {
          for (const userId of new Set(users)) await wallets.tell(userId)
          signal.throwIfAborted()
        }
      }
    },
  })

  /** Gives the users whose wallets changed. */
  async function expireHolds(limit: number): Promise<string[]> {
    const due = await database.query(
      sql<{ id: string }>`
        select id from credit_holds where status = 'held' and expires_at <= ${clock().toISOString()}
        order by expires_at limit ${limit}`,
    )
    const users: string[] = []
    for (const { id } of due) {
      const released = await database.transact((em) => ledger.expire(em, id))
      if (released) users.push(released.userId)
    }
    return users
  }
}
