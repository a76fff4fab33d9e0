import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { sql } from 'kysely'
import type { Wallet } from '../../src/billing/billing.contract.ts'
import { eventually, startScene } from '../faults/scene.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import { join, register } from '../support/people.ts'
import { startNodes, withoutServices } from '../support/services.ts'
import { startStripe, type TestStripe } from '../support/stripe.ts'
import type { StripeEvent } from '../support/stripe-world.ts'

/** Servers as they run, with a Stripe on this machine. */

const environment = ({ url, secretKey, webhookSecret }: TestStripe) => ({
  ...{ STRIPE_API_URL: url, STRIPE_SECRET_KEY: secretKey, STRIPE_WEBHOOK_SECRET: webhookSecret },
})

type Account = Awaited<ReturnType<typeof register>>

const ask = (url: string, account: Account | undefined, method: string, path: string, body?: object, more = {}) =>
  fetch(`${url}/v1${path}`, {
    method,
    headers: {
      ...(account && { authorization: `Bearer ${account.accessToken}` }),
      ...(body && { 'content-type': 'application/json' }),
      ...more,
    },
    ...(body && { body: JSON.stringify(body) }),
  })

/** What was answered: the test says what it expects of it. */
const json = async <T = Record<string, unknown>>(response: Response): Promise<T> => (await response.json()) as T

/** Delivers an event as Stripe does. */
async function deliver(url: string, stripe: TestStripe, event: StripeEvent): Promise<number> {
  const { body, signature } = stripe.signed(event)
  const headers = { 'content-type': 'application/json; charset=utf-8', 'stripe-signature': signature }
  return (await fetch(`${url}/v1/webhooks/stripe`, { method: 'POST', headers, body })).status
}

/** Somebody has paid on the page; nobody but Stripe knows. */
async function paid(url: string, account: Account, stripe: TestStripe): Promise<string> {
  const begun = await ask(url, account, 'POST', '/billing/checkout', { plan: 'premium_pro', period: 'monthly' })
  const { sessionId } = await json<{ sessionId: string }>(begun)
  assert.equal(begun.status, 201)
  return stripe.complete(sessionId).subscriptionId ?? ''
}

const walletAt = async (url: string, account: Account): Promise<Wallet> =>
  json(await ask(url, account, 'GET', '/me/wallet'))

describe('over HTTP', () => {
  let stripe: TestStripe
  let server: Backend
  before(async () => {
    stripe = await startStripe()
    server = await startBackend(environment(stripe))
  })
  after(async () => {
    await server.end()
    await stripe.close()
  })

  test('a subscription from the page to its end', async () => {
    const { url } = server
    const account = await register(url)
    assert.deepEqual(await json(await ask(url, account, 'GET', '/billing/subscription')), {
      status: 'none',
      plan: 'basic',
    })
    const id = await paid(url, account, stripe)
    for (const event of stripe.events) assert.equal(await deliver(url, stripe, event), 200)
    await eventually('the plan is there', async () => (await walletAt(url, account)).plan === 'premium_pro')
    const cancelled = await ask(url, account, 'POST', '/billing/subscription/cancel')
    assert.equal(cancelled.status, 200)
    assert.equal((await json(cancelled)).autoRenew, false)
    assert.equal((await json(await ask(url, account, 'POST', '/billing/subscription/resume'))).autoRenew, true)
    const again = await ask(url, account, 'POST', '/billing/checkout', { plan: 'premium_pro', period: 'monthly' })
    assert.equal(again.status, 409)
    stripe.giveUp(id)
    assert.equal(await deliver(url, stripe, stripe.events.at(-1) as StripeEvent), 200)
    await eventually('it is over', async () => (await walletAt(url, account)).plan === 'basic')
    const newest = await json<{ items: { reason: string }[] }>(
      await ask(url, account, 'GET', '/billing/subscription/history?limit=1'),
    )
    assert.equal(newest.items[0]?.reason, 'expiry')
  })

  test('the webhook is signed over the bytes as they came, whatever they look like', async () => {
    const { url } = server
    const event = stripe.events[0] as StripeEvent
    const { signature } = stripe.signed(event)
    const post = async (body: string, header: string | undefined) => {
      const headers = { 'content-type': 'text/plain', ...(header && { 'stripe-signature': header }) }
      return fetch(`${url}/v1/webhooks/stripe`, { method: 'POST', headers, body })
    }
    const spaced = `${JSON.stringify({ ...event, id: 'evt_spaced', note: 'ünïcode 💶' }, null, 3)}\n`
    assert.equal((await post(spaced, stripe.signedText(spaced))).status, 200)
    for (const [body, header] of [
      [JSON.stringify(event, null, 1), signature],
      [JSON.stringify(event), undefined],
      ['', stripe.signedText('x')],
      ['not json', stripe.signedText('other')],
    ] as const) {
      const refused = await post(body, header)
      assert.equal(refused.status, 401)
      assert.equal((await json(refused)).code, 'unauthenticated')
    }
    const senseless = await post('not json', stripe.signedText('not json'))
    assert.equal(senseless.status, 401, 'Stripe sends none such')
  })

  test('who is not signed in has no subscription, and who asks for more than there is hears so', async () => {
    const { url } = server
    for (const [method, path] of [
      ['GET', '/billing/subscription'],
      ['GET', '/billing/subscription/history'],
      ['POST', '/billing/checkout'],
      ['POST', '/billing/subscription/cancel'],
      ['POST', '/billing/subscription/resume'],
      ['POST', '/billing/subscription/change'],
      ['POST', '/billing/portal'],
    ] as const)
      assert.equal((await ask(url, undefined, method, path)).status, 401, path)
    const account = await register(url)
    const order = { plan: 'premium_pro', period: 'monthly' }
    const bodies = [{}, { ...order, price: 1 }, { ...order, plan: 7 }, { ...order, period: 'never' }]
    for (const body of bodies) assert.equal((await ask(url, account, 'POST', '/billing/checkout', body)).status, 400)
    const badKey = await ask(url, account, 'POST', '/billing/checkout', order, { 'idempotency-key': 'k'.repeat(256) })
    assert.equal(badKey.status, 400)
  })

  test('Stripe down: 502, and the same key later gives the one page', async () => {
    const { url } = server
    const account = await register(url)
    const order = { plan: 'premium_pro', period: 'yearly' }
    const key = { 'idempotency-key': 'the same' }
    stripe.fail({ how: 'reset' })
    const failed = await ask(url, account, 'POST', '/billing/checkout', order, key)
    assert.equal(failed.status, 502)
    assert.equal((await json(failed)).code, 'upstream_failed')
    stripe.heal()
    const first = await json(await ask(url, account, 'POST', '/billing/checkout', order, key))
    assert.deepEqual(await json(await ask(url, account, 'POST', '/billing/checkout', order, key)), first)
    assert.doesNotMatch(server.output(), new RegExp(`${stripe.secretKey}|${stripe.webhookSecret}|example\\.org`))
  })
})

test('killed between storing an event and applying it: another node does, and it has one effect', {
  skip: withoutServices,
}, async (t) => {
  const stripe = await startStripe()
  t.after(() => stripe.close())
  const { nodes, a, database } = await startScene(t, 1, environment(stripe))
  const account = await register(a)
  await paid(a, account, stripe)
  const held = stripe.hold(/GET \/v1\/(subscriptions|invoices|checkout)/)
  const deliveries = stripe.events.flatMap((event) => Array<StripeEvent>(10).fill(event))
  const answers = await Promise.all(deliveries.map((event) => deliver(a, stripe, event)))
  assert.ok(answers.every((status) => status === 200))
  await held.reached
  const open = await database.database.query(sql`select from provider_events where processed_at is null`)
  assert.equal(open.length, stripe.events.length, 'all are stored, and none is applied')
  await nodes[0]?.kill()
  held.letGo()

  const [other] = await startNodes(1, { database, ...environment(stripe) })
  assert.ok(other)
  t.after(() => other.kill())
  // what a dead node had begun is looked for every minute
  await eventually(
    'the other node has applied them',
    async () =>
      (await database.database.query(sql`select from provider_events where processed_at is null`)).length === 0,
    100_000,
  )
  const { plan, lifetimeCredits } = await walletAt(other.url, account)
  assert.deepEqual([plan, lifetimeCredits], ['premium_pro', 1000 + 5000])
  for (const path of ['/billing/subscription/history', '/billing/payments']) {
    const answer = await ask(other.url, account, 'GET', path)
    assert.equal((await json<{ items: object[] }>(answer)).items.length, 1, path)
  }
})

test('a subscription counts on every node within a second, and all devices hear of it', {
  skip: withoutServices,
}, async (t) => {
  const stripe = await startStripe()
  t.after(() => stripe.close())
  const { a, b, database } = await startScene(t, 2, environment(stripe))
  const person = await join(b)
  t.after(() => person.close())
  assert.equal((await walletAt(b, person.session)).tokens.limit, 100_000)

  const counted = async (status: string, limit: number, event: StripeEvent | undefined) => {
    assert.equal(await deliver(a, stripe, event as StripeEvent), 200)
    let written = 0
    await eventually('it is in the books', async () => {
      const rows = await database.database.query(sql`
        select from subscriptions where user_id = ${person.id} and status = ${status}`)
      written = performance.now()
      return rows.length > 0
    })
    await Promise.all([
      person.hears('wallet:changed', (wallet) => (wallet as unknown as Wallet).tokens.limit === limit),
      person.hears('notification', (note) => note.kind === 'subscription' && note.status === status),
    ])
    assert.equal((await walletAt(b, person.session)).tokens.limit, limit)
    const tookMs = performance.now() - written
    assert.ok(tookMs < 1000, `after ${tookMs} ms`)
  }
  const id = await paid(a, person.session, stripe)
  await counted('active', 2_000_000, stripe.events[0])
  stripe.giveUp(id)
  await counted('expired', 100_000, stripe.events.at(-1))
})
