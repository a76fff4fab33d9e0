import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { sql } from 'kysely'
import { pino } from 'pino'
import { createProviderEvents, type ProviderEventHandler } from '../../src/billing/provider-events.ts'
import { run } from '../../src/database/database.ts'
import { createTestJobs } from '../support/billing.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'

let rows: TestDatabase
before(async () => {
  rows = await openTestDatabase()
  // what events do here, in their transaction
  await rows.database.query(sql`create table effects (event_id text not null, note text null)`)
})
beforeEach(async () => {
  await rows.database.query(sql`truncate provider_events, effects`)
})
after(() => rows.close())

const logged: string[] = []

/** Provider events with one handler for T-Bank's, whose effect is a row. */
function scene(handler: Partial<ProviderEventHandler<unknown>> = {}) {
  const { jobs, queued, runJob } = createTestJobs()
  const { database } = rows
  const events = createProviderEvents({ database, jobs, log: pino({}, { write: (line: string) => logged.push(line) }) })
  events.on<unknown>('tbank', {
    async apply(em, { id }) {
      await run(em, sql`insert into effects (event_id) values (${id})`)
      return undefined
    },
    ...handler,
  })
  const settle = async () => {
    for (const { name, data } of queued.splice(0)) await runJob(name, data)
  }
  return { ...events, queued, runJob, settle }
}

const event = (id: string, payload: unknown = { of: id }) => ({ id, type: 'CONFIRMED', payload })

const effects = async () =>
  (await rows.database.query(sql<{ id: string }>`select event_id as id from effects order by event_id`)).map(
    ({ id }) => id,
  )

const unprocessed = async () =>
  (
    await rows.database.query(
      sql<{ id: string }>`select event_id as id from provider_events where processed_at is null order by event_id`,
    )
  ).map(({ id }) => id)

const age = (id: string, seconds: number) =>
  rows.database.query(sql`
    update provider_events set received_at = received_at - make_interval(secs => ${seconds}),
      processed_at = processed_at - make_interval(secs => ${seconds})
    where event_id = ${id}`)

test('an event is stored first, and takes effect once, in the transaction that marks it', async () => {
  const seen: unknown[] = []
  const { receive, settle, queued } = scene({
    async apply(em, { id, type, payload }) {
      seen.push({ id, type, payload })
      await run(em, sql`insert into effects (event_id) values (${id})`)
      return async () => {
        seen.push(`${await unprocessed()} open afterwards`)
      }
    },
  })
  const payload = { Amount: 1, nested: { list: [1, 'zwei', null] }, text: 'ü \\ \u2028 \\u0000' }
  await receive('tbank', [event('a', payload)])
  assert.deepEqual([await unprocessed(), await effects()], [['a'], []])
  await receive('tbank', [event('a', { Amount: 2 }), event('a')])
  assert.equal(queued.length, 1, 'what came before is passed over')
  await settle()
  assert.deepEqual(seen, [{ id: 'a', type: 'CONFIRMED', payload }, ' open afterwards'])
  await receive('tbank', [event('a')])
  await settle()
  assert.deepEqual([await unprocessed(), await effects()], [[], ['a']])
})

test('the same id at another provider is another event', async () => {
  const { receive, on, settle } = scene()
  const others: string[] = []
  on('ton', {
    async apply(_em, { id }) {
      others.push(id)
      return undefined
    },
  })
  await receive('tbank', [event('a')])
  await receive('ton', [event('a')])
  await settle()
  assert.deepEqual([await effects(), others], [['a'], ['a']])
})

test('an event that its handler does not know is done with', async () => {
  const { receive, settle } = scene({ apply: async () => undefined })
  await receive('tbank', [event('a')])
  await settle()
  assert.deepEqual([await unprocessed(), await effects()], [[], []])
})

test('what fails in either half leaves no trace, and is tried again', async () => {
  let fails: 'prepare' | 'apply' | undefined
  const { receive, queued, runJob } = scene({
    async prepare() {
      if (fails === 'prepare') throw new Error('the provider is away')
      return 'facts'
    },
    async apply(em, { id }, facts) {
      await run(em, sql`insert into effects (event_id, note) values (${id}, ${facts as string})`)
      if (fails === 'apply') throw new Error('not now')
      return undefined
    },
  })
  await receive('tbank', [event('a')])
  const [job] = queued
  assert.ok(job)
  for (fails of ['prepare', 'apply'] as const) {
    await assert.rejects(runJob(job.name, job.data), /away|not now/)
    assert.deepEqual([await unprocessed(), await effects()], [['a'], []])
  }
  fails = undefined
  await runJob(job.name, job.data)
  assert.deepEqual([await unprocessed(), await effects()], [[], ['a']])
})

test('twenty deliveries and twenty jobs at once have one effect', async () => {
  const { receive, queued, runJob } = scene({ prepare: () => new Promise((resolve) => setImmediate(resolve)) })
  const batch = ['c', 'a', 'b'].map((id) => event(id))
  await Promise.all(Array.from({ length: 20 }, (_, i) => receive('tbank', i % 2 ? batch : batch.toReversed())))
  assert.equal(queued.length, 3)
  const jobs = Array.from({ length: 20 }, () => queued).flat()
  await Promise.all(jobs.map(({ name, data }) => runJob(name, data)))
  assert.deepEqual([await unprocessed(), await effects()], [[], ['a', 'b', 'c']])
})

test('a handler is told when its reading began, by the clock of the database', async () => {
  let [inPrepare, told] = ['', '']
  const { receive, settle } = scene({
    async prepare() {
      const [row] = await rows.database.query(sql<{ now: string }>`
        select to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as now`)
      inPrepare = row?.now ?? ''
    },
    async apply(em, _event, _facts, readStartedAt) {
      // as it is written into a column
      const [row] = await run(
        em,
        sql<{ same: boolean }>`
        select to_char(${readStartedAt}::timestamptz at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
          = ${readStartedAt}::text as same`,
      )
      assert.ok(row?.same)
      told = readStartedAt
      return undefined
    },
  })
  await receive('tbank', [event('a')])
  await settle()
  assert.match(told, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
  // the embedded database's clock may not have moved in between
  assert.ok(told <= inPrepare, `${told} is after ${inPrepare}`)
})

test('what was left lying is found, whatever else fails, and not before its job had its time', async () => {
  const { receive, runJob } = scene({
    async apply(em, { id }) {
      await run(em, sql`insert into effects (event_id) values (${id})`)
      if (id === 'broken') throw new Error('always')
      return undefined
    },
  })
  await receive(
    'tbank',
    ['broken', 'fresh', 'left', 'given up'].map((id) => event(id)),
  )
  await receive('stripe', [event('of nobody')])
  for (const id of ['broken', 'left', 'of nobody']) await age(id, 60)
  await age('given up', 8 * 86_400)
  logged.length = 0
  await runJob('provider-events-sweep')
  assert.deepEqual(await effects(), ['left'])
  assert.deepEqual(await unprocessed(), ['broken', 'fresh', 'given up', 'of nobody'])
  assert.equal(logged.length, 1)
  assert.match(logged[0] ?? '', /"eventId":"broken"/)
})

test('a job of an event that nobody handles fails, and the event stays', async () => {
  const { receive, settle } = scene()
  await receive('stars', [event('a')])
  await assert.rejects(settle(), /nobody handles/)
  assert.deepEqual(await unprocessed(), ['a'])
})

test('processed events are cleared away after 90 days, open ones never', async () => {
  const { receive, settle, runJob } = scene()
  await receive('tbank', [event('old'), event('young')])
  await settle()
  await receive('tbank', [event('open')])
  await age('old', 90 * 86_400 + 60)
  await age('young', 90 * 86_400 - 60)
  await age('open', 400 * 86_400)
  await runJob('provider-events-clear')
  const kept = await rows.database.query(sql<{ id: string }>`select event_id as id from provider_events order by 1`)
  assert.deepEqual(
    kept.map(({ id }) => id),
    ['open', 'young'],
  )
})

test('what the database cannot store of a text is replaced, and nothing else', async () => {
  let seen: unknown
  const { receive, settle } = scene({
    async apply(_em, { payload }) {
      seen = payload
      return undefined
    },
  })
  await receive('tbank', [
    event('a', { nul: 'a\0b', half: 'x\ud83dy', low: '\udc00', pair: '😀', slash: '\\u0000 \\\\ud800', 'k\0': 1 }),
  ])
  await settle()
  assert.deepEqual(seen, {
    ...{ nul: 'a\ufffdb', half: 'x\ufffdy', low: '\ufffd', pair: '😀', slash: '\\u0000 \\\\ud800', 'k\ufffd': 1 },
  })
})
