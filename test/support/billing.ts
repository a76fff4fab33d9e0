import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { pino } from 'pino'
import { type BillingDependencies, createBilling } from '../../src/billing/index.ts'
import { type Database, run } from '../../src/database/database.ts'
import { createDomainEvents, type DomainEvents } from '../../src/kernel/domain-events.ts'
import { newId } from '../../src/kernel/ids.ts'
import type { Actor, Context, RequestFacts } from '../../src/kernel/operation.ts'
import type { ExportSection, Jobs } from '../../src/kernel/ports.ts'
import type { Role } from '../../src/kernel/roles.ts'
import { openTestDatabase } from './database.ts'

/** What a device would have heard. */
export interface Told {
  userId: string
  event: string
  payload: Record<string, unknown>
}

type Config = Parameters<typeof createBilling>[0]['config']

const context: Context = { requestId: 'test', ip: '192.0.2.1', userAgent: 'test' }

/** A clock that a test moves, from the first of June 2026 on. */
export function createTestClock(start = '2026-06-01T00:00:00.000Z') {
  let now = Date.parse(start)
  return {
    clock: () => new Date(now),
    set: (time: string) => {
      now = Date.parse(time)
    },
    advance: ({ days = 0, hours = 0, minutes = 0, ms = 0 }: { [unit: string]: number }) => {
      now += ((days * 24 + hours) * 60 + minutes) * 60_000 + ms
    },
  }
}

/** Jobs that run when a test says so. */
export function createTestJobs() {
  const handlers = new Map<string, (data: object, job: { id: string; signal: AbortSignal }) => Promise<void>>()
  const queued: { name: string; data: object }[] = []
  const jobs: Jobs = {
    define(queue) {
      assert.ok(!handlers.has(queue.name), `two queues are called ${queue.name}`)
      handlers.set(queue.name, queue.handle as never)
      return {
        async enqueue(_em, data) {
          queued.push({ name: queue.name, data })
          return () => {}
        },
      }
    },
    start: async () => {},
    stop: async () => {},
  }
  const runJob = async (name: string, data: object = {}): Promise<void> => {
    const handle = handlers.get(name)
    assert.ok(handle, `there is no queue ${name}`)
    await handle(data, { id: newId(), signal: new AbortController().signal })
  }
  return { jobs, queued, runJob }
}

/**
 * The billing feature on a database of its own, called through its operations as a transport calls them; time stands
 * still unless the test moves it, and jobs run when the test says so.
 */
export async function startBilling(config: Partial<Config> = {}, more: Partial<BillingDependencies> = {}) {
  const { database, url, close } = await openTestDatabase()
  const { clock, set, advance } = createTestClock()
  const { jobs, queued, runJob } = createTestJobs()
  const told: Told[] = []
  const sections: ExportSection[] = []
  const logged: string[] = []
  const events = createDomainEvents()
  const billing = createBilling({
    database,
    config: {
      ...{ signupCredits: 1000, overageTokensPerCredit: 1000, publicUrl: 'http://localhost:3000' },
      ...{ pastDueGraceDays: 7, modelProviders: [], ...config },
    },
    fanout: {
      toUsers: (userIds, event, payload) =>
        void told.push(...userIds.map((userId) => ({ userId, event, payload: structuredClone(payload) as never }))),
    },
    events,
    jobs,
    addExportSection: (section) => void sections.push(section),
    log: pino({}, { write: (line: string) => void logged.push(line) }),
    clock,
    ...more,
  })

  /** Parses the input, runs the operation and parses its output, both by the contract. */
  async function call<T>(
    name: string,
    input: unknown,
    as?: string | Actor,
    headers: Record<string, string> = {},
  ): Promise<T> {
    const found = billing.routes.find((route) => route.operation.name === name)?.operation
    if (!found) throw new Error(`There is no operation ${name}`)
    const parsed = found.contract.input.parse(input) as never
    const request: RequestFacts = { header: (header) => headers[header.toLowerCase()], cookie: () => undefined }
    const actor = typeof as === 'string' ? actorOf(as) : as
    const output = await found.run(parsed, { ...context, request, actor: actor as Actor })
    return found.contract.output.parse(output) as T
  }

  return {
    ...billing,
    database,
    /** The database's address where it is on PostgreSQL. */
    url,
    clock,
    setClock: set,
    advance,
    events,
    queued,
    runJob,
    told,
    sections,
    logged,
    call,
    /** An account as registering makes it, by its id; with this balance where one is given. */
    async person({ credits }: { credits?: number } = {}): Promise<string> {
      const userId = await addUser(database, events, 'human')
      if (credits === undefined) return userId
      const { available } = await billing.wallets.get(userId)
      if (credits !== available) {
        await database.transact((em) =>
          billing.ledger.post(em, { userId, amount: credits - available, type: 'adjustment', key: `start:${userId}` }),
        )
      }
      return userId
    },
    agent: () => addUser(database, events, 'agent'),
    close,
  }
}

export type TestBilling = Awaited<ReturnType<typeof startBilling>>

export const actorOf = (userId: string, role: Role = 'user'): Actor => ({
  userId,
  kind: 'human',
  sessionId: newId(),
  role,
})

/** Adds an account as registering does. */
async function addUser(database: Database, events: DomainEvents, kind: 'human' | 'agent'): Promise<string> {
  const userId = newId()
  const username = `user_${randomBytes(6).toString('hex')}`
  const afterCommit = await database.transact(async (em) => {
    await run(
      em,
      sql`insert into users (id, kind, username, display_name) values (${userId}, ${kind}, ${username}, 'User')`,
    )
    return events.publish(em, 'user.registered', { userId, referralCode: undefined })
  })
  await afterCommit()
  return userId
}

/** What must hold of money at any moment, of these users or of all; throws with the first that does not. */
export async function checkInvariants(database: Pick<Database, 'query'>, userIds?: string[]): Promise<void> {
  const of = userIds ? sql`w.user_id = any(${userIds}::uuid[])` : sql`true`
  const broken = await database.query(sql`
    select w.user_id, w.credits, w.held, w.last_seq, t.*, h.*
    from wallets w
    cross join lateral (
      select coalesce(sum(amount), 0) as ledger, count(*) as rows, coalesce(max(seq), 0) as top,
        count(*) filter (where balance_after <> running) as chain_breaks,
        count(*) filter (where created_at < before) as time_breaks,
        (array_agg(balance_after order by seq desc))[1] as last_balance
      from (
        select amount, seq, balance_after, created_at, sum(amount) over (order by seq) as running,
          lag(created_at) over (order by seq) as before
        from credit_transactions where user_id = w.user_id
      ) one
    ) t
    cross join lateral (
      select coalesce(sum(amount), 0) as open_holds from credit_holds where user_id = w.user_id and status = 'held'
    ) h
    where ${of} and not (
      w.credits = t.ledger and w.credits >= 0 and w.held = h.open_holds and w.held <= w.credits
      and w.last_seq = t.top and t.rows = t.top and t.chain_breaks = 0 and t.time_breaks = 0
      and coalesce(t.last_balance, 0) = w.credits
    )
    limit 3`)
  assert.deepEqual(broken, [])
}
