import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { sql } from 'kysely'
import {
  changesBetween,
  isLive,
  lapsed,
  paidUntil,
  planUntil,
  type SubscriptionState,
  stateOf,
} from '../../src/billing/subscription-state.ts'
import { subscriptionsContract } from '../../src/billing/subscriptions.contract.ts'
import type { ProviderSubscription } from '../../src/kernel/ports.ts'
import { startBilling } from '../support/billing.ts'
import { withCode } from '../support/identity.ts'
import { startSubscriptions, type TestSubscriptions } from '../support/subscriptions.ts'

let billing: TestSubscriptions
before(async () => {
  billing = await startSubscriptions()
})
after(() => billing.close())
afterEach(() => billing.stripe.heal())

const saying = (code: string, words: RegExp) => (error: unknown) => {
  assert.equal((error as { code?: string }).code, code, String((error as Error).stack))
  assert.match((error as Error).message, words)
  return true
}

const change = (userId: string, plan: string, period = 'monthly', headers: Record<string, string> = {}) =>
  billing.call<{ plan: string; next?: object }>('subscription:change', { plan, period }, userId, headers)

test('without Stripe there is no subscription to be had, in clear words, and no webhook', async (t) => {
  const plain = await startBilling()
  t.after(() => plain.close())
  const userId = await plain.person()
  assert.deepEqual(await plain.call('subscription:get', {}, userId), { status: 'none', plan: 'basic' })
  assert.deepEqual(await plain.call('subscription:history', {}, userId), { items: [] })
  const input = { plan: 'premium_pro', period: 'monthly' }
  for (const [name, given] of [
    ['billing:checkout', input],
    ['subscription:change', input],
    ['subscription:cancel', {}],
    ['subscription:resume', {}],
    ['billing:portal', {}],
  ] as const)
    await assert.rejects(plain.call(name, given, userId), saying('unprocessable', /not set up on this server/), name)
  await assert.rejects(plain.call('webhook:stripe', {}), withCode('not_found'))
})

test('the examples of the operations are what they take and give', () => {
  for (const [name, { input, output, example }] of Object.entries(subscriptionsContract)) {
    assert.ok(input.safeParse(example.input).success, name)
    assert.deepEqual(output.parse(example.output), example.output, name)
  }
})

test('what no checkout is of is refused: unknown plans, ones that are no longer sold, and the free one', async () => {
  const userId = await billing.person()
  await assert.rejects(billing.checkout(userId, { plan: 'no_such' }), withCode('not_found'))
  await assert.rejects(billing.checkout(userId, { plan: 'basic' }), saying('unprocessable', /costs nothing/))
  await billing.database.query(sql`update plans set is_active = false where code = 'unlimited'`)
  await assert.rejects(billing.checkout(userId, { plan: 'unlimited' }), withCode('not_found'))
  await billing.database.query(sql`update plans set is_active = true where code = 'unlimited'`)
  const { input } = subscriptionsContract['billing:checkout']
  for (const bad of [
    {},
    { plan: 'premium_pro' },
    { plan: 'premium_pro', period: 'weekly' },
    { plan: '', period: 'monthly' },
  ])
    assert.ok(!input.safeParse(bad).success)
  assert.ok(!input.safeParse({ plan: 'premium_pro', period: 'monthly', price: 1 }).success)
})

test('who has a subscription is led to its change, also before its webhook is here', async () => {
  const { userId } = await billing.subscriber()
  await assert.rejects(billing.checkout(userId), saying('conflict', /subscription\/change/))

  const other = await billing.person()
  const { sessionId } = await billing.checkout(other)
  billing.stripe.complete(sessionId)
  await assert.rejects(billing.checkout(other), saying('conflict', /subscription\/change/))
  assert.equal((await billing.subscriptionOf(other)).status, 'active', 'what was found at Stripe is in the books')
  await billing.hear()
  assert.deepEqual(await billing.reasonsOf(other), ['initial'])
})

test('who has an open bill is led to it; who cancels it can subscribe anew at once', async () => {
  const { userId, id } = await billing.subscriber()
  billing.stripe.setCard(billing.customerOf(id), 'declined')
  await billing.pass({ days: 31 })
  await assert.rejects(change(userId, 'premium_ultra'), saying('conflict', /portal/))
  await billing.pass({ days: 8 })
  await billing.runJob('subscriptions-due')
  await assert.rejects(billing.checkout(userId), saying('conflict', /bill of your subscription is open/))
  const { status } = await billing.call<{ status: string }>('subscription:cancel', {}, userId)
  assert.equal(status, 'cancelled')
  assert.equal(billing.stripe.subscriptions.get(id)?.status, 'canceled')
  await billing.checkout(userId)
  await billing.hear()
})

test('what people have not, they cannot cancel, resume or change; nor see the portal', async () => {
  const userId = await billing.person()
  for (const name of ['subscription:cancel', 'subscription:resume'])
    await assert.rejects(billing.call(name, {}, userId), withCode('not_found'))
  await assert.rejects(change(userId, 'premium_pro'), withCode('not_found'))
  await assert.rejects(billing.call('billing:portal', {}, userId), withCode('unprocessable'))
  const { userId: other } = await billing.subscriber()
  const { url } = await billing.call<{ url: string }>('billing:portal', {}, other)
  assert.match(url, /^https:\/\/billing\.stripe\.test\/cus_/)
})

test('an upgrade that the card does not pay changes nothing, neither there nor here', async () => {
  const { userId, id } = await billing.subscriber()
  billing.stripe.setCard(billing.customerOf(id), 'declined')
  const before = await billing.subscriptionOf(userId)
  await assert.rejects(change(userId, 'premium_ultra'), saying('payment_required', /declined/))
  assert.deepEqual(await billing.subscriptionOf(userId), before)
  assert.equal(billing.stripe.subscriptions.get(id)?.items.data[0].price.unit_amount, 2999)
  await billing.hear()
  assert.equal((await billing.walletOf(userId)).plan, 'premium_pro')
  assert.deepEqual(await billing.reasonsOf(userId), ['initial'])
})

test('an upgrade whose answer is lost is made once: the same key again, and so without a key', async () => {
  for (const headers of [{ 'idempotency-key': 'an upgrade' }, {}] as Record<string, string>[]) {
    const { userId, id } = await billing.subscriber({ plan: 'premium_starter' })
    billing.stripe.fail({ how: 'half', where: new RegExp(`POST /v1/subscriptions/${id}`), executed: true })
    await assert.rejects(change(userId, 'premium_pro', 'monthly', headers), withCode('upstream_failed'))
    billing.stripe.heal()
    assert.equal((await change(userId, 'premium_pro', 'monthly', headers)).plan, 'premium_pro')
    await billing.hear()
    const { items } = await billing.call<{ items: object[] }>('payment:list', {}, userId)
    assert.equal(items.length, 2, 'the difference is charged once')
    assert.deepEqual(await billing.reasonsOf(userId), ['initial', 'upgrade'])
  }
})

test('a downgrade can be planned, planned otherwise and taken back; a cancellation ends all plans', async () => {
  const { userId, id } = await billing.subscriber({ plan: 'premium_ultra' })
  const planned = await change(userId, 'premium_pro')
  assert.deepEqual([planned.plan, planned.next], ['premium_ultra', { plan: 'premium_pro', period: 'monthly' }])
  assert.deepEqual(await change(userId, 'premium_pro'), planned, 'again, it is the same')
  assert.equal(billing.stripe.schedules.size, 1)
  const otherwise = await change(userId, 'premium_starter', 'yearly')
  assert.deepEqual(otherwise.next, { plan: 'premium_starter', period: 'yearly' })
  assert.equal((await change(userId, 'premium_ultra')).next, undefined)
  assert.equal(billing.stripe.subscriptions.get(id)?.schedule, null)

  await change(userId, 'premium_pro')
  const cancelled = await billing.call<object>('subscription:cancel', {}, userId)
  assert.ok(!('next' in cancelled))
  await assert.rejects(change(userId, 'premium_pro'), saying('conflict', /resume/))
  await billing.hear()
  await billing.pass({ days: 31 })
  assert.equal((await billing.subscriptionOf(userId)).status, 'cancelled')
})

test('after a downgrade it can go down further, and up again at once', async () => {
  const { userId } = await billing.subscriber({ plan: 'unlimited' })
  await change(userId, 'premium_ultra')
  await billing.hear()
  await billing.pass({ days: 31 })
  assert.equal((await billing.subscriptionOf(userId)).plan, 'premium_ultra')
  // Stripe keeps the plan of a change for the period that it brought
  assert.deepEqual((await change(userId, 'premium_pro')).next, { plan: 'premium_pro', period: 'monthly' })
  await billing.hear()
  await billing.pass({ days: 31 })
  assert.equal((await billing.subscriptionOf(userId)).plan, 'premium_pro')
  const upgraded = await change(userId, 'unlimited')
  assert.deepEqual([upgraded.plan, upgraded.next], ['unlimited', undefined])
  await billing.hear()
  await billing.pass({ days: 31 })
  assert.equal((await billing.subscriptionOf(userId)).plan, 'unlimited')
})

test('cancelling twice, or resuming what goes on, changes nothing', async () => {
  const { userId } = await billing.subscriber()
  const first = await billing.call('subscription:cancel', {}, userId)
  billing.advance({ minutes: 5 })
  assert.deepEqual(await billing.call('subscription:cancel', {}, userId), first)
  const resumed = await billing.call('subscription:resume', {}, userId)
  assert.deepEqual(await billing.call('subscription:resume', {}, userId), resumed)
  await billing.hear()
  assert.deepEqual(await billing.reasonsOf(userId), ['initial', 'cancellation', 'recovery'])
})

test('while Stripe is away nothing is cancelled, resumed or planned', async () => {
  const { userId } = await billing.subscriber()
  const before = await billing.subscriptionOf(userId)
  billing.stripe.fail({ how: 'reset' })
  const calls = [
    () => billing.call('subscription:cancel', {}, userId),
    () => billing.call('subscription:resume', {}, userId),
    () => change(userId, 'premium_starter'),
    () => billing.call('billing:portal', {}, userId),
  ]
  for (const call of calls) await assert.rejects(call(), withCode('upstream_failed'))
  assert.deepEqual(await billing.subscriptionOf(userId), before, 'which is read without it')
  billing.stripe.heal()
  await billing.hear()
})

test('of two subscriptions at once the newest decides; when it ends, the other one does', async () => {
  const userId = await billing.person()
  // two tabs
  const pages = [
    await billing.checkout(userId, { plan: 'premium_ultra' }),
    await billing.checkout(userId, { plan: 'premium_pro' }),
  ]
  const [first, second] = pages.map(({ sessionId }) => {
    billing.advance({ minutes: 1 })
    return billing.stripe.complete(sessionId).subscriptionId ?? ''
  }) as [string, string]
  await billing.hear()
  assert.equal((await billing.walletOf(userId)).plan, 'premium_pro')
  assert.equal((await billing.subscriptionOf(userId)).plan, 'premium_pro')
  const kept = await billing.database.query(
    sql`select from subscriptions where user_id = ${userId} and status = 'active'`,
  )
  assert.equal(kept.length, 2)

  billing.stripe.giveUp(second)
  await billing.hear()
  assert.equal((await billing.walletOf(userId)).plan, 'premium_ultra')
  assert.equal((await billing.subscriptionOf(userId)).plan, 'premium_ultra')
  billing.stripe.giveUp(first)
  await billing.hear()
  assert.equal((await billing.walletOf(userId)).plan, 'basic')
})

test('a plan that staff gave is left to who has no subscription any more', async () => {
  const { userId, id } = await billing.subscriber()
  billing.stripe.giveUp(id)
  await billing.hear()
  const gift = { userId, planCode: 'unlimited', until: null, at: billing.clock(), reason: 'a gift' }
  await billing.database.transact((em) => billing.plans.assign(em, gift))
  const again = billing.stripe.events.findLast(({ type }) => type === 'customer.subscription.deleted')
  await billing.deliver({ ...again, id: 'evt_late' } as never)
  await billing.work()
  assert.equal((await billing.walletOf(userId)).plan, 'unlimited')
})

test("the history comes in pages, the newest first, and is one's own", async () => {
  const { userId } = await billing.subscriber()
  for (let i = 0; i < 3; i++) {
    billing.advance({ hours: 1 })
    await billing.call('subscription:cancel', {}, userId)
    billing.advance({ hours: 1 })
    await billing.call('subscription:resume', {}, userId)
  }
  const all = (await billing.historyOf(userId)).toReversed()
  assert.equal(all.length, 7)
  const seen: object[] = []
  let cursor: string | undefined
  do {
    const page = await billing.call<{ items: object[]; nextCursor?: string }>(
      'subscription:history',
      { limit: 3, ...(cursor && { cursor }) },
      userId,
    )
    seen.push(...page.items)
    cursor = page.nextCursor
  } while (cursor)
  assert.deepEqual(seen, all)
  await assert.rejects(billing.call('subscription:history', { cursor: 'bogus' }, userId), withCode('invalid_request'))
  assert.deepEqual(await billing.historyOf(await billing.person()), [])
  await billing.hear()
})

/** As identity does it: the first half in the transaction, and the account is gone with it. */
async function leave(userId: string): Promise<void> {
  const afterCommit = await billing.database.transact(async (em) => {
    const afterwards = await billing.events.publish(em, 'user.deleting', { userId })
    await sql`update users set deleted_at = now() where id = ${userId}`.execute(em.getKysely() as never)
    return afterwards
  })
  await afterCommit()
}

test('who deletes the account pays no more: the subscription ends at Stripe at once, as soon as it can be reached', async () => {
  const { userId, id } = await billing.subscriber()
  await leave(userId)
  const [job] = billing.queued.splice(0)
  assert.equal(job?.name, 'subscription-end')
  billing.stripe.fail({ how: 'reset' })
  await assert.rejects(billing.runJob('subscription-end', job?.data), withCode('upstream_failed'))
  assert.equal(billing.stripe.subscriptions.get(id)?.status, 'active')
  billing.stripe.heal()
  await billing.runJob('subscription-end', job?.data)
  await billing.runJob('subscription-end', job?.data)
  assert.equal(billing.stripe.subscriptions.get(id)?.status, 'canceled')
  await billing.hear()
  const [row] = await billing.database.query(sql<{ status: string; plan: string }>`
    select s.status, w.plan_code as plan from subscriptions s join wallets w using (user_id) where user_id = ${userId}`)
  assert.deepEqual(row, { status: 'cancelled', plan: 'basic' })
})

test('a page that is paid after its owner has left buys nothing: the subscription is ended', async () => {
  const userId = await billing.person()
  const { sessionId } = await billing.checkout(userId)
  await leave(userId)
  await billing.work()
  const { subscriptionId = '' } = billing.stripe.complete(sessionId)
  billing.told.length = 0
  await billing.hear()
  await billing.hear()
  assert.equal(billing.stripe.subscriptions.get(subscriptionId)?.status, 'canceled')
  const [wallet] = await billing.database.query(sql`select plan_code as plan from wallets where user_id = ${userId}`)
  assert.deepEqual(wallet, { plan: 'basic' })
  assert.deepEqual(billing.told, [], 'and nobody is told')
})

test("subscriptions and their history are in the export of one's data", async () => {
  const { userId } = await billing.subscriber()
  const rows: Record<string, unknown[]> = {}
  for (const section of billing.sections.filter(({ name }) => name.startsWith('subscription'))) {
    rows[section.name] = []
    for await (const row of section.rows(userId)) rows[section.name]?.push(row)
  }
  assert.deepEqual(
    Object.entries(rows).map(([name, all]) => [name, all.length]),
    [
      ['subscriptions', 1],
      ['subscription-history', 1],
    ],
  )
})

// the rules by themselves

const at = new Date('2026-06-20T00:00:00.000Z')
const rules = {
  at,
  graceDays: 7,
  planOf: (priceId: string | undefined) => (priceId === 'price_x' ? undefined : 'premium_pro'),
}

const read = (more: Partial<ProviderSubscription> = {}): ProviderSubscription => ({
  ...{ id: 'sub_1', customerId: 'cus_1', status: 'active', priceId: 'price_1', period: 'monthly', notes: {} },
  periodStart: new Date('2026-06-01T00:00:00.000Z'),
  periodEnd: new Date('2026-07-01T00:00:00.000Z'),
  createdAt: new Date('2026-06-01T00:00:00.000Z'),
  ...{ endsAt: undefined, cancelledAt: undefined, latestInvoice: undefined, next: undefined },
  ...more,
})

const state = (more: Partial<ProviderSubscription> = {}, before?: SubscriptionState): SubscriptionState => {
  const made = stateOf(read(more), before, rules)
  assert.ok(made)
  return made
}

test('what has not begun, and what is of no plan, is no state', () => {
  assert.equal(stateOf(read({ status: 'incomplete' }), undefined, rules), undefined)
  assert.equal(stateOf(read({ priceId: 'price_x' }), undefined, rules), undefined)
})

test('an end that lies in a later period does not stop this renewal; one in this period is its end', () => {
  const later = state({ endsAt: new Date('2026-09-15T00:00:00.000Z') })
  assert.deepEqual([later.autoRenew, later.periodEnd.toISOString()], [true, '2026-07-01T00:00:00.000Z'])
  const sooner = state({ endsAt: new Date('2026-06-25T00:00:00.000Z') })
  assert.deepEqual([sooner.autoRenew, sooner.periodEnd.toISOString()], [false, '2026-06-25T00:00:00.000Z'])
  assert.equal(planUntil(sooner, 7)?.toISOString(), '2026-06-25T00:00:00.000Z')
})

test('what is past due keeps the day on which it began, and falls out of grace by itself', () => {
  const first = state({ status: 'past_due' })
  assert.equal(first.pastDueSince?.toISOString(), at.toISOString())
  const later = stateOf(read({ status: 'past_due' }), first, { ...rules, at: new Date('2026-06-26T23:59:59.999Z') })
  assert.deepEqual([later?.status, later?.pastDueSince], ['past_due', at])
  assert.equal(later && paidUntil(later).toISOString(), '2026-06-01T00:00:00.000Z')
  const over = stateOf(read({ status: 'past_due' }), first, { ...rules, at: new Date('2026-06-27T00:00:00.000Z') })
  assert.equal(over?.status, 'unpaid')
  assert.equal(stateOf(read({ status: 'past_due' }), undefined, { ...rules, graceDays: 0 })?.status, 'unpaid')
})

test('only what is active, in trial or in grace gives a plan, and only as long as it lasts', () => {
  const live = (of: SubscriptionState, when: string) => isLive(of, { at: new Date(when), graceDays: 7 })
  for (const status of ['active', 'trialing'] as const) {
    assert.ok(live(state({ status }), '2026-07-01T23:59:59.999Z'), 'a day of slack for the renewal')
    assert.ok(!live(state({ status }), '2026-07-02T00:00:00.000Z'))
  }
  assert.ok(live(state({ status: 'past_due' }), '2026-06-26T23:59:59.999Z'))
  for (const status of ['unpaid', 'ended'] as const)
    assert.ok(!live(state({ status, endsAt: at }), '2026-06-20T00:00:00Z'))
})

test('how it ended is told by who ended it', () => {
  assert.equal(state({ status: 'ended', endsAt: at, cancelledAt: at }).status, 'cancelled')
  assert.equal(state({ status: 'ended', endsAt: at }).status, 'expired')
  assert.equal(lapsed(state()).status, 'expired')
  assert.equal(lapsed(state({ endsAt: at, cancelledAt: at })).status, 'cancelled')
  assert.equal(lapsed(state({ status: 'past_due' })).status, 'unpaid')
})

test('changes are noted once each, in the order in which they are to be read', () => {
  const reading = { at, createdAt: read().createdAt, bill: undefined, isHigher: () => true }
  const reasons = (before: SubscriptionState | undefined, after: SubscriptionState) =>
    changesBetween(before, after, reading).map(({ reason }) => reason)
  const active = state()
  const cancelling = state({ endsAt: read().periodEnd, cancelledAt: at })
  const pastDue = state({ status: 'past_due' })
  const ended = state({ status: 'ended', endsAt: at })
  assert.deepEqual(reasons(undefined, active), ['initial'])
  assert.deepEqual(reasons(active, active), [])
  assert.deepEqual(reasons(active, { ...active, planCode: 'premium_ultra' }), ['upgrade'])
  assert.deepEqual(reasons(active, { ...active, period: 'yearly' }), ['upgrade'])
  assert.deepEqual(reasons({ ...active, period: 'yearly' }, active), ['downgrade'])
  assert.deepEqual(reasons(active, cancelling), ['cancellation'])
  assert.deepEqual(reasons(cancelling, active), ['recovery'])
  assert.deepEqual(reasons(active, pastDue), ['payment_failed'])
  assert.deepEqual(reasons(pastDue, { ...pastDue, status: 'unpaid' }), ['expiry'])
  assert.deepEqual(reasons(pastDue, active), ['recovery'])
  assert.deepEqual(reasons({ ...pastDue, status: 'unpaid' }, ended), [], 'it was over already')
  assert.deepEqual(reasons(undefined, ended), ['initial', 'expiry'])
  assert.deepEqual(reasons(lapsed(active), active), ['recovery'])
})
