import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql } from 'kysely'
import { newId } from '../../src/kernel/ids.ts'
import { checkInvariants, startBilling, type TestBilling } from '../support/billing.ts'
import { withCode } from '../support/identity.ts'

let billing: TestBilling
before(async () => {
  billing = await startBilling()
})
after(async () => {
  await checkInvariants(billing.database)
  await billing.close()
})

let keys = 0
const inAnHour = () => new Date(billing.clock().getTime() + 3_600_000)

const hold = (userId: string, amount: number, { key = `hold:${++keys}`, expiresAt = inAnHour() } = {}) =>
  billing.database.transact((em) => billing.ledger.hold(em, { userId, amount, key, expiresAt, description: 'A run' }))
const capture = (holdId: string, amount: number) =>
  billing.database.transact((em) => billing.ledger.capture(em, holdId, amount))
const release = (holdId: string) => billing.database.transact((em) => billing.ledger.release(em, holdId))
const spend = (userId: string, amount: number) =>
  billing.database.transact((em) =>
    billing.ledger.post(em, { userId, amount: -amount, type: 'use', key: `spend:${++keys}` }),
  )

const creditsOf = async (userId: string) => {
  const { credits, held, available } = await billing.wallets.get(userId)
  return { credits, held, available }
}

test('what is held is still there, and nobody else can spend or hold it', async () => {
  const userId = await billing.person({ credits: 100 })
  await hold(userId, 60)
  assert.deepEqual(await creditsOf(userId), { credits: 100, held: 60, available: 40 })
  const tooFew = (error: unknown) => {
    const { code, details } = error as { code: string; details: object }
    assert.deepEqual([code, details], ['insufficient_credits', { required: 41, available: 40 }])
    return true
  }
  await assert.rejects(spend(userId, 41), tooFew)
  await assert.rejects(hold(userId, 41), tooFew)
  await spend(userId, 40)
  assert.deepEqual(await creditsOf(userId), { credits: 60, held: 60, available: 0 })
})

test('a capture spends up to the held amount and gives back the rest', async () => {
  const userId = await billing.person({ credits: 100 })
  const part = await hold(userId, 60)
  const whole = await hold(userId, 40)
  const captured = await capture(part.holdId, 25)
  assert.deepEqual([captured.userId, captured.balance, captured.repeated], [userId, 75, false])
  assert.deepEqual(await creditsOf(userId), { credits: 75, held: 40, available: 35 })
  await capture(whole.holdId, 40)
  assert.deepEqual(await creditsOf(userId), { credits: 35, held: 0, available: 35 })
  const [row] = await billing.database.query(sql<{ type: string; description: string }>`
    select type, description from credit_transactions where id = ${captured.transactionId}`)
  assert.deepEqual(row, { type: 'use', description: 'A run' })
})

test('more than is held, or nothing, cannot be captured', async () => {
  const { holdId } = await hold(await billing.person(), 10)
  for (const amount of [11, 0, -1, 0.5, Number.NaN]) {
    await assert.rejects(capture(holdId, amount), withCode('invalid_request'))
  }
  assert.equal((await capture(holdId, 10)).repeated, false)
})

test('a released hold gives everything back', async () => {
  const userId = await billing.person({ credits: 10 })
  const { holdId } = await hold(userId, 10)
  assert.deepEqual(await release(holdId), { userId, repeated: false })
  assert.deepEqual(await creditsOf(userId), { credits: 10, held: 0, available: 10 })
})

test('a hold is resolved once: again gives the same answer, otherwise is a conflict', async () => {
  const userId = await billing.person({ credits: 100 })
  const taken = await hold(userId, 50)
  const first = await capture(taken.holdId, 20)
  await spend(userId, 5)
  assert.deepEqual(await capture(taken.holdId, 20), { ...first, repeated: true })
  await assert.rejects(capture(taken.holdId, 21), withCode('conflict'))
  await assert.rejects(release(taken.holdId), withCode('conflict'))
  const given = await hold(userId, 50)
  await release(given.holdId)
  assert.deepEqual(await release(given.holdId), { userId, repeated: true })
  await assert.rejects(capture(given.holdId, 50), withCode('conflict'))
  assert.deepEqual(await creditsOf(userId), { credits: 75, held: 0, available: 75 })
  await assert.rejects(capture(newId(), 1), withCode('not_found'))
  await assert.rejects(release(newId()), withCode('not_found'))
})

test('capture and release of one hold at once: one of them resolves it', async () => {
  const userId = await billing.person({ credits: 1000 })
  for (let round = 0; round < 10; round++) {
    const { holdId } = await hold(userId, 10)
    const { credits } = await creditsOf(userId)
    const results = await Promise.allSettled([capture(holdId, 4), release(holdId), capture(holdId, 7), release(holdId)])
    const refused = results.filter((result) => result.status === 'rejected')
    for (const { reason } of refused) assert.equal(reason.code, 'conflict')
    const captured = results.flatMap((result, at) =>
      result.status === 'fulfilled' && at % 2 === 0 ? [[4, 0, 7][at]!] : [],
    )
    assert.equal(refused.length, captured.length === 1 ? 3 : 2)
    assert.deepEqual(await creditsOf(userId), {
      credits: credits - (captured[0] ?? 0),
      held: 0,
      available: credits - (captured[0] ?? 0),
    })
  }
})

test('a repeated key gives the first hold, another input under it is refused', async () => {
  const [userId, other] = [await billing.person({ credits: 100 }), await billing.person()]
  const key = `hold:${++keys}`
  const first = await hold(userId, 60, { key })
  billing.advance({ minutes: 1 })
  const again = await Promise.all(Array.from({ length: 5 }, () => hold(userId, 60, { key })))
  for (const repeat of again) assert.deepEqual(repeat, { ...first, repeated: true })
  await capture(first.holdId, 60)
  assert.deepEqual(await hold(userId, 60, { key }), { ...first, repeated: true })
  await assert.rejects(hold(userId, 61, { key }), withCode('idempotency_conflict'))
  await assert.rejects(hold(other, 60, { key }), withCode('idempotency_conflict'))
  assert.deepEqual(await creditsOf(userId), { credits: 40, held: 0, available: 40 })
  assert.equal((await creditsOf(other)).held, 0)
})

test('amounts that are none cannot be held, and agents hold nothing', async () => {
  const userId = await billing.person()
  for (const amount of [0, -1, 1.5, Number.NaN, 2 ** 53]) {
    await assert.rejects(hold(userId, amount), withCode('invalid_request'))
  }
  await assert.rejects(hold(await billing.agent(), 1), withCode('not_found'))
})

test('holds that nobody resolves are released by a job when their time is over, and the user is told', async () => {
  const userId = await billing.person({ credits: 100 })
  const early = await hold(userId, 30)
  const kept = await hold(userId, 20, { expiresAt: new Date(billing.clock().getTime() + 7_200_000) })
  const captured = await hold(userId, 10)
  await capture(captured.holdId, 10)
  billing.advance({ minutes: 59 })
  await billing.runJob('holds-expire')
  assert.deepEqual(await creditsOf(userId), { credits: 90, held: 50, available: 40 })
  billing.advance({ minutes: 1 })
  billing.told.length = 0
  await billing.runJob('holds-expire')
  assert.deepEqual(await creditsOf(userId), { credits: 90, held: 20, available: 70 })
  assert.deepEqual(
    billing.told.map(({ userId: to, event, payload }) => [to, event, payload.held]),
    [[userId, 'wallet:changed', 20]],
  )
  await assert.rejects(capture(early.holdId, 30), withCode('conflict'))
  await billing.runJob('holds-expire')
  assert.equal(billing.told.length, 1)
  await capture(kept.holdId, 20)
})

test('a hold that was captured just before its time was over stays captured', async () => {
  const userId = await billing.person({ credits: 100 })
  const { holdId } = await hold(userId, 30)
  await capture(holdId, 10)
  assert.equal(await billing.database.transact((em) => billing.ledger.expire(em, holdId)), undefined)
  assert.deepEqual(await creditsOf(userId), { credits: 90, held: 0, available: 90 })
  assert.equal((await capture(holdId, 10)).repeated, true)
})

test('hundreds of expired holds are all released in one go', async () => {
  const userId = await billing.person({ credits: 500 })
  await billing.database.transact(async (em) => {
    for (let n = 0; n < 250; n++) {
      await billing.ledger.hold(em, { userId, amount: 2, key: `many:${n}`, expiresAt: inAnHour() })
    }
  })
  assert.equal((await creditsOf(userId)).held, 500)
  billing.advance({ hours: 1 })
  await billing.runJob('holds-expire')
  assert.deepEqual(await creditsOf(userId), { credits: 500, held: 0, available: 500 })
})

test('an account that is deleted gets everything back, pays nothing more, and leaves its books', async () => {
  const userId = await billing.person({ credits: 100 })
  await billing.call('wallet:update', { overageEnabled: true }, userId)
  const { holdId } = await hold(userId, 30)
  const { reservationId } = await billing.meter.reserve(
    { userId },
    { inputTokens: 1000, maxOutputTokens: 1000, modelIds: ['gpt-4o'] },
  )
  await billing.database.transact(async (em) => {
    await billing.plans.assign(em, {
      userId,
      planCode: 'premium_pro',
      until: null,
      at: billing.clock(),
      reason: 'initial',
    })
  })
  const afterCommit = await billing.database.transact((em) => billing.events.publish(em, 'user.deleting', { userId }))
  await afterCommit()
  const { credits, held, plan, overageEnabled, period, tokens } = await billing.wallets.get(userId)
  assert.deepEqual([credits, held, plan, overageEnabled, period, tokens.used], [100, 0, 'basic', false, undefined, 0])
  await assert.rejects(capture(holdId, 1), withCode('conflict'))
  await assert.rejects(billing.meter.settle(reservationId, { models: [] }), withCode('conflict'))
  const rows = await billing.database.query(sql`select from credit_transactions where user_id = ${userId}`)
  assert.equal(rows.length, 4)
})
