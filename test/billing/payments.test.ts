import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { sql } from 'kysely'
import { run } from '../../src/database/database.ts'
import { newId } from '../../src/kernel/ids.ts'
import { checkInvariants } from '../support/billing.ts'
import { withCode } from '../support/identity.ts'
import { prices, startPayments, type TestPayments } from '../support/payments.ts'

let pay: TestPayments
before(async () => {
  pay = await startPayments()
})
beforeEach(() => {
  pay.setClock('2026-06-01T00:00:00.000Z')
  for (const kept of [pay.news, pay.told, pay.logged, pay.queued]) kept.length = 0
})
after(() => pay.close())

const confirmed = (paymentId: string) => pay.bank.notification(paymentId, 'CONFIRMED')

/** A payment by T-Bank that has come in. */
async function paid(userId: string, tierId?: string): Promise<string> {
  const { paymentId } = await pay.begin(userId, 'tbank', tierId)
  await pay.fromBank(confirmed(paymentId))
  await pay.settle()
  assert.equal((await pay.payment(userId, paymentId)).status, 'succeeded')
  return paymentId
}

test('packs have a price for each way to pay that the server has, and none for others', async () => {
  const { items } = await pay.call<{ items: { id: string; prices: object[] }[] }>('credits:packs', {})
  assert.equal(items.length, 6)
  assert.deepEqual(items[1], {
    ...{ id: 'credits_5000', kind: 'credits', name: '5,000 credits', credits: 5000, isPopular: true },
    prices: [
      { provider: 'tbank', amount: prices.tbank, currency: 'RUB' },
      { provider: 'stars', amount: prices.stars, currency: 'XTR' },
      { provider: 'ton', amount: prices.ton, currency: 'TON' },
    ],
  })
  assert.deepEqual(items[3], {
    ...{ id: 'photos_starter', kind: 'photos', name: 'Starter: 7 photos', photoCount: 7, isPopular: false },
    prices: [
      { provider: 'tbank', amount: 49_900, currency: 'RUB' },
      { provider: 'stars', amount: 450, currency: 'XTR' },
      { provider: 'ton', amount: 2_100_000_000, currency: 'TON' },
    ],
  })
})

test('a payment gives its credits once, and tells it to the devices and to other features', async () => {
  const userId = await pay.person({ credits: 100 })
  const { paymentId, url, expiresAt } = await pay.begin(userId, 'tbank')
  assert.equal(expiresAt, '2026-06-02T00:00:00.000Z')
  const pending = await pay.payment(userId, paymentId)
  assert.deepEqual(pending, {
    ...{
      id: paymentId,
      provider: 'tbank',
      purpose: 'credits',
      tierId: 'credits_5000',
      amount: 69_900,
      currency: 'RUB',
    },
    ...{ status: 'pending', description: '5,000 credits', credits: 5000, url, expiresAt },
    createdAt: '2026-06-01T00:00:00.000Z',
  })
  assert.equal((await pay.wallets.get(userId)).credits, 100, 'nothing before the bank says so')

  pay.advance({ minutes: 5 })
  const body = confirmed(paymentId)
  assert.equal(await pay.fromBank(body), 'OK')
  assert.equal((await pay.payment(userId, paymentId)).status, 'pending', 'stored first, applied later')
  await pay.settle()
  const { url: _, expiresAt: __, ...rest } = pending
  assert.deepEqual(await pay.payment(userId, paymentId), {
    ...rest,
    ...{ status: 'succeeded', succeededAt: '2026-06-01T00:05:00.000Z' },
  })
  await pay.fromBank(body)
  await pay.settle()
  assert.deepEqual(await pay.movements(paymentId), ['charge 5000'])
  const at = new Date('2026-06-01T00:05:00.000Z')
  assert.deepEqual(pay.news, [{ name: 'payment.succeeded', paymentId, userId, valueUsd: 799, at }])
  const heard = pay.told.filter((one) => one.event === 'wallet:changed')
  assert.deepEqual(
    heard.map((one) => [one.userId, one.payload.credits]),
    [[userId, 5100]],
  )
  await checkInvariants(pay.database)
})

test('a pack of photos gives photos to be used later, and no credits', async () => {
  const userId = await pay.person({ credits: 0 })
  const paymentId = await paid(userId, 'photos_standard')
  const { purpose, photoCount, credits } = await pay.payment(userId, paymentId)
  assert.deepEqual([purpose, photoCount, credits], ['photos', 15, undefined])
  assert.deepEqual(await pay.movements(paymentId), [])
  assert.deepEqual(
    pay.news.map(({ name, valueUsd }) => [name, valueUsd]),
    [['payment.succeeded', 1199]],
  )
})

test('what cannot be bought, or not that way, is refused and leaves nothing behind', async () => {
  const userId = await pay.person()
  const [payments, asked] = [await pay.count('payments'), pay.bank.requests.length]
  await assert.rejects(pay.begin(userId, 'stripe'), withCode('unprocessable'))
  await assert.rejects(pay.begin(userId, 'tbank', 'credits_7'), withCode('not_found'))
  await pay.database.query(sql`update pricing_tiers set is_active = false where id = 'credits_1000'`)
  await assert.rejects(pay.begin(userId, 'tbank', 'credits_1000'), withCode('not_found'))
  await pay.database.query(sql`update pricing_tiers set is_active = true, price_rub = null where id = 'credits_1000'`)
  await assert.rejects(pay.begin(userId, 'tbank', 'credits_1000'), withCode('unprocessable'))
  assert.deepEqual([await pay.count('payments'), pay.bank.requests.length], [payments, asked])
  const { items } = await pay.call<{ items: { id: string; prices: { provider: string }[] }[] }>('credits:packs', {})
  assert.deepEqual(
    items.find(({ id }) => id === 'credits_1000')?.prices.map(({ provider }) => provider),
    ['stars', 'ton'],
  )
  await pay.database.query(sql`update pricing_tiers set price_rub = 17900 where id = 'credits_1000'`)
})

test('a price that is changed later leaves a payment that was begun as it is', async () => {
  const userId = await pay.person({ credits: 0 })
  const { paymentId } = await pay.begin(userId, 'tbank')
  await pay.database.query(sql`update pricing_tiers set price_rub = 1, credits = 1 where id = 'credits_5000'`)
  await pay.fromBank(confirmed(paymentId))
  await pay.settle()
  assert.deepEqual(await pay.movements(paymentId), ['charge 5000'])
  await pay.database.query(sql`update pricing_tiers set price_rub = 69900, credits = 5000 where id = 'credits_5000'`)
})

test('all that the bank may say, ten times each and in any order, has the one effect that it has in order', async () => {
  const random = createRandom(7)
  for (let round = 0; round < 12; round++) {
    const userId = await pay.person({ credits: 300 })
    const { paymentId } = await pay.begin(userId, 'tbank')
    const isRefunded = round % 2 === 0
    const statuses = ['AUTHORIZED', 'CONFIRMED', 'REJECTED', 'DEADLINE_EXPIRED', ...(isRefunded ? ['REFUNDED'] : [])]
    const bodies = statuses.flatMap((status) => Array(10).fill(pay.bank.notification(paymentId, status)) as string[])
    pay.news.length = 0
    for (const body of shuffled(bodies, random)) {
      await pay.fromBank(body)
      if (random() < 0.3) await pay.settle((jobs) => shuffled(jobs, random))
    }
    await pay.settle((jobs) => shuffled(jobs, random))
    const { status } = await pay.payment(userId, paymentId)
    assert.equal(status, isRefunded ? 'refunded' : 'succeeded')
    assert.equal((await pay.wallets.get(userId)).credits, isRefunded ? 300 : 5300)
    const moved = await pay.movements(paymentId)
    // one that was given back before it came in has moved nothing
    const inOrder = isRefunded ? ['charge 5000', 'adjustment -5000'] : ['charge 5000']
    if (moved.length > 0 || !isRefunded) assert.deepEqual(moved, inOrder)
    const told = pay.news.map(({ name }) => name)
    const both = isRefunded ? ['payment.succeeded', 'payment.refunded'] : ['payment.succeeded']
    assert.deepEqual(told, moved.length > 0 ? both : [])
  }
  assert.equal(await pay.unprocessed(), 0)
  await checkInvariants(pay.database)
})

test('a payment that failed or ended counts when its money comes after all', async () => {
  const userId = await pay.person({ credits: 0 })
  for (const [status, expected] of [
    ['REJECTED', 'failed'],
    ['CANCELED', 'cancelled'],
  ] as const) {
    const { paymentId } = await pay.begin(userId, 'tbank')
    await pay.fromBank(pay.bank.notification(paymentId, status))
    await pay.settle()
    const { url, expiresAt, status: now } = await pay.payment(userId, paymentId)
    assert.deepEqual([now, url, expiresAt], [expected, undefined, undefined])
    await pay.fromBank(confirmed(paymentId))
    await pay.settle()
    assert.equal((await pay.payment(userId, paymentId)).status, 'succeeded')
  }
  assert.equal((await pay.wallets.get(userId)).credits, 10_000)
})

test('after a day nobody can pay any more; a transfer that was late counts all the same', async () => {
  const userId = await pay.person({ credits: 0 })
  const { paymentId } = await pay.begin(userId, 'tbank')
  pay.advance({ hours: 23, minutes: 59 })
  await pay.runJob('payments-expire')
  assert.equal((await pay.payment(userId, paymentId)).status, 'pending')
  pay.advance({ minutes: 1 })
  await pay.runJob('payments-expire')
  assert.equal((await pay.payment(userId, paymentId)).status, 'cancelled')
  await pay.fromBank(confirmed(paymentId))
  await pay.settle()
  assert.equal((await pay.payment(userId, paymentId)).status, 'succeeded')
  pay.advance({ days: 2 })
  await pay.runJob('payments-expire')
  assert.equal((await pay.payment(userId, paymentId)).status, 'succeeded')
})

test('another amount is not applied: the event is kept, the payment waits, a person is called', async () => {
  const userId = await pay.person({ credits: 0 })
  const { paymentId } = await pay.begin(userId, 'tbank')
  for (const Amount of [69_899, 69_901, 0]) {
    await pay.fromBank(pay.bank.notification(paymentId, 'CONFIRMED', { Amount }))
    await pay.settle()
  }
  assert.equal((await pay.payment(userId, paymentId)).status, 'pending')
  assert.equal((await pay.wallets.get(userId)).credits, 0)
  assert.deepEqual(pay.news, [])
  assert.equal(pay.alarms().length, 3)
  assert.match(pay.alarms()[0]?.msg ?? '', /a person has to look/)
  assert.equal(await pay.unprocessed(), 0)
  await pay.fromBank(confirmed(paymentId))
  await pay.settle()
  assert.equal((await pay.payment(userId, paymentId)).status, 'succeeded', 'the right one still counts')
})

test('one order paid twice gives its credits once, and calls a person', async () => {
  const userId = await pay.person({ credits: 0 })
  const { paymentId } = await pay.begin(userId, 'stars')
  const [first, second] = [pay.telegram.paid(paymentId), pay.telegram.paid(paymentId)]
  for (const { update } of [first, second, first, second]) await pay.fromTelegram(update)
  await pay.settle()
  assert.deepEqual(await pay.movements(paymentId), ['charge 5000'])
  assert.equal(pay.alarms().length, 1)
  const { details, providerPaymentId } = await pay.row(paymentId)
  assert.equal(providerPaymentId, first.chargeId)
  assert.equal((details.surplus as { charge_id: string }[])[0]?.charge_id, second.chargeId)
  await pay.fromTelegram(pay.telegram.refunded(paymentId, second.chargeId))
  await pay.settle()
  assert.equal((await pay.payment(userId, paymentId)).status, 'succeeded', 'only the second was given back')
})

test('what a provider says of payments that are not ours changes nothing', async () => {
  const userId = await pay.person({ credits: 0 })
  const { paymentId } = await pay.begin(userId, 'tbank')
  const stars = await pay.begin(userId, 'stars')
  const orders = ['order-17', newId(), "'; drop table payments; --", stars.paymentId]
  for (const [i, OrderId] of orders.entries()) {
    for (const status of ['CONFIRMED', 'REJECTED', 'REFUNDED']) {
      const changes = { OrderId, PaymentId: 5_000_000 + i, Amount: prices.stars }
      await pay.fromBank(pay.bank.notification(paymentId, status, changes))
    }
  }
  await pay.settle()
  assert.equal((await pay.payment(userId, stars.paymentId)).status, 'pending', "one provider's word is not another's")
  assert.equal(await pay.unprocessed(), 0)
  assert.equal((await pay.wallets.get(userId)).credits, 0)
})

test('a refund takes back what is left of the credits, neither spent nor held ones', async () => {
  const userId = await pay.person({ credits: 0 })
  const paymentId = await paid(userId)
  const expiresAt = new Date('2026-06-02T00:00:00.000Z')
  await pay.database.transact(async (em) => {
    await pay.ledger.post(em, { userId, amount: -1200, type: 'use', key: newId() })
    await pay.ledger.hold(em, { userId, amount: 800, key: newId(), expiresAt })
  })
  pay.told.length = 0
  const refunded = await pay.refund(paymentId)
  assert.equal(refunded.status, 'refunded')
  assert.equal(refunded.providerDetails.shortfall_credits, 2000)
  assert.deepEqual(await pay.movements(paymentId), ['charge 5000', 'adjustment -3000'])
  const { credits, held } = await pay.wallets.get(userId)
  assert.deepEqual([credits, held], [800, 800])
  assert.deepEqual(
    pay.news.map(({ name, valueUsd }) => [name, valueUsd]),
    [
      ['payment.succeeded', 799],
      ['payment.refunded', 799],
    ],
  )
  assert.ok(pay.told.some((one) => one.event === 'wallet:changed' && one.userId === userId))
  await checkInvariants(pay.database)
})

test('a refund when all is spent takes nothing, and says so; so for photos that were used', async () => {
  const userId = await pay.person({ credits: 0 })
  const credits = await paid(userId)
  await pay.database.transact((em) => pay.ledger.post(em, { userId, amount: -5000, type: 'use', key: newId() }))
  assert.equal((await pay.refund(credits)).providerDetails.shortfall_credits, 5000)
  assert.deepEqual(await pay.movements(credits), ['charge 5000'])
  const photos = await paid(userId, 'photos_starter')
  await pay.database.query(sql`update payments set consumed_at = now() where id = ${photos}`)
  assert.equal((await pay.refund(photos)).providerDetails.shortfall_photos, 7)
  assert.equal((await pay.wallets.get(userId)).credits, 0)
})

test('a refund is done once, whoever asks for it and however often', async () => {
  const userId = await pay.person({ credits: 0 })
  const paymentId = await paid(userId)
  const answers = await Promise.all(Array.from({ length: 8 }, () => pay.refund(paymentId)))
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set(['refunded']))
  await pay.fromBank(pay.bank.notification(paymentId, 'REFUNDED'))
  await pay.settle()
  assert.deepEqual(await pay.movements(paymentId), ['charge 5000', 'adjustment -5000'])
  assert.equal(pay.news.filter(({ name }) => name === 'payment.refunded').length, 1)
  assert.equal((await pay.refund(paymentId)).status, 'refunded', 'and asked for again, it is as it is')
})

test('only what has come in can be given back', async () => {
  const userId = await pay.person()
  const { paymentId } = await pay.begin(userId, 'tbank')
  await assert.rejects(pay.refund(paymentId), withCode('unprocessable'))
  await assert.rejects(pay.refund(newId()), withCode('not_found'))
  assert.equal(pay.bank.requests.filter(({ path }) => path === '/v2/Cancel').length > 0, true)
})

test('a bill of a subscription is one payment, however often it is told', async () => {
  const userId = await pay.person({ credits: 0 })
  const subscriptionId = newId()
  await pay.database.query(sql`
    insert into subscriptions (id, user_id, plan_code, status, period, stripe_subscription_id, current_period_start,
      current_period_end, read_at)
    values (${subscriptionId}, ${userId}, 'premium_pro', 'active', 'monthly', ${newId()}, now(), now(), now())`)
  const providerPaymentId = `in_${newId()}`
  const bill = {
    provider: 'stripe',
    ...{ userId, providerPaymentId, subscriptionId, planCode: 'premium_pro', amount: 2999 },
    ...{ currency: 'USD', valueUsd: 2999, description: 'Premium Pro', at: new Date('2026-06-01T10:00:00.000Z') },
  } as const
  for (const outcome of ['failed', 'succeeded', 'failed', 'succeeded'] as const) {
    await pay.database.transact((em) => pay.settlement.recordSubscriptionPayment(em, { ...bill, outcome }))
  }
  const { items } = await pay.call<{ items: object[] }>('payment:list', {}, userId)
  assert.equal(items.length, 1)
  assert.partialDeepStrictEqual(items[0], {
    ...{ purpose: 'subscription', planCode: 'premium_pro', status: 'succeeded', amount: 2999 },
    succeededAt: '2026-06-01T10:00:00.000Z',
  })
  assert.deepEqual(
    pay.news.map(({ name, valueUsd }) => [name, valueUsd]),
    [['payment.succeeded', 2999]],
  )
  assert.equal((await pay.wallets.get(userId)).credits, 0, 'the plan gives its credits, not the bill')
})

test('what a later feature cannot do rolls back the payment with it, and is tried again', async () => {
  const userId = await pay.person({ credits: 0 })
  const { paymentId } = await pay.begin(userId, 'tbank')
  let isBroken = true
  pay.events.on('payment.succeeded', async (_em, event) => {
    if (isBroken && event.paymentId === paymentId) throw new Error('not now')
    return undefined
  })
  await pay.fromBank(confirmed(paymentId))
  const [job] = pay.queued
  assert.ok(job)
  await assert.rejects(pay.settle(), /not now/)
  assert.equal((await pay.payment(userId, paymentId)).status, 'pending')
  assert.equal((await pay.wallets.get(userId)).credits, 0)
  assert.equal(await pay.unprocessed(), 1)
  isBroken = false
  await pay.runJob(job.name, job.data)
  assert.deepEqual(await pay.movements(paymentId), ['charge 5000'])
})

test('one sees one’s own payments, newest first, page by page, and nobody else’s', async () => {
  const [ann, bob] = [await pay.person(), await pay.person()]
  const ids: string[] = []
  for (let i = 0; i < 5; i++) {
    // two of the same moment
    if (i !== 2) pay.advance({ minutes: 1 })
    ids.unshift((await pay.begin(ann, 'ton')).paymentId)
  }
  const seen: string[] = []
  let cursor: string | undefined
  do {
    const page = await pay.call<{ items: { id: string }[]; nextCursor?: string }>(
      'payment:list',
      { limit: 2, ...(cursor && { cursor }) },
      ann,
    )
    assert.ok(page.items.length <= 2)
    seen.push(...page.items.map(({ id }) => id))
    cursor = page.nextCursor
  } while (cursor)
  assert.deepEqual(seen, ids)
  assert.deepEqual((await pay.call<{ items: object[] }>('payment:list', {}, bob)).items, [])
  await assert.rejects(pay.payment(bob, ids[0] ?? ''), withCode('not_found'))
  await assert.rejects(pay.payment(bob, newId()), withCode('not_found'))
  await assert.rejects(pay.call('payment:list', { cursor: 'nonsense' }, ann), withCode('invalid_request'))
})

test('the export of one’s data has one’s payments', async () => {
  const [ann, bob] = [await pay.person(), await pay.person()]
  const paymentId = await paid(ann)
  await pay.begin(ann, 'ton')
  const section = pay.sections.find(({ name }) => name === 'payments') ?? assert.fail()
  const exported = async (userId: string): Promise<object[]> => {
    const rows: object[] = []
    for await (const row of section.rows(userId)) rows.push(row)
    return rows
  }
  const rows = await exported(ann)
  assert.equal(rows.length, 2)
  assert.partialDeepStrictEqual(rows[0], { id: paymentId, amount: 69_900, currency: 'RUB', status: 'succeeded' })
  assert.deepEqual(await exported(bob), [])
})

test('somebody is Pro by a payment that was kept or a plan that costs, and not for ever', async () => {
  const userId = await pay.person()
  assert.equal(await pay.payments.isPro(userId), false)
  const paymentId = await paid(userId, 'photos_starter')
  assert.equal(await pay.payments.isPro(userId), true)
  await pay.refund(paymentId)
  assert.equal(await pay.payments.isPro(userId), false)
  await pay.database.transact((em) =>
    run(
      em,
      sql`update wallets set plan_code = 'premium_pro', plan_until = '2026-07-01T00:00:00Z' where user_id = ${userId}`,
    ),
  )
  assert.equal(await pay.payments.isPro(userId), true)
  pay.setClock('2026-07-01T00:00:00.000Z')
  assert.equal(await pay.payments.isPro(userId), false)
  assert.equal(await pay.payments.isPro(newId()), false)
})

/** Mulberry32: the same numbers for the same seed. */
function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

const shuffled = <T>(items: T[], random: () => number): T[] =>
  items
    .map((item) => ({ item, place: random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item)
