import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql } from 'kysely'
import { createIdempotency } from '../../src/billing/idempotency.ts'
import { newId } from '../../src/kernel/ids.ts'
import type { UserContext } from '../../src/kernel/operation.ts'
import { actorOf, createTestJobs } from '../support/billing.ts'
import { withCode } from '../support/identity.ts'
import { startPayments, type TestPayments } from '../support/payments.ts'
import { faults } from '../support/upstream.ts'

let pay: TestPayments
before(async () => {
  pay = await startPayments()
})
after(() => pay.close())

const inits = () => pay.bank.requests.filter(({ path }) => path === '/v2/Init').length

/** A request of somebody under a key. */
const asks = (userId: string, key: string | undefined): UserContext => ({
  ...{ requestId: 'test', ip: '192.0.2.1', userAgent: undefined, actor: actorOf(userId) },
  request: { header: (name) => (name === 'idempotency-key' ? key : undefined), cookie: () => undefined },
})

const once = (patienceMs?: number) =>
  createIdempotency({ database: pay.database, jobs: createTestJobs().jobs, clock: pay.clock, patienceMs }).once

/** Work that counts how often it was begun and done. */
function countedWork() {
  const counts = { begun: 0, performed: [] as string[] }
  const work = {
    async begin() {
      counts.begun++
      return newId()
    },
    async perform(subjectId: string) {
      counts.performed.push(subjectId)
      return { subjectId, attempt: counts.performed.length }
    },
  }
  return { counts, work }
}

test('the same key gives the same answer, and is one payment', async () => {
  const userId = await pay.person()
  const asked = inits()
  const first = await pay.begin(userId, 'tbank', 'credits_5000', 'order 1')
  const second = await pay.begin(userId, 'tbank', 'credits_5000', 'order 1')
  assert.deepEqual(second, first)
  assert.equal(inits(), asked + 1)
  const other = await pay.begin(userId, 'tbank', 'credits_5000', 'order 2')
  assert.notEqual(other.paymentId, first.paymentId)
})

test('without a key each request is one of its own', async () => {
  const userId = await pay.person()
  const [first, second] = [await pay.begin(userId, 'tbank'), await pay.begin(userId, 'tbank')]
  assert.notEqual(first.paymentId, second.paymentId)
})

test('the same key with another input is refused, and the first answer stays', async () => {
  const userId = await pay.person()
  const first = await pay.begin(userId, 'tbank', 'credits_5000', 'key')
  await assert.rejects(pay.begin(userId, 'tbank', 'credits_20000', 'key'), withCode('idempotency_conflict'))
  await assert.rejects(pay.begin(userId, 'ton', 'credits_5000', 'key'), withCode('idempotency_conflict'))
  assert.deepEqual(await pay.begin(userId, 'tbank', 'credits_5000', 'key'), first)
})

test('a key is of one user and one operation', async () => {
  const [ann, bob] = [await pay.person(), await pay.person()]
  const [anns, bobs] = [
    await pay.begin(ann, 'ton', 'credits_5000', 'key'),
    await pay.begin(bob, 'ton', 'credits_5000', 'key'),
  ]
  assert.notEqual(anns.paymentId, bobs.paymentId)
  const { work, counts } = countedWork()
  await once()(asks(ann, 'key'), 'another', { tierId: 'credits_5000', provider: 'ton' }, work)
  assert.equal(counts.begun, 1)
})

test('a key is 1 to 255 printable characters', async () => {
  const userId = await pay.person()
  for (const key of ['', 'k'.repeat(256), 'ключ', 'two\nlines', '\u0000']) {
    const { work, counts } = countedWork()
    await assert.rejects(once()(asks(userId, key), 'test', {}, work), withCode('invalid_request'))
    assert.equal(counts.begun, 0)
  }
  for (const key of ['1', 'k'.repeat(255), ' ~"\\%_\'']) {
    const { work, counts } = countedWork()
    await once()(asks(userId, key), 'test', {}, work)
    assert.equal(counts.begun, 1)
  }
})

test('where the provider fails, nothing is half done, and the same key goes on with the same payment', async () => {
  for (const fault of faults) {
    const userId = await pay.person({ credits: 0 })
    const payments = await pay.count('payments')
    pay.bank.fail(fault)
    const asking = () => pay.begin(userId, 'tbank', 'credits_5000', 'again')
    await assert.rejects(asking(), withCode('upstream_failed'), fault)
    await assert.rejects(asking(), withCode('upstream_failed'), fault)
    const { items } = await pay.call<{ items: object[] }>('payment:list', {}, userId)
    assert.deepEqual(items, [], 'what was never begun is not shown')
    pay.bank.fail(undefined)
    const begun = await asking()
    assert.deepEqual(await asking(), begun)
    assert.equal(await pay.count('payments'), payments + 1, fault)
    await pay.fromBank(pay.bank.notification(begun.paymentId, 'CONFIRMED'))
    await pay.settle()
    assert.deepEqual(await pay.movements(begun.paymentId), ['charge 5000'])
  }
})

test('where only the answer was lost, the attempt that nobody saw neither ends the payment nor counts twice', async () => {
  for (const fault of faults) {
    const userId = await pay.person({ credits: 0 })
    pay.bank.fail(fault, { executed: true })
    const asking = () => pay.begin(userId, 'tbank', 'credits_5000', 'lost')
    await assert.rejects(asking(), withCode('upstream_failed'))
    pay.bank.fail(undefined)
    const { paymentId, url } = await asking()
    const [lost, shown] = pay.bank.attempts.filter(({ orderId }) => orderId === paymentId)
    assert.ok(lost && shown, 'the bank knows two attempts at one order')
    assert.ok(url.endsWith(shown.paymentId))
    const ofLost = { PaymentId: Number(lost.paymentId) }
    await pay.fromBank(pay.bank.notification(paymentId, 'DEADLINE_EXPIRED', ofLost))
    await pay.settle()
    assert.equal((await pay.payment(userId, paymentId)).status, 'pending')
    await pay.fromBank(pay.bank.notification(paymentId, 'CONFIRMED'))
    await pay.settle()
    assert.deepEqual(await pay.movements(paymentId), ['charge 5000'])
  }
})

test('of many requests at once under one key one is done, and all hear the same', async () => {
  const userId = await pay.person()
  const asked = inits()
  const release = pay.bank.hold()
  const answers = Promise.all(Array.from({ length: 12 }, () => pay.begin(userId, 'tbank', 'credits_5000', 'at once')))
  const deadline = performance.now() + 5_000
  while (inits() === asked && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5))
  release()
  assert.equal(new Set((await answers).map(({ paymentId, url }) => `${paymentId} ${url}`)).size, 1)
  assert.equal(inits(), asked + 1)
})

test('who would wait too long is told to come again, and finds the answer then', async () => {
  const userId = await pay.person()
  const reached = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  const { work, counts } = countedWork()
  const slow = {
    ...work,
    async perform(subjectId: string) {
      reached.resolve()
      await gate.promise
      return work.perform(subjectId)
    },
  }
  const first = once()(asks(userId, 'slow'), 'test', {}, slow)
  await reached.promise
  await assert.rejects(once(150)(asks(userId, 'slow'), 'test', {}, work), withCode('conflict'))
  gate.resolve()
  const answer = await first
  assert.deepEqual(await once(150)(asks(userId, 'slow'), 'test', {}, work), answer)
  assert.deepEqual([counts.begun, counts.performed.length], [1, 1])
})

test('a request whose process died is taken over after a minute, for the same payment', async () => {
  const userId = await pay.person()
  const { work, counts } = countedWork()
  void once()(asks(userId, 'dying'), 'test', {}, { ...work, perform: () => new Promise(() => {}) })
  const stored = async () =>
    pay.database.query(sql<{ id: string }>`
      select subject_id as id from idempotency_keys where user_id = ${userId} and performing_until is not null`)
  const deadline = performance.now() + 5_000
  while ((await stored()).length === 0 && performance.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 5))
  const [subject] = await stored()
  await assert.rejects(once(150)(asks(userId, 'dying'), 'test', {}, work), withCode('conflict'))
  pay.advance({ minutes: 1, ms: 1 })
  const answer = await once(150)(asks(userId, 'dying'), 'test', {}, work)
  assert.equal(answer.subjectId, subject?.id)
  assert.deepEqual([counts.begun, counts.performed.length], [1, 1])
})

test('where the process died after the provider’s answer, that answer counts, and nobody is asked again', async () => {
  const userId = await pay.person()
  const first = await pay.begin(userId, 'tbank', 'credits_5000', 'answered')
  const asked = inits()
  await pay.database.query(sql`
    update idempotency_keys set response = null, performing_until = null where user_id = ${userId}`)
  assert.deepEqual(await pay.begin(userId, 'tbank', 'credits_5000', 'answered'), first)
  assert.equal(inits(), asked)
})

test('what cannot be begun leaves the key free', async () => {
  const userId = await pay.person()
  await assert.rejects(pay.begin(userId, 'stripe', 'credits_5000', 'free'), withCode('unprocessable'))
  const { paymentId } = await pay.begin(userId, 'ton', 'credits_5000', 'free')
  assert.ok(paymentId)
})

test('a key is forgotten after a day, and cleared away', async () => {
  const userId = await pay.person()
  const first = await pay.begin(userId, 'ton', 'credits_5000', 'daily')
  pay.advance({ hours: 23, minutes: 59 })
  assert.deepEqual(await pay.begin(userId, 'ton', 'credits_5000', 'daily'), first)
  pay.advance({ minutes: 1 })
  const second = await pay.begin(userId, 'ton', 'credits_20000', 'daily')
  assert.notEqual(second.paymentId, first.paymentId)
  await pay.runJob('idempotency-keys-clear')
  assert.equal(await pay.count('idempotency_keys'), 1, 'only the new one is kept')
  assert.deepEqual(await pay.begin(userId, 'ton', 'credits_20000', 'daily'), second)
})

test('a checkout that never began is not begun any more after its day', async () => {
  const userId = await pay.person()
  pay.bank.fail('500')
  await assert.rejects(pay.begin(userId, 'tbank', 'credits_5000', 'late'), withCode('upstream_failed'))
  pay.bank.fail(undefined)
  await pay.database.query(sql`update idempotency_keys set expires_at = expires_at + interval '1 day'`)
  pay.advance({ hours: 24 })
  await assert.rejects(pay.begin(userId, 'tbank', 'credits_5000', 'late'), withCode('unprocessable'))
})

test('an answer that was stored as it was is given as it was', async () => {
  const userId = await pay.person()
  const odd = { text: 'ü "\\u0041" \u2028', list: [1, null, { a: true }], nothing: null }
  const work = { begin: async () => newId(), perform: async () => odd }
  assert.deepEqual(await once()(asks(userId, 'odd'), 'test', {}, work), odd)
  assert.deepEqual(await once()(asks(userId, 'odd'), 'test', {}, work), odd)
})

test('a refund under a key is asked of the provider once', async () => {
  const userId = await pay.person({ credits: 0 })
  const { paymentId } = await pay.begin(userId, 'tbank')
  await pay.fromBank(pay.bank.notification(paymentId, 'CONFIRMED'))
  await pay.settle()
  pay.bank.fail('half', { executed: true })
  await assert.rejects(pay.refund(paymentId, 'refund'), withCode('upstream_failed'))
  assert.equal((await pay.payment(userId, paymentId)).status, 'succeeded', 'not before it is certain')
  pay.bank.fail(undefined)
  const refunded = await pay.refund(paymentId, 'refund')
  assert.equal(refunded.status, 'refunded')
  assert.deepEqual(await pay.refund(paymentId, 'refund'), refunded)
  assert.deepEqual(await pay.movements(paymentId), ['charge 5000', 'adjustment -5000'])
  assert.equal(pay.bank.attempts.find(({ orderId }) => orderId === paymentId)?.refunds.size, 1)
})
