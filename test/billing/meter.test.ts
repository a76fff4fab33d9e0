import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { sql } from 'kysely'
import { effectiveTokens, overageCredits, settlement, splitCredits } from '../../src/billing/meter.ts'
import type { ModelRun } from '../../src/billing/usage-log.ts'
import { newId } from '../../src/kernel/ids.ts'
import { checkInvariants, startBilling, type TestBilling } from '../support/billing.ts'
import { withCode } from '../support/identity.ts'

describe('the arithmetic', () => {
  test('effective tokens are input and two and a half times output, rounded up', () => {
    assert.equal(effectiveTokens({ input: 1000, output: 400 }), 2000)
    assert.equal(effectiveTokens({ input: 0, output: 1 }), 3)
    assert.equal(effectiveTokens({ input: 7, output: 0 }), 7)
    assert.equal(effectiveTokens({ input: 10 ** 15, output: 10 ** 15 + 1 }), 3_500_000_000_000_003)
  })

  test('a credit pays for so many effective tokens, rounded up, of the part beyond the quota', () => {
    const tokens = { input: 1000, output: 400 }
    assert.equal(overageCredits(tokens, 1400, 1000), 2)
    assert.equal(overageCredits({ input: 1001, output: 400 }, 1401, 1000), 3)
    assert.equal(overageCredits(tokens, 700, 1000), 1)
    assert.equal(overageCredits(tokens, 701, 1000), 2)
    assert.equal(overageCredits(tokens, 1, 1000), 1)
    assert.equal(overageCredits(tokens, 0, 1000), 0)
    assert.equal(overageCredits({ input: 0, output: 0 }, 0, 1000), 0)
    assert.equal(overageCredits(tokens, 1400, 1), 2000)
  })

  test('a run is charged to its window first, then up to what is held', () => {
    const tokens = { input: 500, output: 500 }
    const charge = (tokensReserved: number, room: number, held: number) =>
      settlement(tokens, { tokens: tokensReserved, room, held }, 100)
    assert.deepEqual(charge(2000, 0, 0), { fromWindow: 1000, credits: 0 })
    assert.deepEqual(charge(400, 0, 0), { fromWindow: 1000, credits: 0 })
    assert.deepEqual(charge(400, 0, 99), { fromWindow: 400, credits: 11 })
    assert.deepEqual(charge(400, 100, 99), { fromWindow: 500, credits: 9 })
    assert.deepEqual(charge(400, 0, 3), { fromWindow: 400, credits: 3 })
    assert.deepEqual(charge(1000, 0, 99), { fromWindow: 1000, credits: 0 })
    assert.deepEqual(charge(0, 5000, 99), { fromWindow: 1000, credits: 0 })
  })

  test('credits are split so that the parts make the whole', () => {
    assert.deepEqual(splitCredits(10, [1, 1, 1]), [4, 3, 3])
    assert.deepEqual(splitCredits(2, [0, 5, 0, 5]), [0, 1, 0, 1])
    assert.deepEqual(splitCredits(1, [0, 1, 999]), [0, 1, 0])
    assert.deepEqual(splitCredits(0, [1, 2]), [0, 0])
    assert.deepEqual(splitCredits(0, [0, 0]), [0, 0])
  })
})

let billing: TestBilling
before(async () => {
  billing = await startBilling()
})
after(async () => {
  await checkInvariants(billing.database)
  await billing.close()
})

const model = 'gpt-4o'
const reserve = (userId: string, inputTokens: number, maxOutputTokens: number, modelIds = [model]) =>
  billing.meter.reserve({ userId }, { inputTokens, maxOutputTokens, modelIds })
const ran = (inputTokens: number, outputTokens: number, more: Partial<ModelRun> = {}): ModelRun => ({
  modelId: model,
  inputTokens,
  outputTokens,
  succeeded: true,
  processingTimeMs: 900,
  ...more,
})
const settle = (reservationId: string, ...models: ModelRun[]) => billing.meter.settle(reservationId, { models })
const walletOf = (userId: string) => billing.wallets.get(userId)
const usedOf = async (userId: string) => (await walletOf(userId)).tokens.used
const allowOverage = (userId: string) => billing.call('wallet:update', { overageEnabled: true }, userId)

describe('the quota', () => {
  let userId: string
  beforeEach(async () => {
    userId = await billing.person()
  })

  test('a run takes its estimate from the window and gives back what it did not use', async () => {
    const reserved = await reserve(userId, 1000, 4000)
    const resetAt = new Date(billing.clock().getTime() + 6 * 3_600_000)
    assert.deepEqual([reserved.tokens, reserved.credits, reserved.resetAt], [5000, 0, resetAt])
    assert.deepEqual((await walletOf(userId)).tokens, {
      limit: 100_000,
      used: 5000,
      remaining: 95_000,
      resetAt: resetAt.toISOString(),
    })
    const settled = await settle(reserved.reservationId, ran(900, 1100))
    assert.deepEqual([settled.credits, settled.tokens], [0, 2000])
    const { tokens, credits } = await walletOf(userId)
    assert.deepEqual([tokens.used, credits], [2000, 1000])
  })

  test('what does not fit is refused with the time of the reset, and takes nothing', async () => {
    await reserve(userId, 50_000, 40_000)
    const resetAt = new Date(billing.clock().getTime() + 6 * 3_600_000).toISOString()
    await assert.rejects(reserve(userId, 5000, 5001), (error: unknown) => {
      const { code, details } = error as { code: string; details: object }
      assert.deepEqual([code, details], ['quota_exceeded', { resetAt }])
      return true
    })
    assert.equal(await usedOf(userId), 90_000)
    await reserve(userId, 5000, 5000)
    assert.equal(await usedOf(userId), 100_000)
  })

  test('the window begins with the first run, and the next one begins when it has ended', async () => {
    billing.advance({ minutes: 7 })
    const first = await reserve(userId, 50_000, 50_000)
    billing.advance({ hours: 5, minutes: 59 })
    await assert.rejects(reserve(userId, 1, 1), withCode('quota_exceeded'))
    billing.advance({ minutes: 1 })
    assert.deepEqual((await walletOf(userId)).tokens, { limit: 100_000, used: 0, remaining: 100_000 })
    billing.advance({ hours: 3 })
    const second = await reserve(userId, 60_000, 30_000)
    assert.equal(second.resetAt.getTime(), first.resetAt.getTime() + 9 * 3_600_000)
    assert.equal(await usedOf(userId), 90_000)
  })

  test('a run that is settled after the reset leaves the new window alone', async () => {
    const old = await reserve(userId, 30_000, 30_000)
    const cancelled = await reserve(userId, 10_000, 10_000)
    billing.advance({ hours: 6 })
    await reserve(userId, 1000, 1000)
    const settled = await settle(old.reservationId, ran(100, 100))
    assert.equal(settled.tokens, 200)
    await billing.meter.cancel(cancelled.reservationId)
    assert.equal(await usedOf(userId), 2000)
  })

  test('a run that is settled after the end of its window, before another begins, cannot disturb the next', async () => {
    const { reservationId } = await reserve(userId, 30_000, 30_000)
    billing.advance({ hours: 7 })
    await settle(reservationId, ran(30_000, 20_000))
    await reserve(userId, 50_000, 50_000)
    assert.equal(await usedOf(userId), 100_000)
  })

  test('of many runs at once on the last tokens of a window, as many are let in as fit', async () => {
    const results = await Promise.allSettled(Array.from({ length: 30 }, () => reserve(userId, 5000, 5000)))
    const refused = results.filter((result) => result.status === 'rejected')
    assert.equal(results.length - refused.length, 10)
    for (const { reason } of refused) assert.equal(reason.code, 'quota_exceeded')
    assert.equal(await usedOf(userId), 100_000)
  })

  test('the reset happens once, however many runs come at that moment', async () => {
    await reserve(userId, 50_000, 50_000)
    billing.advance({ hours: 6 })
    const reserved = await Promise.all(Array.from({ length: 8 }, () => reserve(userId, 1000, 1000)))
    assert.equal(new Set(reserved.map(({ resetAt }) => resetAt.getTime())).size, 1)
    assert.equal(await usedOf(userId), 16_000)
  })

  test('a comparison takes the estimate of each of its models', async () => {
    const { tokens } = await reserve(userId, 1000, 2000, ['gpt-4o', 'o1', 'gpt-4o-mini'])
    assert.equal(tokens, 9000)
  })

  test('a plan without a limit never ends', async () => {
    await billing.database.transact((em) =>
      billing.plans.assign(em, { userId, planCode: 'unlimited', until: null, at: billing.clock(), reason: 'initial' }),
    )
    for (let n = 0; n < 3; n++) await reserve(userId, 500_000_000, 500_000_000)
    const { tokens, held } = await walletOf(userId)
    assert.deepEqual([tokens.limit, tokens.remaining, tokens.used, held], [undefined, undefined, 3_000_000_000, 0])
  })

  test('a plan that ends takes its quota with it at that moment, before any job has run', async () => {
    const until = new Date(billing.clock().getTime() + 3_600_000)
    await billing.database.transact((em) =>
      billing.plans.assign(em, { userId, planCode: 'premium_starter', until, at: billing.clock(), reason: 'initial' }),
    )
    await reserve(userId, 100_000, 100_000)
    billing.advance({ minutes: 60, ms: -1 })
    assert.equal((await walletOf(userId)).tokens.limit, 500_000)
    await reserve(userId, 1, 1)
    billing.advance({ ms: 1 })
    const { plan, tokens } = await walletOf(userId)
    assert.deepEqual([plan, tokens.limit, tokens.remaining], ['basic', 100_000, 0])
    await assert.rejects(reserve(userId, 1, 1), withCode('quota_exceeded'))
  })

  test('a larger plan counts at once, with what was used already', async () => {
    await reserve(userId, 50_000, 50_000)
    await assert.rejects(reserve(userId, 1, 1), withCode('quota_exceeded'))
    await billing.database.transact((em) =>
      billing.plans.assign(em, {
        userId,
        planCode: 'premium_pro',
        until: null,
        at: billing.clock(),
        reason: 'upgrade',
      }),
    )
    await reserve(userId, 1_000_000, 900_000)
    await assert.rejects(reserve(userId, 1, 1), withCode('quota_exceeded'))
  })

  test('estimates that are none, models that are not there and agents are refused', async () => {
    for (const [input, output, models] of [
      [-1, 5, [model]],
      [5, 0, [model]],
      [1.5, 5, [model]],
      [5, Number.NaN, [model]],
      [5, 2 ** 40, [model]],
      [5, 5, []],
    ] as const) {
      await assert.rejects(reserve(userId, input, output, [...models]), withCode('invalid_request'))
    }
    await assert.rejects(reserve(userId, 5, 5, ['gpt-9']), withCode('not_found'))
    await billing.database.query(sql`update ai_models set is_active = false where id = 'o1'`)
    await assert.rejects(reserve(userId, 5, 5, ['o1']), withCode('not_found'))
    await billing.database.query(sql`update ai_models set is_active = true where id = 'o1'`)
    await assert.rejects(reserve(await billing.agent(), 5, 5), withCode('not_found'))
    assert.equal(await usedOf(userId), 0)
  })
})

describe('beyond the quota', () => {
  let userId: string
  beforeEach(async () => {
    userId = await billing.person({ credits: 500 })
    await reserve(userId, 90_000, 4000)
    await allowOverage(userId)
  })

  test('an estimate that straddles the quota is split in proportion, and its rest held as credits', async () => {
    const reserved = await reserve(userId, 12_000, 8000)
    // 6,000 of 20,000 tokens fit; 14/20 of 12,000 + 2.5 × 8,000 effective tokens are 22,400
    assert.deepEqual([reserved.tokens, reserved.credits], [6000, 23])
    const { tokens, credits, held } = await walletOf(userId)
    assert.deepEqual([tokens.remaining, credits, held], [0, 500, 23])
  })

  test('what the run took is charged to the window first, and its rest captured, rounded up', async () => {
    const { reservationId } = await reserve(userId, 12_000, 8000)
    const settled = await settle(reservationId, ran(9000, 1000))
    // 4,000 of 10,000 tokens beyond: 4/10 of 9,000 + 2,500 effective tokens are 4,600
    assert.deepEqual([settled.credits, settled.tokens], [5, 10_000])
    const { tokens, credits, held } = await walletOf(userId)
    assert.deepEqual([tokens.used, credits, held], [100_000, 495, 0])
    const [row] = await billing.database.query(sql<{
      usage: string
      isOverage: boolean
      charge: string
      count: number
    }>`
      select t.usage_log_id as usage, u.is_overage as "isOverage", u.overage_charge as charge, w.overage_count as count
      from credit_transactions t join usage_logs u on u.id = t.usage_log_id join wallets w on w.user_id = t.user_id
      where t.user_id = ${userId} and t.type = 'use'`)
    assert.deepEqual([row?.usage, row?.isOverage, Number(row?.charge), row?.count], [settled.usageLogId, true, 5, 1])
  })

  test('a run that fits into the window after all costs no credits', async () => {
    const { reservationId } = await reserve(userId, 12_000, 8000)
    assert.equal((await settle(reservationId, ran(2000, 1000))).credits, 0)
    const { tokens, credits, held } = await walletOf(userId)
    assert.deepEqual([tokens.used, credits, held], [97_000, 500, 0])
  })

  test('what others gave back to the window meanwhile is used before credits', async () => {
    const other = await reserve(userId, 3000, 3000)
    const { reservationId, tokens } = await reserve(userId, 2000, 2000)
    assert.equal(tokens, 0)
    await billing.meter.cancel(other.reservationId)
    assert.equal((await settle(reservationId, ran(2000, 2000))).credits, 0)
    const wallet = await walletOf(userId)
    assert.deepEqual([wallet.tokens.used, wallet.credits, wallet.held], [98_000, 500, 0])
  })

  test('never more is charged than was held', async () => {
    const { reservationId, credits } = await reserve(userId, 6000, 1000)
    assert.equal(credits, 2)
    assert.equal((await settle(reservationId, ran(6000, 50_000))).credits, 2)
    assert.deepEqual([(await walletOf(userId)).credits, await usedOf(userId)], [498, 100_000])
  })

  test('after the reset only the credits of the old reservation are charged', async () => {
    const { reservationId } = await reserve(userId, 12_000, 8000)
    billing.advance({ hours: 6 })
    await reserve(userId, 10, 10)
    assert.equal((await settle(reservationId, ran(12_000, 8000))).credits, 23)
    assert.deepEqual([(await walletOf(userId)).credits, await usedOf(userId)], [477, 20])
  })

  test('without enough credits the run is refused, and nothing is taken from the window either', async () => {
    await assert.rejects(reserve(userId, 100_000, 170_000), (error: unknown) => {
      const { code, details } = error as { code: string; details: object }
      assert.deepEqual([code, details], ['insufficient_credits', { required: 514, available: 500 }])
      return true
    })
    const { tokens, held } = await walletOf(userId)
    assert.deepEqual([tokens.used, held], [94_000, 0])
  })

  test('who does not want it is refused where the quota ends', async () => {
    await billing.call('wallet:update', { overageEnabled: false }, userId)
    await assert.rejects(reserve(userId, 4000, 4000), withCode('quota_exceeded'))
    assert.equal((await walletOf(userId)).held, 0)
  })

  test('the price is the operator’s', async () => {
    const cheap = await startBilling({ overageTokensPerCredit: 50_000 })
    try {
      const person = await cheap.person()
      await cheap.call('wallet:update', { overageEnabled: true }, person)
      const estimate = { inputTokens: 100_000, maxOutputTokens: 100_000, modelIds: [model] }
      assert.equal((await cheap.meter.reserve({ userId: person }, estimate)).credits, 4)
    } finally {
      await cheap.close()
    }
  })
})

describe('the end of a reservation', () => {
  let userId: string
  beforeEach(async () => {
    userId = await billing.person({ credits: 500 })
    await allowOverage(userId)
  })

  test('failed and empty runs cost nothing, and are logged', async () => {
    for (const models of [
      [],
      [ran(5000, 3000, { succeeded: false })],
      [ran(5000, 0)],
      [ran(5000, 0, { succeeded: false }), ran(5000, 0, { modelId: 'o1' })],
    ]) {
      const { reservationId } = await reserve(userId, 90_000, 90_000)
      const settled = await settle(reservationId, ...models)
      assert.deepEqual([settled.credits, settled.tokens], [0, 0])
      assert.ok(settled.usageLogId)
      const { tokens, credits, held } = await walletOf(userId)
      assert.deepEqual([tokens.used, credits, held], [0, 500, 0])
    }
  })

  test('of a comparison only the models that succeeded are charged', async () => {
    const { reservationId } = await reserve(userId, 100, 1000, ['gpt-4o', 'o1'])
    const settled = await settle(
      reservationId,
      ran(100, 400),
      ran(100, 300, { modelId: 'o1', succeeded: false, processingTimeMs: 2500 }),
    )
    assert.equal(settled.tokens, 500)
    assert.equal(await usedOf(userId), 500)
    const [log] = await billing.database.query(sql<Record<string, never>>`
      select * from usage_logs where id = ${settled.usageLogId}`)
    const figures = ['models_requested', 'models_successful', 'models_failed', 'processing_time_ms', 'input_tokens']
    const more = ['output_tokens', 'total_tokens', 'effective_tokens', 'credits_used', 'actual_cost', 'estimated_cost']
    assert.deepEqual(
      [...figures, ...more].map((column) => Number(log?.[column])),
      // 200 × $2.5 … $15 and 700 × $10 … $60 per million; the estimate had 1,000 of output each
      [2, 1, 1, 2500, 200, 700, 900, 1950, 0, 0.0238, 0.0718],
    )
    assert.deepEqual(log?.models_used, ['gpt-4o', 'o1'])
    assert.deepEqual(log?.model_usage, [
      { ...ran(100, 400), cost: 0.00425, credits: 0 },
      { ...ran(100, 300, { modelId: 'o1', succeeded: false, processingTimeMs: 2500 }), cost: 0.0195, credits: 0 },
    ])
  })

  test('settled again, whatever is said then, it gives the first answer', async () => {
    const { reservationId } = await reserve(userId, 90_000, 90_000)
    const first = await settle(reservationId, ran(90_000, 30_000))
    assert.equal(first.credits, 28)
    const again = await Promise.all([
      settle(reservationId, ran(90_000, 30_000)),
      settle(reservationId, ran(1, 1)),
      settle(reservationId),
    ])
    for (const answer of again) assert.deepEqual(answer, first)
    await assert.rejects(billing.meter.cancel(reservationId), withCode('conflict'))
    const { tokens, credits, held } = await walletOf(userId)
    assert.deepEqual([tokens.used, credits, held], [100_000, 472, 0])
    const logs = await billing.database.query(sql`select from usage_logs where user_id = ${userId}`)
    assert.equal(logs.length, 1)
  })

  test('settled and cancelled at once, it is one of them', async () => {
    for (let round = 0; round < 8; round++) {
      const before = await walletOf(userId)
      const { reservationId } = await reserve(userId, 60_000, 60_000)
      const [settled, cancelled] = await Promise.allSettled([
        settle(reservationId, ran(100, 100)),
        billing.meter.cancel(reservationId),
      ])
      assert.notEqual(settled.status, cancelled.status)
      assert.equal(await usedOf(userId), before.tokens.used + (settled.status === 'fulfilled' ? 200 : 0))
      assert.equal((await walletOf(userId)).held, 0)
    }
  })

  test('cancelled, all is given back; again it changes nothing, and it cannot be settled', async () => {
    const { reservationId } = await reserve(userId, 90_000, 90_000)
    await billing.meter.cancel(reservationId)
    await billing.meter.cancel(reservationId)
    const { tokens, credits, held } = await walletOf(userId)
    assert.deepEqual([tokens.used, credits, held], [0, 500, 0])
    await assert.rejects(settle(reservationId, ran(1, 1)), withCode('conflict'))
    await assert.rejects(settle(newId(), ran(1, 1)), withCode('not_found'))
    await assert.rejects(billing.meter.cancel(newId()), withCode('not_found'))
  })

  test('what a node left behind is given back by a job after an hour, once', async () => {
    await reserve(userId, 90_000, 90_000)
    billing.advance({ minutes: 59 })
    await billing.runJob('holds-expire')
    assert.deepEqual([(await walletOf(userId)).held, await usedOf(userId)], [140, 100_000])
    billing.advance({ minutes: 1 })
    billing.told.length = 0
    await billing.runJob('holds-expire')
    await billing.runJob('holds-expire')
    assert.deepEqual([(await walletOf(userId)).held, await usedOf(userId)], [0, 0])
    const told = billing.told.filter((it) => it.userId === userId)
    assert.deepEqual(
      told.map(({ event, payload }) => [event, payload.held]),
      [['wallet:changed', 0]],
    )
  })

  test('usage that cannot be is refused, and the reservation stays open', async () => {
    const { reservationId } = await reserve(userId, 10, 10)
    for (const model of [
      ran(-1, 5),
      ran(1.5, 5),
      ran(5, Number.NaN),
      ran(5, 2 ** 53),
      ran(1, 1, { processingTimeMs: -1 }),
    ]) {
      await assert.rejects(settle(reservationId, model), withCode('invalid_request'))
    }
    assert.equal((await settle(reservationId, ran(10, 10))).tokens, 20)
  })

  test('each of its steps is told to the user’s devices, with what is left', async () => {
    billing.told.length = 0
    const { reservationId } = await reserve(userId, 10_000, 10_000)
    await settle(reservationId, ran(10_000, 2000))
    const cancelled = await reserve(userId, 10_000, 10_000)
    await billing.meter.cancel(cancelled.reservationId)
    const told = billing.told.filter((it) => it.userId === userId && it.event === 'wallet:changed')
    assert.deepEqual(
      told.map(({ payload }) => (payload.tokens as { used: number }).used),
      [20_000, 12_000, 32_000, 12_000],
    )
  })

  test('within a transaction that fails, neither a reservation nor a settlement stays', async () => {
    const estimate = { inputTokens: 100, maxOutputTokens: 100, modelIds: [model] }
    const failing = (work: Parameters<TestBilling['database']['transact']>[0]) =>
      billing.database.transact(async (em) => {
        await work(em)
        throw new Error('the run could not begin')
      })
    await assert.rejects(
      failing((em) => billing.meter.reserveIn(em, { userId }, estimate)),
      /could not begin/,
    )
    assert.equal(await usedOf(userId), 0)
    const { reservationId } = await reserve(userId, 100, 100)
    await assert.rejects(
      failing((em) => billing.meter.settleIn(em, reservationId, { models: [ran(1, 1)] })),
      /could not begin/,
    )
    assert.equal(await usedOf(userId), 200)
    await billing.meter.cancel(reservationId)
  })
})
