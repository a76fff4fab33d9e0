import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { sql } from 'kysely'
import { createStripe } from '../../src/adapters/stripe.ts'
import type { Payment, StaffPayment } from '../../src/billing/payments.contract.ts'
import { newId } from '../../src/kernel/ids.ts'
import { actorOf, checkInvariants } from '../support/billing.ts'
import { withCode } from '../support/identity.ts'
import { startStripe } from '../support/stripe.ts'
import { startSubscriptions, type TestSubscriptions } from '../support/subscriptions.ts'

let billing: TestSubscriptions
before(async () => {
  billing = await startSubscriptions({ signupCredits: 0 }, { timeoutMs: 1500 })
})
after(() => billing.close())
afterEach(() => billing.stripe.heal())

/** Fails with this code and nothing that the caller should not see. */
const failsAs = (code: string) => (error: unknown) => {
  const { code: actual, message, details } = error as { code: string; message: string; details?: unknown }
  assert.equal(actual, code, String((error as Error).stack))
  assert.doesNotMatch(`${message} ${JSON.stringify(details)}`, /sk_test|req_|cus_|api_error/)
  return true
}

const customerOf = async (userId: string): Promise<string | null> => {
  const [row] = await billing.database.query(
    sql<{ id: string | null }>`select stripe_customer_id as id from users where id = ${userId}`,
  )
  return row?.id ?? null
}

/** What there is at Stripe of a user. */
function atStripe(userId: string) {
  const customers = [...billing.stripe.customers.values()].filter(({ metadata }) => metadata['userId'] === userId)
  const pages = [...billing.stripe.sessions.values()].filter((one) => one.client_reference_id === userId)
  return { customers: customers.length, pages: pages.length }
}

const steps = [
  /POST \/v1\/customers$/,
  /POST \/v1\/customers\//,
  /GET \/v1\/subscriptions$/,
  /GET \/v1\/prices/,
  /POST \/v1\/prices/,
  /POST \/v1\/checkout\/sessions/,
]

/** How often what was asked is done all the same, and only the answer is lost. */
const outcomes = { timeout: [false, true], '500': [false], half: [true], reset: [false, true] }

for (const how of ['timeout', '500', 'half', 'reset'] as const) {
  test(`Stripe fails by ${how} at any step: upstream_failed; the same key again gives one customer and one page`, async () => {
    // each timeout takes its time: there the first and the last step do
    for (const where of how === 'timeout' ? [steps[0], steps.at(-1)] : steps) {
      for (const executed of outcomes[how]) {
        // each time a price that is not there yet
        await billing.database.query(
          sql`update plans set price_monthly = price_monthly + 1 where code = 'premium_ultra'`,
        )
        const userId = await billing.person()
        const key = { 'idempotency-key': newId() }
        const begin = () => billing.checkout(userId, { plan: 'premium_ultra' }, key)
        // the SDK asks once more by itself, and after a hang-up in any case
        billing.stripe.fail({ how, where, executed })
        await assert.rejects(begin(), failsAs('upstream_failed'), String(where))
        const [open] = await billing.database.query(sql<{ response: unknown }>`
          select response from idempotency_keys where user_id = ${userId}`)
        assert.equal(open?.response, null, 'nothing was answered, so nothing is kept as the answer')
        billing.stripe.heal()

        const first = await begin()
        assert.match(first.url, /^https:\/\/checkout\.stripe\.test\/cs_test_/)
        assert.deepEqual(await begin(), first)
        assert.deepEqual(atStripe(userId), { customers: 1, pages: 1 }, `${how} ${where} ${executed}`)
        assert.ok(await customerOf(userId))
      }
    }
  })
}

test('a failure that Stripe keeps as its answer to a key does not last', async () => {
  for (const where of [/POST \/v1\/customers$/, /POST \/v1\/checkout\/sessions/]) {
    const userId = await billing.person()
    const key = { 'idempotency-key': newId() }
    billing.stripe.fail({ how: '500', where, executed: true })
    await assert.rejects(billing.checkout(userId, {}, key), failsAs('upstream_failed'))
    billing.stripe.heal()
    const { url } = await billing.checkout(userId, {}, key)
    assert.match(url, /^https/)
    assert.deepEqual(atStripe(userId), { customers: 1, pages: 1 })
  }
})

test('one that fails once is asked again, and nobody notices', async () => {
  const userId = await billing.person()
  billing.stripe.fail({ how: '500', times: 1 })
  await billing.checkout(userId)
  billing.stripe.fail({ how: 'reset', times: 1 })
  await billing.checkout(userId)
  assert.equal(atStripe(userId).customers, 1)
})

test('many requests at once under one key give one page; under several, one customer', async () => {
  const userId = await billing.person()
  const key = { 'idempotency-key': newId() }
  const same = await Promise.all(Array.from({ length: 6 }, () => billing.checkout(userId, {}, key)))
  assert.equal(new Set(same.map(({ sessionId }) => sessionId)).size, 1)
  assert.deepEqual(atStripe(userId), { customers: 1, pages: 1 })
  await assert.rejects(
    billing.checkout(userId, { period: 'yearly' }, key),
    withCode('idempotency_conflict'),
    'another request under the same key',
  )
  const other = await billing.person()
  await Promise.all(Array.from({ length: 5 }, () => billing.checkout(other)))
  assert.deepEqual(atStripe(other), { customers: 1, pages: 5 })
})

test('Stripe is told who it is, and what was agreed; a page leads back with what came of it', async () => {
  const userId = await billing.person()
  const mail = `${userId}@example.org`
  await billing.database.query(sql`
    update users set email = ${mail}, email_verified_at = now(), display_name = 'Ada' where id = ${userId}`)
  const { sessionId } = await billing.checkout(userId, { plan: 'premium_pro', period: 'yearly' })
  const session = billing.stripe.sessions.get(sessionId)
  const customer = billing.stripe.customers.get(session?.customer ?? '')
  assert.deepEqual(
    { email: customer?.email, name: customer?.name, metadata: customer?.metadata },
    { email: mail, name: 'Ada', metadata: { userId } },
  )
  assert.deepEqual(session?.notes, { userId, plan: 'premium_pro', period: 'yearly' })
  assert.equal(session?.amount_total, 29_990)
  assert.deepEqual(session?.leads, {
    success: 'http://localhost:3000/billing/subscription?checkout=done',
    cancel: 'http://localhost:3000/billing/subscription?checkout=cancelled',
  })
})

test('a price is made once and found again by every node; another amount is another price', async () => {
  const count = () => billing.stripe.prices.size
  await billing.checkout(await billing.person(), { plan: 'premium_starter', period: 'yearly' })
  const before = count()
  const { secretKey, webhookSecret, url: apiUrl } = billing.stripe
  const { subscriptions } = createStripe({ secretKey, webhookSecret, apiUrl })
  const offer = { planCode: 'premium_starter', name: 'Premium Starter', period: 'yearly' as const, currency: 'USD' }
  const order = {
    userId: newId(),
    customerId: [...billing.stripe.customers.keys()][0] ?? '',
    returnUrl: 'http://x.test',
  }
  await subscriptions.openCheckout({ key: newId(), ...order, offer: { ...offer, priceId: undefined, amount: 9990 } })
  assert.equal(count(), before)
  await subscriptions.openCheckout({ key: newId(), ...order, offer: { ...offer, priceId: undefined, amount: 9991 } })
  assert.equal(count(), before + 1)
})

test('a customer that Stripe does not know, as after a test account, is made anew', async () => {
  const userId = await billing.person()
  await billing.checkout(userId)
  billing.stripe.customers.delete((await customerOf(userId)) ?? '')
  const { url } = await billing.checkout(userId)
  assert.match(url, /^https/)
  assert.ok(billing.stripe.customers.has((await customerOf(userId)) ?? ''))
})

test('a wrong key is a failure of ours, and is not shown', async (t) => {
  const stripe = await startStripe()
  t.after(() => stripe.close())
  const wrong = createStripe({ secretKey: 'sk_test_wrong', webhookSecret: 'whsec_x', apiUrl: stripe.url })
  await assert.rejects(
    wrong.subscriptions.openPortal('cus_1', 'http://localhost'),
    (error: Error) => failsAs('upstream_failed')(error) && !/sk_test/.test(String((error.cause as Error).message)),
  )
})

// single payments

const tierId = 'credits_5000'

/** A payment for a pack, with its page at Stripe. */
async function buy(userId: string, key: string = newId()) {
  const headers = { 'idempotency-key': key }
  const input = { tierId, provider: 'stripe' }
  const { paymentId, url } = await billing.call<{ paymentId: string; url: string }>(
    'credits:checkout',
    input,
    userId,
    headers,
  )
  return { paymentId, sessionId: url.split('/').at(-1) ?? '' }
}

const paymentOf = (userId: string, paymentId: string): Promise<Payment> =>
  billing.call('payment:get', { paymentId }, userId)

const credits = async (userId: string): Promise<number> => (await billing.walletOf(userId)).credits

/** A pack that is paid for. */
async function bought() {
  const userId = await billing.person()
  const { paymentId, sessionId } = await buy(userId)
  billing.stripe.complete(sessionId)
  await billing.hear()
  const charge = billing.stripe.chargeOf(billing.stripe.sessions.get(sessionId)?.payment_intent ?? '')
  return { userId, paymentId, sessionId, charge }
}

test('a pack is paid on a page of Stripe, and its credits come with the event, once', async () => {
  const userId = await billing.person()
  const { paymentId, sessionId } = await buy(userId)
  assert.equal(billing.stripe.sessions.get(sessionId)?.client_reference_id, paymentId)
  assert.equal((await paymentOf(userId, paymentId)).status, 'pending')
  billing.stripe.complete(sessionId)
  const [completed] = billing.stripe.events.slice(-1)
  await billing.hear()
  for (let i = 0; i < 3; i++) await billing.deliver({ ...completed, id: `evt_again_${i}_${paymentId}` } as never)
  await billing.work()
  const { status, amount, currency } = await paymentOf(userId, paymentId)
  assert.deepEqual({ status, amount, currency }, { status: 'succeeded', amount: 799, currency: 'USD' })
  assert.equal(await credits(userId), 5000)
  await checkInvariants(billing.database, [userId])
})

test('while Stripe is away no pack is begun; the same key later gives one payment and one page', async () => {
  for (const how of ['timeout', '500', 'half', 'reset'] as const) {
    const userId = await billing.person()
    const key = newId()
    billing.stripe.fail({ how })
    await assert.rejects(buy(userId, key), failsAs('upstream_failed'), how)
    billing.stripe.heal()
    const first = await buy(userId, key)
    assert.deepEqual(await buy(userId, key), first)
    const rows = await billing.database.query(sql`select from payments where user_id = ${userId}`)
    const pages = [...billing.stripe.sessions.values()].filter((one) => one.client_reference_id === first.paymentId)
    assert.deepEqual([rows.length, pages.length], [1, 1], how)
  }
})

test('a page that nobody pays on ends the payment; money that is still on its way does not', async () => {
  const userId = await billing.person()
  const left = await buy(userId)
  billing.stripe.expire(left.sessionId)
  await billing.hear()
  assert.equal((await paymentOf(userId, left.paymentId)).status, 'cancelled')

  const slow = await buy(userId)
  billing.stripe.complete(slow.sessionId, 'later')
  await billing.hear()
  assert.equal((await paymentOf(userId, slow.paymentId)).status, 'pending')
  billing.stripe.arrive(slow.sessionId, false)
  await billing.hear()
  assert.equal((await paymentOf(userId, slow.paymentId)).status, 'failed')
  assert.equal(await credits(userId), 0)

  const arriving = await buy(userId)
  billing.stripe.complete(arriving.sessionId, 'later')
  billing.stripe.arrive(arriving.sessionId, true)
  await billing.hear()
  assert.equal((await paymentOf(userId, arriving.paymentId)).status, 'succeeded')
  assert.equal(await credits(userId), 5000)
})

test('what is given back at Stripe is taken back here; a part of it is only noted', async () => {
  const { userId, paymentId, charge } = await bought()
  billing.stripe.refund(charge, 300)
  await billing.hear()
  assert.equal((await paymentOf(userId, paymentId)).status, 'succeeded')
  assert.equal(await credits(userId), 5000)
  billing.stripe.refund(charge)
  await billing.hear()
  assert.equal((await paymentOf(userId, paymentId)).status, 'refunded')
  assert.equal(await credits(userId), 0)
  await checkInvariants(billing.database, [userId])
})

test('staff give a payment back from here, once, and Stripe gives back the money', async () => {
  const { userId, paymentId, charge } = await bought()
  const refund = () => billing.call<StaffPayment>('staff:refund-payment', { paymentId }, actorOf(userId, 'admin'))
  billing.stripe.fail({ how: 'reset' })
  await assert.rejects(refund(), failsAs('upstream_failed'))
  assert.equal(await credits(userId), 5000, 'nothing is half done')
  billing.stripe.heal()
  assert.equal((await refund()).status, 'refunded')
  assert.equal((await refund()).status, 'refunded')
  await billing.hear()
  assert.equal(billing.stripe.charges.get(charge)?.amount_refunded, 799)
  assert.equal(await credits(userId), 0)

  const { userId: other, id } = await billing.subscriber()
  const { items } = await billing.call<{ items: Payment[] }>('payment:list', {}, other)
  const [bill] = items
  assert.ok(bill)
  await billing.call('staff:refund-payment', { paymentId: bill.id }, actorOf(userId, 'admin'))
  await billing.hear()
  assert.equal((await paymentOf(other, bill.id)).status, 'refunded')
  assert.equal(billing.stripe.subscriptions.get(id)?.status, 'active')
  assert.equal((await billing.subscriptionOf(other)).status, 'active', 'a refund ends no subscription')
})

test('money that a bank takes back takes back what it bought, and staff hear of it; a question does not', async () => {
  const asked = await bought()
  const inquiry = billing.stripe.dispute(asked.charge, 'warning_needs_response')
  await billing.hear()
  assert.equal((await paymentOf(asked.userId, asked.paymentId)).status, 'succeeded')
  billing.stripe.closeDispute(inquiry, 'warning_closed')
  await billing.hear()
  assert.equal(await credits(asked.userId), 5000)

  const { userId, paymentId, charge } = await bought()
  billing.logged.length = 0
  const dispute = billing.stripe.dispute(charge)
  await billing.hear()
  assert.equal((await paymentOf(userId, paymentId)).status, 'refunded')
  assert.equal(await credits(userId), 0)
  const warning = billing.logged.map((line) => JSON.parse(line)).find(({ msg }) => /disputed/.test(msg))
  assert.deepEqual([warning?.level, warning?.paymentId, warning?.dispute], [40, paymentId, 'open'])
  billing.stripe.closeDispute(dispute, 'won')
  await billing.hear()
  const [row] = await billing.database.query(sql<{ details: { dispute: string } }>`
    select details from payments where id = ${paymentId}`)
  assert.equal(row?.details.dispute, 'won', 'for staff, who may give the credits anew')
  assert.equal(await credits(userId), 0)
  await checkInvariants(billing.database)
})
