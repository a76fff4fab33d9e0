import { sql } from 'kysely'
import type { Logger } from 'pino'
import type { Database } from '../database/database.ts'
import type { Clock } from '../kernel/clock.ts'
import { AppError } from '../kernel/errors.ts'
import type { Jobs } from '../kernel/ports.ts'
import type { SubscriptionBooks } from './subscription-books.ts'
import type { SubscriptionReader } from './subscription-reader.ts'
import { type StoredSubscription, subscriptionsWhere } from './subscription-rows.ts'
import { givesPlan, isLive } from './subscription-state.ts'

/** What was not read for so long is read, though no event has come: one may have been lost. */
const unreadHours = 24
/** A provider renews within minutes: what is not renewed by then is looked at, long before its plan ends. */
const renewalMs = 2 * 3600_000
/** Enough for an outage; more are for the next run. */
const batch = 500

interface WatchDependencies {
  database: Database
  jobs: Jobs
  reader: SubscriptionReader
  books: SubscriptionBooks
  clock: Clock
  graceDays: number
  log: Logger
}

/**
 * Looks for subscriptions whose time is over without a word of the provider, and for those that were not read for a day.
 * The provider is asked first; where it cannot be, the dates in the books rule, until it can.
 */
export function watchSubscriptions(deps: WatchDependencies): void {
  const { database, jobs, reader, books, clock, graceDays, log } = deps

  jobs.define({
    name: 'subscriptions-due',
    expireSeconds: 600,
    retries: 0,
    schedule: '*/5 * * * *',
    handle: (_data, { signal }) => look(signal),
  })

  async function look(signal: AbortSignal): Promise<void> {
    const at = clock()
    const before = (ms: number) => sql`${new Date(at.getTime() - ms).toISOString()}::timestamptz`
    const isOver = sql`case when status = 'past_due' then past_due_since <= ${before(graceDays * 86_400_000)}
      when auto_renew then current_period_end <= ${before(renewalMs)} else current_period_end <= ${before(0)} end`
    // one that the dates have ended was never read since, and may go on after all
    const isUnread = sql`read_at = '-infinity' or status not in ('cancelled', 'expired')
      and read_at < clock_timestamp() - make_interval(hours => ${unreadHours})`
    const due = await subscriptionsWhere(
      database,
      sql`id in (
        select id from subscriptions
        where status in ('active', 'trialing', 'past_due') and ${isOver} or ${isUnread}
        order by read_at limit ${batch}
      )`,
    )
    let away = false
    for (const one of due) {
      if (signal.aborted) return
      away ||= !(await readOne(one))
      if (away && givesPlan(one) && !isLive(one, { at, graceDays })) await lapse(one)
    }
  }

  /** False where the provider cannot be asked. */
  async function readOne({ stripeId }: StoredSubscription): Promise<boolean> {
    try {
      if (await reader.one(stripeId)) return true
      log.warn({ subscriptionId: stripeId }, 'a subscription is not known at the provider any more')
      await database.query(sql`
        update subscriptions set read_at = clock_timestamp() where stripe_subscription_id = ${stripeId}`)
    } catch (error) {
      const isAway = error instanceof AppError && error.code === 'upstream_failed'
      log.warn({ err: error, subscriptionId: stripeId }, 'a subscription that is due was not read')
      if (isAway) return false
    }
    return true
  }

  async function lapse(one: StoredSubscription): Promise<void> {
    const afterCommit = await database.transact((em) => books.lapse(em, one))
    await afterCommit?.()
  }
}
