import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql } from 'kysely'
import { checkInvariants } from '../support/billing.ts'
import { withCode } from '../support/identity.ts'
import type { StripeEvent } from '../support/stripe-world.ts'
import { startSubscriptions, type TestSubscriptions } from '../support/subscriptions.ts'

let billing: TestSubscriptions
before(async () => {
  billing = await startSubscriptions()
})
after(() => billing.close())

const stored = async (): Promise<{ type: string; payload: unknown; processed: boolean }[]> =>
  billing.database.query(sql`
    select type, payload, processed_at is not null as processed from provider_events order by received_at, event_id`)

/** A person with a page on which they have paid, of which nobody here has heard. */
async function unheard(plan = 'premium_pro'): Promise<{ userId: string; id: string }> {
  const userId = await billing.person()
  const { sessionId } = await billing.checkout(userId, { plan })
  const { subscriptionId } = billing.stripe.complete(sessionId)
  assert.ok(subscriptionId)
  return { userId, id: subscriptionId }
}

/** What customers do at Stripe's own pages. */
const atStripe = (id: string, change: object): void =>
  void billing.stripe.api['POST /v1/subscriptions/:id']?.answer(change, id)

test('what is not signed by Stripe is refused, and nothing of it is stored', async () => {
  const { userId } = await unheard()
  const event = billing.stripe.events.at(-1)
  const { body, signature } = billing.stripe.signed(event as object)
  const foreign = billing.stripe.signed(event as object, { secret: 'whsec_of_somebody_else' })
  const before = await stored()
  const forged: { body: string; signature: string | undefined }[] = [
    { body, signature: undefined },
    { body, signature: '' },
    { body, signature: 'nonsense' },
    { body, signature: 't=,v1=' },
    { body, signature: signature.replace('v1=', 'v0=') },
    { body, signature: signature.replace(/t=\d+/, 't=NaN') },
    { body, signature: signature.replace(/t=\d+/, `t=${Math.floor(billing.clock().getTime() / 1000) + 1}`) },
    { body: body.replace('evt_', 'evt_0'), signature },
    { body: ` ${body}`, signature },
    { body: '', signature },
    foreign,
  ]
  for (const attempt of forged) await assert.rejects(billing.post(attempt), withCode('unauthenticated'))
  assert.deepEqual(await stored(), before)
  assert.equal((await billing.subscriptionOf(userId)).status, 'none')
  await billing.hear()
})

test('a signature is good for five minutes: what was recorded cannot be sent again later', async () => {
  const { userId } = await unheard()
  const event = billing.stripe.events.at(-1) as StripeEvent
  const recorded = billing.stripe.signed(event)
  billing.advance({ minutes: 5, ms: 1000 })
  const before = await stored()
  await assert.rejects(billing.post(recorded), withCode('unauthenticated'))
  assert.deepEqual(await stored(), before)
  billing.advance({ ms: -1000 })
  await billing.post(recorded)
  await billing.work()
  assert.equal((await billing.subscriptionOf(userId)).status, 'active')
  await billing.hear()
})

test('of an event is kept what to look at, and nothing of what it says of people', async () => {
  await billing.subscriber()
  const kinds = new Set<string>()
  for (const { payload } of await stored()) {
    const { kind, id, ...rest } = payload as { kind: string; id: string }
    assert.deepEqual(rest, {})
    assert.match(id, /^(sub|in|cs_test|ch)_\w+$/)
    kinds.add(kind)
  }
  assert.deepEqual([...kinds].toSorted(), ['checkout', 'invoice', 'subscription'])
})

test('what an event says is not believed: what holds is read', async () => {
  const { userId, id } = await billing.subscriber({ plan: 'premium_starter' })
  const subscription = { ...billing.stripe.subscriptions.get(id), status: 'canceled', metadata: { plan: 'unlimited' } }
  const invented = { type: 'customer.subscription.deleted', data: { object: subscription } }
  await billing.deliver({ ...(billing.stripe.events.at(-1) as StripeEvent), id: 'evt_invented', ...invented })
  await billing.work()
  const { status, plan } = await billing.subscriptionOf(userId)
  assert.deepEqual({ status, plan }, { status: 'active', plan: 'premium_starter' })
})

test('events that do not concern us are taken and forgotten', async () => {
  const before = await stored()
  for (const type of ['customer.created', 'payment_intent.succeeded', 'invoice.upcoming', 'constructor', '__proto__'])
    await billing.deliver({ ...(billing.stripe.events[0] as StripeEvent), id: `evt_${type}`, type })
  assert.deepEqual(await stored(), before)
})

test("a subscription that is nobody's, or of no plan, is left alone; so is what Stripe does not know", async () => {
  const { id } = await unheard()
  const subscription = billing.stripe.subscriptions.get(id)
  assert.ok(subscription)
  const stranger = structuredClone(subscription)
  Object.assign(stranger, { id: 'sub_ofanotherapp', customer: 'cus_ofanotherapp', metadata: { userId: 'not-an-id' } })
  billing.stripe.subscriptions.set(stranger.id, stranger)
  const planless = structuredClone(subscription)
  Object.assign(planless, { id: 'sub_ofnoplan', metadata: { plan: 'no_such_plan' } })
  billing.stripe.subscriptions.set(planless.id, planless)
  const base = { ...(billing.stripe.events.at(-1) as StripeEvent), type: 'customer.subscription.updated' }
  for (const object of [stranger, planless, { ...planless, id: 'sub_gone' }])
    await billing.deliver({ ...base, id: `evt_${object.id}`, data: { object } })
  await billing.work()
  const known = await billing.database.query(sql`
    select from subscriptions where stripe_subscription_id in ('sub_ofanotherapp', 'sub_ofnoplan', 'sub_gone')`)
  assert.equal(known.length, 0)
  assert.ok((await stored()).every(({ processed }) => processed))
  for (const { id: foreign } of [stranger, planless]) billing.stripe.subscriptions.delete(foreign)
  await billing.hear()
})

test('a plan is known by the id of its price, before what was noted', async () => {
  const price = billing.stripe.addPrice({ amount: 2500, currency: 'USD', interval: 'month' })
  await billing.database.query(sql`update plans set stripe_price_monthly_id = ${price.id} where code = 'premium_pro'`)
  const { userId, id } = await billing.subscriber({ plan: 'premium_starter' })
  // the operator has changed the price in Stripe's dashboard, and no note
  atStripe(id, { items: [{ price: price.id }] })
  await billing.hear()
  assert.equal((await billing.subscriptionOf(userId)).plan, 'premium_pro')
  const other = await billing.subscriber({ plan: 'premium_pro' })
  assert.equal(billing.stripe.subscriptions.get(other.id)?.items.data[0].price.id, price.id)
  await billing.database.query(sql`update plans set stripe_price_monthly_id = null where code = 'premium_pro'`)
})

test('while Stripe cannot be asked, an event waits; then it takes effect once', async (t) => {
  t.after(billing.stripe.heal)
  const { userId } = await unheard()
  const [event] = billing.stripe.events.slice(-1)
  for (const how of ['reset', '500', 'half'] as const) {
    billing.stripe.fail({ how })
    await billing.deliver(event as StripeEvent)
    const job = billing.queued.at(-1)
    assert.ok(job)
    await assert.rejects(billing.runJob(job.name, job.data), withCode('upstream_failed'), how)
    assert.equal((await billing.subscriptionOf(userId)).status, 'none')
  }
  billing.stripe.heal()
  await billing.work()
  assert.equal((await billing.subscriptionOf(userId)).status, 'active')
  await billing.hear()
  assert.deepEqual(await billing.reasonsOf(userId), ['initial'])
})

test('what was read earlier and comes later changes nothing', async () => {
  const { userId, id } = await billing.subscriber()
  atStripe(id, { metadata: {} })
  const [early] = billing.stripe.events.slice(-1)
  const held = billing.stripe.hold(new RegExp(`GET /v1/subscriptions/${id}`))
  await billing.deliver(early as StripeEvent)
  const slow = billing.work()
  await held.reached
  atStripe(id, { cancel_at_period_end: 'true' })
  const gate = held.letGo
  // the read of the later event is not held
  const [late] = billing.stripe.events.slice(-1)
  const answered = billing.stripe.hold(/nothing/)
  await billing.deliver(late as StripeEvent)
  await billing.work()
  assert.equal((await billing.subscriptionOf(userId)).autoRenew, false)
  gate()
  answered.letGo()
  await slow
  assert.equal((await billing.subscriptionOf(userId)).autoRenew, false)
  await billing.hear()
  assert.deepEqual(await billing.reasonsOf(userId), ['initial', 'cancellation'])
})

test('of two subscriptions that begin and end at the same moment, the one that goes on decides', async () => {
  const people: { userId: string; ending: string; page: string }[] = []
  for (let i = 0; i < 15; i++) {
    const userId = await billing.person()
    const [first, second] = [await billing.checkout(userId, { plan: 'premium_ultra' }), await billing.checkout(userId)]
    const ending = billing.stripe.complete(first?.sessionId ?? '').subscriptionId ?? ''
    billing.stripe.setCard(billing.customerOf(ending), 'declined')
    people.push({ userId, ending, page: second?.sessionId ?? '' })
  }
  await billing.hear()
  await billing.pass({ days: 31 })
  for (const [round, { userId, ending, page }] of people.entries()) {
    billing.stripe.setCard(billing.customerOf(ending), 'good')
    const going = billing.stripe.complete(page).subscriptionId
    billing.stripe.giveUp(ending)
    const news = billing.stripe.events.filter(({ type, data: { object } }) => {
      const { id } = object as { id: string }
      return (id === ending && type.endsWith('deleted')) || (id === going && type.endsWith('created'))
    })
    for (const event of news) await billing.deliver(event)
    const jobs = billing.queued.splice(0)
    assert.equal(jobs.length, 2)
    await Promise.all((round % 2 ? jobs : jobs.toReversed()).map(({ name, data }) => billing.runJob(name, data)))
    assert.equal((await billing.walletOf(userId)).plan, 'premium_pro', `round ${round}`)
  }
  await billing.hear()
})

/** Mulberry32: the same numbers for the same seed. */
function createRandom(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

function shuffled<T>(items: T[], random: (below: number) => number): T[] {
  const rest = [...items]
  return items.map(() => rest.splice(random(rest.length), 1)[0] as T)
}

/** What people and their banks do at Stripe; each is told what there is, and may do nothing. */
function acts(random: (below: number) => number): (userIds: { id: string }[]) => void {
  const { stripe } = billing
  const ultra = stripe.addPrice({ amount: 9999, currency: 'USD', interval: 'month' })
  const paidCharge = (id: string): string | undefined => {
    const invoice = [...stripe.invoices.values()].findLast((one) => one.parent.subscription_details.subscription === id)
    const intent = invoice?.payments.data[0]?.payment.payment_intent
    return intent === undefined ? undefined : stripe.chargeOf(intent)
  }
  return (all) => {
    const kind = random(9)
    const days = random(20) + 1
    billing.advance({ days, minutes: random(600) })
    stripe.catchUp()
    for (const { id } of all) {
      const subscription = stripe.subscriptions.get(id)
      if (!subscription || subscription.status === 'canceled') continue
      const customer = billing.customerOf(id)
      const charge = paidCharge(id)
      if (kind === 0) atStripe(id, { cancel_at_period_end: 'true' })
      else if (kind === 1) atStripe(id, { cancel_at_period_end: 'false' })
      else if (kind === 2) stripe.setCard(customer, 'declined')
      else if (kind === 3) {
        stripe.setCard(customer, 'good')
        if (subscription.status === 'past_due') stripe.retry(id)
      } else if (kind === 4 && subscription.status === 'active' && stripe.customers.get(customer)?.card === 'good')
        atStripe(id, { items: [{ price: ultra.id }], metadata: { plan: 'premium_ultra', period: 'monthly' } })
      else if (kind === 5 && charge) stripe.refund(charge, 100)
      else if (kind === 6 && charge) stripe.refund(charge)
      else if (kind === 7 && charge) stripe.dispute(charge)
      else if (kind === 8 && subscription.status === 'past_due') stripe.giveUp(id)
    }
  }
}

/** Whose event it is. */
function customerOf({ data }: StripeEvent): string {
  const { customer, charge } = data.object as { customer?: string; charge?: string }
  return customer ?? billing.stripe.charges.get(charge ?? '')?.customer ?? ''
}

/** All that the server has of somebody's subscription, without the names that differ from one to the next. */
async function books(userId: string): Promise<object> {
  const { database } = billing
  return {
    subscription: await billing.subscriptionOf(userId),
    history: await database.query(sql`
      select reason, previous_plan, new_plan, period, amount, currency, stripe_payment_id is not null as paid, created_at
      from subscription_history where user_id = ${userId} order by created_at, reason, amount`),
    payments: await database.query(sql`
      select plan_code, amount, currency, value_usd, status, details - 'payment_intent' - 'charge_id' as details, created_at,
        succeeded_at, refunded_at
      from payments where user_id = ${userId} order by created_at, amount`),
    wallet: await billing.walletOf(userId),
    ledger: await database.query(sql`
      select type, amount, balance_after, description from credit_transactions where user_id = ${userId} order by seq`),
  }
}

test('each event ten times, in parallel and in any order, leads to where it leads in order', async () => {
  for (const seed of [1, 2, 3, 4, 5, 6]) {
    billing.setClock(`2027-0${seed}-15T08:00:00.000Z`)
    const random = createRandom(seed)
    const people = [await unheard('premium_starter')]
    for (let i = 0; i < 3; i++) people.push(await unheard('premium_starter'))
    const act = acts(random)
    for (let step = 0; step < 10; step++) act(people)
    const [inOrder, ...others] = people as [{ userId: string; id: string }, ...{ userId: string; id: string }[]]
    const eventsOf = ({ id }: { id: string }) =>
      billing.stripe.events.filter((event) => customerOf(event) === billing.customerOf(id))

    for (const event of eventsOf(inOrder)) {
      await billing.deliver(event)
      await billing.work()
    }
    for (const other of others) {
      const deliveries = shuffled(
        eventsOf(other).flatMap((event) => Array<StripeEvent>(10).fill(event)),
        random,
      )
      while (deliveries.length > 0) {
        await Promise.all(deliveries.splice(0, 8).map(billing.deliver))
        // some take effect while others still come, and a job may run twice
        if (random(4) > 0) continue
        const jobs = shuffled([...billing.queued, ...billing.queued], random)
        billing.queued.splice(0)
        await Promise.all(jobs.map(({ name, data }) => billing.runJob(name, data)))
      }
      await billing.work()
    }
    const expected = await books(inOrder.userId)
    for (const { userId } of others) assert.deepEqual(await books(userId), expected, `seed ${seed}`)
  }
  assert.ok((await stored()).every(({ processed }) => processed))
  await checkInvariants(billing.database)
})

test('heard late, twice and out of order while it happens, the end is the same as heard in order', async () => {
  for (const seed of [11, 12, 13, 14]) {
    billing.setClock(`2028-0${seed - 10}-15T08:00:00.000Z`)
    const random = createRandom(seed)
    const people = [
      await unheard('premium_starter'),
      await unheard('premium_starter'),
      await unheard('premium_starter'),
    ]
    const act = acts(random)
    const [inOrder, ...others] = people as [{ userId: string; id: string }, ...{ userId: string; id: string }[]]
    let told = billing.stripe.events.length - 3 * people.length
    const waiting = new Map(others.map(({ id }) => [billing.customerOf(id), [] as StripeEvent[]]))
    const tell = async (all: boolean): Promise<void> => {
      for (const event of billing.stripe.events.slice(told)) {
        const late = waiting.get(customerOf(event))
        if (late) late.push(event, event)
        else if (customerOf(event) === billing.customerOf(inOrder.id)) await billing.deliver(event)
      }
      told = billing.stripe.events.length
      for (const [customer, events] of waiting) {
        const order = shuffled(events, random)
        const now = all ? order : order.slice(random(order.length + 1))
        waiting.set(customer, order.slice(0, order.length - now.length))
        for (const event of now) await billing.deliver(event)
      }
      await billing.work()
    }
    for (let step = 0; step < 10; step++) {
      act(people)
      await tell(false)
    }
    await tell(true)
    const end = async (userId: string) => {
      const { subscription, payments, wallet, history } = (await books(userId)) as Record<string, object[]>
      const { plan, planUntil, tokens } = wallet as unknown as Record<string, object>
      // who did not hear of it did not lose a month's credits by it, but has none of months that were over by then
      const bills = history?.filter((row) => ['initial', 'renewal'].includes((row as { reason: string }).reason))
      // when it was heard that the money is gone
      const paid = payments?.map((row) => ({
        ...row,
        refunded_at: (row as { refunded_at: unknown }).refunded_at !== null,
      }))
      return { subscription, paid, plan, planUntil, tokens, bills }
    }
    const expected = await end(inOrder.userId)
    for (const { userId } of others) assert.deepEqual(await end(userId), expected, `seed ${seed}`)
  }
  await checkInvariants(billing.database)
})
