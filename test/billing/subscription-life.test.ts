import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { checkInvariants } from '../support/billing.ts'
import { withCode } from '../support/identity.ts'
import { startSubscriptions, type TestSubscriptions } from '../support/subscriptions.ts'

/** The lives of subscriptions, on a clock that the test moves; what each step gives is asserted in full. */

let billing: TestSubscriptions
before(async () => {
  billing = await startSubscriptions()
})
after(() => billing.close())

const starter = { plan: 'premium_starter', limit: 500_000, allocated: 1000 }
const pro = { plan: 'premium_pro', limit: 2_000_000, allocated: 5000 }
const ultra = { plan: 'premium_ultra', limit: 5_000_000, allocated: 20_000 }
const basic = { plan: 'basic', limit: 100_000, allocated: undefined }

/** What the wallet has: plan, tokens of a window, credits of the month. */
async function has(userId: string, expected: typeof basic | typeof pro): Promise<void> {
  const { plan, tokens, period } = await billing.walletOf(userId)
  assert.deepEqual({ plan, limit: tokens.limit, allocated: period?.creditsAllocated }, expected)
}

/** The newest rows of the history, as they came, and that there are no more than `count` of them. */
async function lately(userId: string, count: number): Promise<object[]> {
  const rows = (await billing.historyOf(userId)).map(({ reason, previousPlan, newPlan, period, amount }) => {
    return { reason, from: previousPlan, to: newPlan, period, amount }
  })
  const seen = rowsSeen.get(userId) ?? 0
  rowsSeen.set(userId, rows.length)
  assert.equal(rows.length - seen, count, JSON.stringify(rows.slice(seen)))
  return rows.slice(seen)
}
const rowsSeen = new Map<string, number>()

/** What the user's devices have heard of the subscription since the last time. */
function heard(userId: string): object[] {
  const mine = billing.told.filter((one) => one.userId === userId)
  const news = mine.slice(heardBefore.get(userId) ?? 0)
  heardBefore.set(userId, mine.length)
  const wallet = news.some(({ event }) => event === 'wallet:changed') ? ['wallet:changed'] : []
  const notes = news.filter(({ event }) => event === 'notification').map(({ payload }) => payload)
  return [...wallet, ...notes] as object[]
}
const heardBefore = new Map<string, number>()

const noteOf = (status: string, plan: string) => ({ kind: 'subscription', status, plan })

async function payments(userId: string): Promise<object[]> {
  const { items } = await billing.call<{ items: { amount: number; status: string }[] }>('payment:list', {}, userId)
  return items.map(({ amount, status }) => [amount, status])
}

test('upgrade, downgrade, failed payment, recovery, cancellation, resumption and expiry, step by step', async () => {
  billing.setClock('2026-01-31T12:00:00.000Z')
  const { userId, id } = await billing.subscriber({ plan: 'premium_starter' })
  const customer = billing.customerOf(id)

  // the beginning
  await has(userId, starter)
  assert.deepEqual(await lately(userId, 1), [
    { reason: 'initial', from: undefined, to: 'premium_starter', period: 'monthly', amount: 999 },
  ])
  assert.deepEqual(heard(userId), ['wallet:changed', noteOf('active', 'premium_starter')])
  assert.deepEqual(await payments(userId), [[999, 'succeeded']])

  // upgrade: at once, the difference charged
  await billing.pass({ days: 14 })
  const upgraded = await billing.call('subscription:change', { plan: 'premium_ultra', period: 'monthly' }, userId)
  assert.deepEqual(upgraded, {
    ...{ status: 'active', plan: 'premium_ultra', period: 'monthly', autoRenew: true },
    ...{ currentPeriodStart: '2026-01-31T12:00:00.000Z', currentPeriodEnd: '2026-02-28T12:00:00.000Z' },
  })
  await has(userId, ultra)
  // half of the period was left: half of both prices
  assert.deepEqual(await lately(userId, 1), [
    { reason: 'upgrade', from: 'premium_starter', to: 'premium_ultra', period: 'monthly', amount: 5000 - 500 },
  ])
  assert.deepEqual(heard(userId), ['wallet:changed', noteOf('active', 'premium_ultra')])
  assert.deepEqual(await billing.hear(), ['invoice.paid', 'customer.subscription.updated'])
  assert.deepEqual(heard(userId), [], 'the webhooks of what was read already bring nothing new')
  assert.equal((await payments(userId)).length, 2)

  // downgrade: noted now, done when the period ends
  const planned = await billing.call<object>('subscription:change', { plan: 'premium_pro', period: 'monthly' }, userId)
  assert.deepEqual(planned, { ...(upgraded as object), next: { plan: 'premium_pro', period: 'monthly' } })
  await has(userId, ultra)
  await lately(userId, 0)
  heard(userId)
  await billing.pass({ days: 14, hours: 1 })
  await has(userId, pro)
  assert.deepEqual(await lately(userId, 2), [
    { reason: 'downgrade', from: 'premium_ultra', to: 'premium_pro', period: 'monthly', amount: 0 },
    { reason: 'renewal', from: 'premium_pro', to: 'premium_pro', period: 'monthly', amount: 2999 },
  ])
  assert.deepEqual(heard(userId), ['wallet:changed', noteOf('active', 'premium_pro')])
  assert.equal((await billing.subscriptionOf(userId)).next, undefined)

  // a renewal
  await billing.pass({ days: 28 })
  await has(userId, pro)
  assert.deepEqual(await lately(userId, 1), [
    { reason: 'renewal', from: 'premium_pro', to: 'premium_pro', period: 'monthly', amount: 2999 },
  ])
  assert.deepEqual(heard(userId), ['wallet:changed', noteOf('active', 'premium_pro')])

  // the payment fails: the plan goes on, without credits for a month that is not paid
  billing.stripe.setCard(customer, 'declined')
  await billing.pass({ days: 31 })
  const pastDue = await billing.subscriptionOf(userId)
  assert.equal(pastDue.status, 'past_due')
  assert.equal(pastDue.graceEndsAt, '2026-05-05T13:00:00.000Z')
  await has(userId, { ...pro, allocated: 0 })
  assert.deepEqual(await lately(userId, 1), [
    { reason: 'payment_failed', from: 'premium_pro', to: 'premium_pro', period: 'monthly', amount: 2999 },
  ])
  assert.deepEqual(heard(userId), ['wallet:changed', noteOf('past_due', 'premium_pro')])

  // recovery
  await billing.pass({ days: 3 })
  billing.stripe.setCard(customer, 'good')
  billing.stripe.retry(id)
  await billing.hear()
  assert.equal((await billing.subscriptionOf(userId)).status, 'active')
  await has(userId, pro)
  assert.deepEqual((await lately(userId, 2)).toSorted(byReason), [
    { reason: 'recovery', from: 'premium_pro', to: 'premium_pro', period: 'monthly', amount: 0 },
    { reason: 'renewal', from: 'premium_pro', to: 'premium_pro', period: 'monthly', amount: 2999 },
  ])
  assert.deepEqual(heard(userId), ['wallet:changed', noteOf('active', 'premium_pro')])

  // cancelled, and resumed
  const cancelled = await billing.call<object>('subscription:cancel', {}, userId)
  const period = { currentPeriodStart: '2026-04-28T12:00:00.000Z', currentPeriodEnd: '2026-05-28T12:00:00.000Z' }
  assert.deepEqual(cancelled, {
    ...{ status: 'active', plan: 'premium_pro', period: 'monthly', autoRenew: false, ...period },
    cancelledAt: '2026-05-01T13:00:00.000Z',
  })
  await has(userId, pro)
  assert.equal((await billing.walletOf(userId)).planUntil, period.currentPeriodEnd, 'without the slack of a renewal')
  assert.deepEqual(await lately(userId, 1), [
    { reason: 'cancellation', from: 'premium_pro', to: 'premium_pro', period: 'monthly', amount: 0 },
  ])
  assert.deepEqual(heard(userId), ['wallet:changed', noteOf('active', 'premium_pro')])
  const resumed = await billing.call('subscription:resume', {}, userId)
  assert.deepEqual(resumed, {
    ...{ status: 'active', plan: 'premium_pro', period: 'monthly', autoRenew: true, ...period },
  })
  assert.deepEqual(await lately(userId, 1), [
    { reason: 'recovery', from: 'premium_pro', to: 'premium_pro', period: 'monthly', amount: 0 },
  ])
  heard(userId)

  // cancelled once more, and over
  await billing.pass({ hours: 1 })
  await billing.call('subscription:cancel', {}, userId)
  await lately(userId, 1)
  heard(userId)
  assert.deepEqual((await billing.pass({ days: 27 })).at(-1), 'customer.subscription.deleted')
  assert.equal((await billing.subscriptionOf(userId)).status, 'cancelled')
  await has(userId, basic)
  assert.deepEqual(await lately(userId, 1), [
    { reason: 'expiry', from: 'premium_pro', to: 'basic', period: 'monthly', amount: 0 },
  ])
  assert.deepEqual(heard(userId), ['wallet:changed', noteOf('cancelled', 'basic')])

  // and begun anew
  const { sessionId } = await billing.checkout(userId, { plan: 'premium_ultra' })
  billing.stripe.complete(sessionId)
  await billing.hear()
  await has(userId, ultra)
  assert.deepEqual(await lately(userId, 1), [
    { reason: 'initial', from: undefined, to: 'premium_ultra', period: 'monthly', amount: 9999 },
  ])
  assert.equal(billing.stripe.customers.size, 1, 'the same customer')
  await checkInvariants(billing.database, [userId])
})

const byReason = (a: object, b: object): number =>
  (a as { reason: string }).reason < (b as { reason: string }).reason ? -1 : 1

test('a bill that stays open: the plan ends with the grace, and comes back with the payment', async () => {
  billing.setClock('2027-03-01T00:00:00.000Z')
  const { userId, id } = await billing.subscriber()
  billing.stripe.setCard(billing.customerOf(id), 'declined')
  await billing.pass({ days: 31 })
  await billing.pass({ days: 6, hours: 23 })
  assert.equal((await billing.walletOf(userId)).plan, 'premium_pro')
  billing.advance({ hours: 1 })
  assert.equal((await billing.walletOf(userId)).plan, 'basic', 'at that moment, before any job has run')
  assert.equal((await billing.subscriptionOf(userId)).status, 'unpaid')
  assert.deepEqual(await billing.reasonsOf(userId), ['initial', 'payment_failed'])
  await billing.runJob('subscriptions-due')
  assert.deepEqual(await billing.reasonsOf(userId), ['initial', 'payment_failed', 'expiry'])
  assert.deepEqual(billing.told.at(-1)?.payload, noteOf('unpaid', 'basic'))

  billing.stripe.setCard(billing.customerOf(id), 'good')
  billing.stripe.retry(id)
  await billing.hear()
  await has(userId, pro)
  assert.deepEqual((await billing.reasonsOf(userId)).slice(3).toSorted(), ['recovery', 'renewal'])
})

test('where Stripe gives up, the subscription has expired, whatever the grace', async () => {
  billing.setClock('2027-06-01T00:00:00.000Z')
  const { userId, id } = await billing.subscriber()
  billing.stripe.setCard(billing.customerOf(id), 'declined')
  await billing.pass({ days: 30 })
  billing.stripe.giveUp(id, 'unpaid')
  await billing.hear()
  assert.equal((await billing.subscriptionOf(userId)).status, 'unpaid')
  await has(userId, basic)
  billing.stripe.giveUp(id)
  await billing.hear()
  assert.equal((await billing.subscriptionOf(userId)).status, 'expired')
  assert.deepEqual(await billing.reasonsOf(userId), ['initial', 'payment_failed', 'expiry'], 'nobody has cancelled')
})

test('a year: credits by the month, and a change from month to year at once', async () => {
  billing.setClock('2028-01-31T00:00:00.000Z')
  const { userId } = await billing.subscriber({ plan: 'premium_starter' })
  await billing.pass({ days: 10 })
  const changed = await billing.call<{ currentPeriodEnd: string }>(
    'subscription:change',
    { plan: 'premium_starter', period: 'yearly' },
    userId,
  )
  assert.equal(changed.currentPeriodEnd, '2029-02-10T00:00:00.000Z')
  const [, upgrade] = await billing.historyOf(userId)
  assert.equal(upgrade?.reason, 'upgrade')
  assert.equal(upgrade?.period, 'yearly')
  assert.equal(upgrade?.amount, 9990 - Math.round((999 * 19) / 29), 'less what was left of the month')
  await billing.hear()

  for (let month = 0; month < 6; month++) {
    await billing.pass({ days: 31 })
    await billing.runJob('plan-months')
  }
  await has(userId, starter)
  const { lifetimeCredits, credits } = await billing.walletOf(userId)
  // February to August begin meanwhile; each month's expire unused
  assert.deepEqual({ lifetimeCredits, credits }, { lifetimeCredits: 1000 + 7 * 1000, credits: 2000 })
  assert.equal((await billing.historyOf(userId)).length, 2, 'a month within a year is no renewal')

  const back = await billing.call<{ next: object }>(
    'subscription:change',
    { plan: 'premium_starter', period: 'monthly' },
    userId,
  )
  assert.deepEqual(back.next, { plan: 'premium_starter', period: 'monthly' })
  await billing.hear()
  await billing.pass({ days: 200 })
  const { period, currentPeriodEnd } = await billing.subscriptionOf(userId)
  assert.deepEqual({ period, currentPeriodEnd }, { period: 'monthly', currentPeriodEnd: '2029-03-10T00:00:00.000Z' })
  assert.deepEqual(await billing.reasonsOf(userId), ['initial', 'upgrade', 'downgrade', 'renewal'])
  await checkInvariants(billing.database, [userId])
})

test('going up and down again gains no credits: down comes with the end of the period alone', async () => {
  billing.setClock('2030-01-01T00:00:00.000Z')
  const { userId } = await billing.subscriber({ plan: 'premium_starter' })
  const before = (await billing.walletOf(userId)).credits
  await billing.call('subscription:change', { plan: 'premium_ultra', period: 'monthly' }, userId)
  await billing.call('subscription:change', { plan: 'premium_starter', period: 'monthly' }, userId)
  await has(userId, ultra)
  assert.equal((await billing.walletOf(userId)).credits, before - 1000 + 20_000)
  await assert.rejects(
    billing.call('subscription:change', { plan: 'unlimited', period: 'monthly' }, userId),
    withCode('conflict'),
    'a change that is to come has to be taken back first',
  )
  const kept = await billing.call<object>('subscription:change', { plan: 'premium_ultra', period: 'monthly' }, userId)
  assert.ok(!('next' in kept))
  await billing.hear()
  await billing.pass({ days: 31 })
  await has(userId, ultra)
})

test('a webhook that never comes: the watch asks Stripe, before anybody is cut off', async () => {
  billing.setClock('2031-01-01T00:00:00.000Z')
  const { userId } = await billing.subscriber()
  billing.advance({ days: 31, hours: 2 })
  billing.stripe.catchUp()
  await billing.runJob('subscriptions-due')
  const { status, currentPeriodEnd } = await billing.subscriptionOf(userId)
  assert.deepEqual({ status, currentPeriodEnd }, { status: 'active', currentPeriodEnd: '2031-03-01T00:00:00.000Z' })
  assert.deepEqual(await billing.reasonsOf(userId), ['initial', 'renewal'])
  await has(userId, pro)
  await billing.hear()
  assert.deepEqual(await billing.reasonsOf(userId), ['initial', 'renewal'], 'late, they change nothing')
})

test('while Stripe is away the dates rule, until it can be asked again', async (t) => {
  t.after(billing.stripe.heal)
  billing.setClock('2032-01-01T00:00:00.000Z')
  const renewing = await billing.subscriber()
  const cancelled = await billing.subscriber()
  await billing.call('subscription:cancel', {}, cancelled.userId)
  await billing.hear()
  billing.stripe.fail({ how: 'reset' })
  billing.advance({ days: 31, hours: 3 })
  billing.stripe.catchUp()

  await billing.runJob('subscriptions-due')
  assert.equal((await billing.subscriptionOf(cancelled.userId)).status, 'cancelled')
  await has(cancelled.userId, basic)
  assert.deepEqual(await billing.reasonsOf(cancelled.userId), ['initial', 'cancellation', 'expiry'])
  assert.equal((await billing.subscriptionOf(renewing.userId)).status, 'active', 'a renewal may be late by a day')
  await billing.runJob('plan-months')
  await has(renewing.userId, { ...pro, allocated: 0 })

  billing.advance({ hours: 22 })
  assert.equal((await billing.walletOf(renewing.userId)).plan, 'basic')
  await billing.runJob('subscriptions-due')
  assert.equal((await billing.subscriptionOf(renewing.userId)).status, 'expired')
  assert.deepEqual(billing.told.at(-1), {
    ...{ userId: renewing.userId, event: 'notification' },
    payload: noteOf('expired', 'basic'),
  })

  billing.stripe.heal()
  await billing.runJob('subscriptions-due')
  assert.equal((await billing.subscriptionOf(renewing.userId)).status, 'active')
  await has(renewing.userId, pro)
  assert.deepEqual((await billing.reasonsOf(renewing.userId)).toSorted(), ['expiry', 'initial', 'recovery', 'renewal'])
  const asked = billing.stripe.requests.length
  await billing.runJob('subscriptions-due')
  assert.equal(billing.stripe.requests.length, asked, 'nothing is left to ask')
  await billing.hear()
  assert.equal((await billing.historyOf(cancelled.userId)).length, 3)
})

test('what was not read for a day is read, though nothing seems due', async () => {
  billing.setClock('2033-01-01T00:00:00.000Z')
  const { userId, id } = await billing.subscriber()
  const subscription = billing.stripe.subscriptions.get(id)
  assert.ok(subscription)
  // at Stripe's own pages, and the webhook got lost
  Object.assign(subscription, { cancel_at_period_end: true, canceled_at: Date.parse('2033-01-01T00:00:00Z') / 1000 })
  await billing.runJob('subscriptions-due')
  assert.equal((await billing.subscriptionOf(userId)).autoRenew, true)
  await billing.age(id)
  await billing.runJob('subscriptions-due')
  assert.equal((await billing.subscriptionOf(userId)).autoRenew, false)
})
