import { sql } from 'kysely'
import { run } from '../database/database.ts'
import type { Clock } from '../kernel/clock.ts'
import type { DomainEvents } from '../kernel/domain-events.ts'
import type { Ledger } from './ledger.service.ts'
import type { Meter } from './meter.service.ts'
import { freePlan } from './plan-credits.ts'
import type { Plans } from './plans.service.ts'

interface DeparturesDependencies {
  events: DomainEvents
  ledger: Ledger
  meter: Meter
  plans: Plans
  clock: Clock
}

/**
 * What becomes of a wallet whose user leaves: what is under way is given back, the plan ends, nothing more is charged.
 * Wallet and ledger stay, for the books.
 */
export function settleDepartures({ events, ledger, meter, plans, clock }: DeparturesDependencies): void {
  events.on('user.deleting', async (em, { userId }) => {
    const wallets = await run(
      em,
      sql`update wallets set overage_enabled = false where user_id = ${userId} returning user_id`,
    )
    if (wallets.length === 0) return undefined
    // nothing is added meanwhile: the update holds the wallet's lock
    const reservations = await run(
      em,
      sql<{ id: string }>`select id from meter_reservations where user_id = ${userId} and status = 'open'`,
    )
    for (const { id } of reservations) await meter.cancelIn(em, id)
    const holds = await run(
      em,
      sql<{ id: string }>`select id from credit_holds where user_id = ${userId} and status = 'held'`,
    )
    for (const { id } of holds) await ledger.release(em, id)
    await plans.assign(em, { userId, planCode: freePlan, until: null, at: clock(), reason: 'account deleted' })
    // the figures stay; where the person was is nobody's business any more
    await run(
      em,
      sql`
        update usage_logs set ip = null, browser_fingerprint = null
        where user_id = ${userId} and (ip is not null or browser_fingerprint is not null)`,
    )
    return undefined
  })
}
