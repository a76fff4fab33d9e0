import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { sql } from 'kysely'
import type { Output } from '../../src/billing/billing.contract.ts'
import type { ModelRun, RunUsage } from '../../src/billing/usage-log.ts'
import { newId } from '../../src/kernel/ids.ts'
import { actorOf, startBilling, type TestBilling } from '../support/billing.ts'
import { withCode } from '../support/identity.ts'

let billing: TestBilling
before(async () => {
  billing = await startBilling()
})
after(() => billing.close())

const ran = (modelId: string, inputTokens: number, outputTokens: number, more: Partial<ModelRun> = {}): ModelRun => ({
  modelId,
  inputTokens,
  outputTokens,
  succeeded: true,
  processingTimeMs: 500,
  ...more,
})

/** A run of that user at that time, settled; its window has room unless the plan has none. */
async function runOf(userId: string, at: string, models: ModelRun[], more: Partial<RunUsage> = {}) {
  billing.setClock(at)
  const { reservationId } = await billing.meter.reserve(
    { userId },
    { inputTokens: 1000, maxOutputTokens: 1000, modelIds: models.map(({ modelId }) => modelId) },
  )
  return await billing.meter.settle(reservationId, { models, ...more })
}

const usageOf = (userId: string, input: object = {}) => billing.call<Output<'usage:get'>>('usage:get', input, userId)

describe('one’s own usage', () => {
  let userId: string
  const conversationId = newId()
  before(async () => {
    userId = await billing.person()
    await runOf(userId, '2026-06-08T23:30:00.000Z', [ran('gpt-4o', 100, 50)], { conversationId })
    await runOf(userId, '2026-06-09T00:10:00.000Z', [ran('gpt-4o', 200, 100), ran('o1', 200, 300)], { conversationId })
    await runOf(userId, '2026-06-09T18:00:00.000Z', [ran('o1', 10, 5, { succeeded: false })])
    await runOf(await billing.person(), '2026-06-09T18:00:00.000Z', [ran('o1', 7777, 7777)], { conversationId })
    billing.setClock('2026-06-10T12:00:00.000Z')
  })

  test('adds up by day, by model and by conversation', async () => {
    const total = { runs: 3, inputTokens: 510, outputTokens: 455, credits: 0 }
    const range = { from: '2026-05-12', to: '2026-06-10', timezone: 'UTC' }
    assert.deepEqual(await usageOf(userId), {
      ...range,
      groupBy: 'day',
      items: [
        { day: '2026-06-08', runs: 1, inputTokens: 100, outputTokens: 50, credits: 0 },
        { day: '2026-06-09', runs: 2, inputTokens: 410, outputTokens: 405, credits: 0 },
      ],
      total,
    })
    assert.deepEqual(await usageOf(userId, { groupBy: 'model' }), {
      ...range,
      groupBy: 'model',
      items: [
        { modelId: 'o1', runs: 2, inputTokens: 210, outputTokens: 305, credits: 0 },
        { modelId: 'gpt-4o', runs: 2, inputTokens: 300, outputTokens: 150, credits: 0 },
      ],
      total,
    })
    assert.deepEqual(await usageOf(userId, { groupBy: 'conversation' }), {
      ...range,
      groupBy: 'conversation',
      items: [
        { conversationId, runs: 2, inputTokens: 500, outputTokens: 450, credits: 0 },
        { runs: 1, inputTokens: 10, outputTokens: 5, credits: 0 },
      ],
      total,
    })
  })

  test('days are those of the user’s time zone', async () => {
    const days = async (timezone: string) => {
      await billing.database.query(sql`
        insert into user_preferences (user_id, timezone) values (${userId}, ${timezone})
        on conflict (user_id) do update set timezone = excluded.timezone`)
      const usage = await usageOf(userId)
      return [usage.timezone, usage.to, ...usage.items.map(({ day, runs }) => `${day}: ${runs}`)]
    }
    assert.deepEqual(await days('Asia/Seoul'), ['Asia/Seoul', '2026-06-10', '2026-06-09: 2', '2026-06-10: 1'])
    billing.setClock('2026-06-10T02:00:00.000Z')
    assert.deepEqual(await days('America/New_York'), [
      'America/New_York',
      '2026-06-09',
      '2026-06-08: 2',
      '2026-06-09: 1',
    ])
    billing.setClock('2026-06-10T12:00:00.000Z')
    assert.deepEqual(await days('Mars/Olympus'), ['UTC', '2026-06-10', '2026-06-08: 1', '2026-06-09: 2'])
  })

  test('from and to are days, both included', async () => {
    const runs = async (from: string, to: string) => (await usageOf(userId, { from, to })).total.runs
    assert.equal(await runs('2026-06-08', '2026-06-08'), 1)
    assert.equal(await runs('2026-06-09', '2026-06-09'), 2)
    assert.equal(await runs('2026-06-10', '2026-06-30'), 0)
    assert.deepEqual((await usageOf(userId, { to: '2026-06-08' })).from, '2026-05-10')
    await assert.rejects(usageOf(userId, { from: '2026-06-09', to: '2026-06-08' }), withCode('invalid_request'))
    await assert.rejects(usageOf(userId, { from: '2025-01-01', to: '2026-06-08' }), withCode('invalid_request'))
    await assert.rejects(usageOf(userId, { from: '2026-07-01' }), withCode('invalid_request'))
    const { contract } = billing.routes.find(({ operation }) => operation.name === 'usage:get')!.operation
    for (const from of ['2026-02-30', '2026-6-1', '0001-01-01', '2026-06-01T00:00:00Z', 5]) {
      assert.equal(contract.input.safeParse({ from }).success, false, String(from))
    }
  })

  test('the credits of a run are shared among its models, and add up', async () => {
    const person = await billing.person()
    await billing.call('wallet:update', { overageEnabled: true }, person)
    await billing.database.query(sql`
      update wallets set tokens_used = 100000, tokens_reset_at = '2026-06-11T00:00:00Z' where user_id = ${person}`)
    billing.setClock('2026-06-10T12:00:00.000Z')
    const { credits } = await runOf(person, '2026-06-10T13:00:00.000Z', [
      ran('gpt-4o', 900, 400),
      ran('o1', 900, 600),
      ran('o3-mini', 900, 900, { succeeded: false }),
    ])
    // 1,800 + 2.5 × 1,000 effective tokens of those that succeeded
    assert.equal(credits, 5)
    const usage = await usageOf(person, { groupBy: 'model' })
    assert.deepEqual(
      usage.items.map((item) => [item.modelId, item.credits]),
      [
        ['o3-mini', 0],
        ['o1', 2],
        ['gpt-4o', 3],
      ],
    )
    assert.equal(usage.total.credits, 5)
  })
})

describe('runs without an account', () => {
  test('are logged with address and a hash of the client, and are nobody’s', async () => {
    billing.setClock('2026-03-05T12:00:00.000Z')
    const { usageLogId } = await billing.usage.logAnonymous({
      models: [ran('gpt-4o', 100, 200), ran('home-made', 5, 5)],
      ip: '203.0.113.7',
      fingerprint: 'Firefox on Linux',
      inputLength: 420,
    })
    const [log] = await billing.database.query(sql<Record<string, never>>`
      select * from usage_logs where id = ${usageLogId}`)
    assert.deepEqual(
      [log?.user_id, log?.ip, log?.input_length, Number(log?.credits_used), log?.models_used],
      [null, '203.0.113.7', 420, 0, ['gpt-4o', 'home-made']],
    )
    assert.deepEqual(
      Buffer.from(log?.browser_fingerprint ?? ''),
      createHash('sha256').update('Firefox on Linux').digest(),
    )
    assert.deepEqual([Number(log?.actual_cost), Number(log?.estimated_cost)], [0.0023, 0.0023])
    await assert.rejects(billing.usage.logAnonymous({ models: [ran('o1', -1, 1)] }), withCode('invalid_request'))
  })
})

describe('the figures of a month', () => {
  const admin = actorOf(newId(), 'admin')
  const months = async (input: object = {}) =>
    billing.call<Output<'staff:usage-monthly'>>('staff:usage-monthly', input, admin)

  test('are the sums of its logs, and computing them again gives the same', async () => {
    const userId = await billing.person()
    const small = ran('gpt-4o-mini', 100, 30)
    await runOf(userId, '2026-02-01T00:00:00.000Z', [small])
    await runOf(userId, '2026-02-28T23:59:59.999Z', [small, ran('o1', 500, 1000, { succeeded: false })])
    await runOf(userId, '2026-01-31T23:59:59.999Z', [ran('o1', 1, 1)])
    await runOf(userId, '2026-03-01T00:00:00.000Z', [ran('o1', 1, 1)])
    await billing.runJob('usage-months')
    const { items } = await months()
    const february = items.find(({ month }) => month === 2)
    assert.deepEqual(february, {
      year: 2026,
      month: 2,
      totalRuns: 2,
      totalModelsRequested: 3,
      totalModelsSuccessful: 2,
      totalModelsFailed: 1,
      totalInputTokens: 700,
      totalOutputTokens: 1060,
      totalEffectiveTokens: 3350,
      avgInputTokens: 350,
      avgOutputTokens: 530,
      avgOutputRatio: 1.5143,
      totalCreditsUsed: 0,
      avgCreditsPerRun: 0,
      // twice 0.000033, which each log alone would round to nothing, and 0.0675
      totalActualCost: 0.0676,
      totalEstimatedCost: 0.0766,
      modelBreakdown: {
        'gpt-4o-mini': { runs: 2, failed: 0, inputTokens: 200, outputTokens: 60, credits: 0, cost: 0.000066 },
        o1: { runs: 1, failed: 1, inputTokens: 500, outputTokens: 1000, credits: 0, cost: 0.0675 },
      },
    })
    assert.deepEqual(
      items.map(({ month }) => month),
      [3, 2],
    )
    await billing.runJob('usage-months')
    assert.deepEqual(await months(), { items })
  })

  test('follow what is settled late, and stay when the logs are gone', async () => {
    const userId = await billing.person()
    await runOf(userId, '2025-07-15T00:00:00.000Z', [ran('o1', 10, 10)])
    const july = async () =>
      (await months({ limit: 120 })).items.find(({ year, month }) => year === 2025 && month === 7)
    await billing.runJob('usage-months')
    assert.equal((await july())?.totalRuns, 1)
    await runOf(userId, '2025-07-31T23:59:00.000Z', [ran('o1', 10, 10)])
    billing.setClock('2025-08-01T01:00:00.000Z')
    await billing.runJob('usage-months')
    assert.equal((await july())?.totalRuns, 2)
    await billing.database.query(sql`delete from usage_logs where user_id = ${userId}`)
    await billing.runJob('usage-months')
    assert.equal((await july())?.totalRuns, 2)
  })

  test('come in pages, newest first', async () => {
    const all = (await months({ limit: 120 })).items
    const first = await months({ limit: 1 })
    const second = await months({ limit: 120, cursor: first.nextCursor })
    assert.deepEqual([...first.items, ...second.items], all)
    assert.equal(second.nextCursor, undefined)
    await assert.rejects(months({ cursor: 'WzIwMjYsMTNd' }), withCode('invalid_request'))
  })
})

test('a user’s export has the wallet, the whole ledger, the holds and the usage, and nobody else’s', async () => {
  billing.setClock('2026-06-20T12:00:00.000Z')
  const [userId, other] = [await billing.person(), await billing.person()]
  for (const person of [userId, other]) {
    await runOf(person, '2026-06-20T12:00:00.000Z', [ran('o1', 10, 20)], { ip: '203.0.113.9', fingerprint: 'x' })
    await billing.database.transact(async (em) => {
      for (let n = 0; n < 205; n++) {
        await billing.ledger.post(em, { userId: person, type: 'use', amount: -1, key: `export:${person}:${n}` })
      }
      const key = `export:${person}`
      await billing.ledger.hold(em, { userId: person, amount: 3, key, expiresAt: new Date('2026-07-01') })
    })
  }
  const exported = new Map<string, Record<string, unknown>[]>()
  for (const { name, rows } of billing.sections) {
    const found: Record<string, unknown>[] = []
    for await (const row of rows(userId)) found.push(row as Record<string, unknown>)
    exported.set(name, found)
  }
  const [wallet] = exported.get('wallet') ?? []
  assert.deepEqual([wallet?.plan, wallet?.credits, wallet?.held, wallet?.tokensUsed], ['basic', 795, 3, 30])
  const ledger = exported.get('ledger') ?? []
  assert.deepEqual(
    ledger.map(({ seq }) => seq),
    Array.from({ length: 206 }, (_, n) => n + 1),
  )
  assert.equal(
    ledger.reduce((sum, { amount }) => sum + Number(amount), 0),
    795,
  )
  assert.deepEqual(
    exported.get('holds')?.map(({ amount, status, expiresAt }) => [amount, status, expiresAt]),
    [[3, 'held', '2026-07-01T00:00:00.000Z']],
  )
  const [usage, ...more] = exported.get('usage') ?? []
  assert.deepEqual([usage?.models, usage?.ip, usage?.inputTokens, more], [['o1'], '203.0.113.9', 10, []])
  assert.ok(!('browserFingerprint' in (usage ?? {})))
})
