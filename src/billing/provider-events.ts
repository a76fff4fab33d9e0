import { sql } from 'kysely'
import type { Logger } from 'pino'
import { type Connection, type Database, run } from '../database/database.ts'
import type { AfterCommit } from '../kernel/domain-events.ts'
import type { PaymentProviderName, ProviderEvent } from '../kernel/payment-ports.ts'
import type { Jobs } from '../kernel/ports.ts'

/** An event that is not applied by then is looked for: its job may have ended with its node. */
const overdueSeconds = 10
/** What could not be applied for so long needs a person; it stays in the table without `processed_at`. */
const triedDays = 7
const keptDays = 90
/** Enough for an outage; more are for the next minute. */
const sweepSize = 1000

/** How the events of a provider take effect. */
export interface ProviderEventHandler<Facts = undefined> {
  /**
   * Outside of any transaction: asks the provider what has become of the thing that the event is about. What it throws
   * makes the event come again later.
   */
  prepare?(event: ProviderEvent): Promise<Facts>
  /**
   * In the transaction that marks the event as processed; an event that it does not know it leaves alone.
   * @param facts what `prepare` gave
   * @param readStartedAt when that began, by the database's clock, as a text to the microsecond: of two readings the one
   *   that began later is the newer one, whichever is applied last
   */
  apply(em: Connection, event: ProviderEvent, facts: Facts, readStartedAt: string): Promise<AfterCommit | undefined>
}

export type ProviderEvents = ReturnType<typeof createProviderEvents>

/**
 * Owns `provider_events`. Always holds: an event is stored before it takes effect, and takes effect in the transaction
 * that marks it as processed; so it does so once, however often it is delivered and whichever process dies meanwhile.
 */
export function createProviderEvents({ database, jobs, log }: { database: Database; jobs: Jobs; log: Logger }) {
  const handlers = new Map<PaymentProviderName, ProviderEventHandler<unknown>>()

  const queue = jobs.define<{ provider: PaymentProviderName; eventId: string }>({
    name: 'provider-event',
    expireSeconds: 60,
    retries: 8,
    handle: ({ provider, eventId }) => settle(provider, eventId),
  })
  jobs.define({ name: 'provider-events-sweep', expireSeconds: 300, retries: 0, schedule: '* * * * *', handle: sweep })
  jobs.define({ name: 'provider-events-clear', expireSeconds: 300, retries: 2, schedule: '17 3 * * *', handle: clear })

  /** Applies an event unless that is done already. */
  async function settle(provider: PaymentProviderName, eventId: string): Promise<void> {
    const handler = handlers.get(provider)
    if (!handler) throw new Error(`nobody handles events of ${provider}`)
    const row = sql`provider = ${provider} and event_id = ${eventId} and processed_at is null`
    const [event] = await database.query(sql<ProviderEvent & { readStartedAt: string }>`
      select event_id as id, type, payload,
        to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as "readStartedAt"
      from provider_events where ${row}`)
    if (!event) return
    const facts = await handler.prepare?.(event)
    const afterCommit = await database.transact(async (em) => {
      // whoever comes second waits here, and finds it processed
      const locked = await run(em, sql`select 1 from provider_events where ${row} for update`)
      if (locked.length === 0) return undefined
      const afterwards = await handler.apply(em, event, facts, event.readStartedAt)
      await run(em, sql`update provider_events set processed_at = clock_timestamp() where ${row}`)
      return afterwards
    })
    await afterCommit?.()
  }

  /** Applies what was stored and left lying: the node died, or all attempts of the job failed. */
  async function sweep(_data: object, { signal }: { signal: AbortSignal }): Promise<void> {
    const overdue = await database.query(sql<{ provider: PaymentProviderName; eventId: string }>`
      select provider, event_id as "eventId" from provider_events
      where processed_at is null and provider = any(${[...handlers.keys()]}::text[])
        and received_at < clock_timestamp() - make_interval(secs => ${overdueSeconds})
        and received_at > clock_timestamp() - make_interval(days => ${triedDays})
      order by received_at limit ${sweepSize}`)
    for (const { provider, eventId } of overdue) {
      if (signal.aborted) return
      // one that fails must not hold up the others
      await settle(provider, eventId).catch((error: unknown) =>
        log.warn({ err: error, provider, eventId }, 'an event of a payment provider cannot be applied yet'),
      )
    }
  }

  async function clear(): Promise<void> {
    await database.query(sql`
      delete from provider_events where processed_at < clock_timestamp() - make_interval(days => ${keptDays})`)
  }

  return {
    /** Says how the events of a provider take effect; one handler each. */
    on<Facts = undefined>(provider: PaymentProviderName, handler: ProviderEventHandler<Facts>): void {
      handlers.set(provider, handler as ProviderEventHandler<unknown>)
    },

    /** Stores what is new of these events; once this settles they take effect, whatever happens to this process. */
    async receive(provider: PaymentProviderName, events: ProviderEvent[]): Promise<void> {
      if (events.length === 0) return
      // in one order, so that two deliveries of the same events wait for each other and never in a circle
      const sorted = events.toSorted((a, b) => (a.id < b.id ? -1 : 1))
      const wakeUps = await database.transact(async (em) => {
        const stored = await run(
          em,
          sql<{ eventId: string }>`
            insert into provider_events (provider, event_id, type, payload)
            select ${provider}, e.id, e.type, e.payload
            from jsonb_to_recordset(${storable(sorted)}::jsonb) as e (id text, type text, payload jsonb)
            on conflict do nothing returning event_id as "eventId"`,
        )
        const enqueued: (() => void)[] = []
        for (const { eventId } of stored) enqueued.push(await queue.enqueue(em, { provider, eventId }))
        return enqueued
      })
      for (const wake of wakeUps) wake()
    },
  }
}

/**
 * As JSON that PostgreSQL takes: strangers can write into some events (the comment of a transfer), and NUL or half a
 * surrogate pair in one must not keep all others out.
 */
const storable = (events: ProviderEvent[]): string =>
  // what JSON.stringify escapes of surrogates is never a pair; an escaped backslash is passed over as a whole
  JSON.stringify(events).replace(/\\(?:\\|u0000|ud[89a-f][0-9a-f]{2})/gi, (found) =>
    found === '\\\\' ? found : '\\ufffd',
  )
