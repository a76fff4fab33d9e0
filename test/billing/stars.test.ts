import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { sql } from 'kysely'
import { createTelegramStars } from '../../src/adapters/telegram-stars.ts'
import { newId } from '../../src/kernel/ids.ts'
import { withCode } from '../support/identity.ts'
import { startPayments, type TestPayments } from '../support/payments.ts'
import { faults } from '../support/upstream.ts'

let pay: TestPayments
before(async () => {
  pay = await startPayments()
})
beforeEach(() => {
  pay.setClock('2026-06-01T00:00:00.000Z')
  pay.logged.length = 0
})
after(() => pay.close())

const header = 'x-telegram-bot-api-secret-token'

test('an invoice bears the payment, its price in Stars and nothing of the person', async () => {
  const userId = await pay.person()
  const { paymentId, url } = await pay.begin(userId, 'stars', 'photos_standard')
  assert.deepEqual(pay.telegram.invoices.get(url), { payload: paymentId, amount: 900 })
  assert.deepEqual(pay.telegram.requests.at(-1)?.body, {
    ...{ title: 'Standard: 15 photos', description: 'Standard: 15 photos', payload: paymentId, provider_token: '' },
    ...{ currency: 'XTR', prices: [{ label: 'Standard: 15 photos', amount: 900 }] },
  })
})

test('a name that is longer than Telegram takes is cut', async () => {
  const userId = await pay.person()
  const name = 'A pack of very, very many credits '.repeat(10)
  await pay.database.query(sql`update pricing_tiers set name = ${name} where id = 'credits_20000'`)
  const { url } = await pay.begin(userId, 'stars', 'credits_20000')
  assert.ok(pay.telegram.invoices.has(url))
})

test('before the payment Telegram is told whether it may go on, and if not, why', async () => {
  const userId = await pay.person()
  const { paymentId } = await pay.begin(userId, 'stars')
  const stored = await pay.count('provider_events')
  const asked = (body: string) => pay.fromTelegram(body)
  assert.deepEqual(await asked(pay.telegram.preCheckout(paymentId)), {
    ...{ method: 'answerPreCheckoutQuery', pre_checkout_query_id: '21985123', ok: true },
  })
  const refusals: [Record<string, unknown>, RegExp][] = [
    [{ total_amount: 599 }, /price/],
    [{ total_amount: 601 }, /price/],
    [{ currency: 'USD' }, /price/],
    [{ invoice_payload: newId() }, /not known/],
    [{ invoice_payload: 'anything' }, /not known/],
  ]
  for (const [changes, reason] of refusals) {
    const { ok, error_message } = await asked(pay.telegram.preCheckout(paymentId, changes))
    assert.equal(ok, false)
    assert.match(String(error_message), reason)
  }
  const { paymentId: ofBank } = await pay.begin(userId, 'tbank')
  const elsewhere = await asked(pay.telegram.preCheckout(paymentId, { invoice_payload: ofBank }))
  assert.equal(elsewhere.ok, false, 'a payment begun at another provider is not known here')

  pay.advance({ hours: 24 })
  const late = await asked(pay.telegram.preCheckout(paymentId))
  assert.deepEqual([late.ok, late.error_message], [false, 'This payment is no longer open. Begin another one.'])
  pay.advance({ hours: -24 })
  await asked(pay.telegram.paid(paymentId).update)
  await pay.settle()
  assert.equal((await asked(pay.telegram.preCheckout(paymentId))).ok, false, 'nobody pays twice')
  assert.equal(await pay.count('provider_events'), stored + 1, 'a question has no effect, and is not stored')
})

test('a payment that Telegram tells of gives what was bought, once', async () => {
  const userId = await pay.person({ credits: 0 })
  const { paymentId } = await pay.begin(userId, 'stars')
  const { update, chargeId } = pay.telegram.paid(paymentId)
  for (let i = 0; i < 10; i++) assert.deepEqual(await pay.fromTelegram(update), {})
  await pay.settle()
  assert.equal((await pay.payment(userId, paymentId)).status, 'succeeded')
  assert.deepEqual(await pay.movements(paymentId), ['charge 5000'])
  assert.partialDeepStrictEqual((await pay.row(paymentId)).details, {
    ...{ telegram_charge_id: chargeId, stars_amount: 600, telegram_user_id: 5_123_456_789 },
  })
})

test('the same charge under another update is the same payment', async () => {
  const userId = await pay.person({ credits: 0 })
  const { paymentId } = await pay.begin(userId, 'stars')
  const { update } = pay.telegram.paid(paymentId)
  await pay.fromTelegram(update)
  await pay.fromTelegram(JSON.stringify({ ...JSON.parse(update), update_id: 1 }))
  await pay.settle()
  assert.deepEqual(await pay.movements(paymentId), ['charge 5000'])
  assert.deepEqual(pay.alarms(), [])
})

test('another amount or currency than the invoice was for is not applied', async () => {
  const userId = await pay.person({ credits: 0 })
  const { paymentId } = await pay.begin(userId, 'stars')
  for (const changes of [{ total_amount: 1 }, { total_amount: 60_000 }, { currency: 'USD' }]) {
    await pay.fromTelegram(pay.telegram.paid(paymentId, changes).update)
  }
  await pay.settle()
  assert.equal((await pay.payment(userId, paymentId)).status, 'pending')
  assert.equal(pay.alarms().length, 3)
  assert.equal((await pay.wallets.get(userId)).credits, 0)
})

test('Stars given back, by us or by Telegram, take the credits back, once', async () => {
  const userId = await pay.person({ credits: 0 })
  for (const how of ['by us', 'by Telegram', 'by Telegram, then by us']) {
    const { paymentId } = await pay.begin(userId, 'stars')
    const { update, chargeId } = pay.telegram.paid(paymentId)
    await pay.fromTelegram(update)
    await pay.settle()
    if (how !== 'by us') {
      const told = pay.telegram.refunded(paymentId, chargeId)
      if (how === 'by Telegram') for (let i = 0; i < 10; i++) await pay.fromTelegram(told)
      await pay.settle()
    }
    if (how !== 'by Telegram') assert.equal((await pay.refund(paymentId)).status, 'refunded', how)
    if (how === 'by us') {
      assert.deepEqual(pay.telegram.requests.at(-1)?.body, {
        ...{ user_id: 5_123_456_789, telegram_payment_charge_id: chargeId },
      })
      await pay.fromTelegram(pay.telegram.refunded(paymentId, chargeId))
      await pay.settle()
    }
    assert.equal((await pay.payment(userId, paymentId)).status, 'refunded', how)
    assert.deepEqual(await pay.movements(paymentId), ['charge 5000', 'adjustment -5000'], how)
  }
})

test('a refund that fails changes nothing, and can be asked for again', async () => {
  const userId = await pay.person({ credits: 0 })
  const { paymentId } = await pay.begin(userId, 'stars')
  await pay.fromTelegram(pay.telegram.paid(paymentId).update)
  await pay.settle()
  for (const fault of faults) {
    pay.telegram.fail(fault)
    await assert.rejects(pay.refund(paymentId), withCode('upstream_failed'))
    assert.equal((await pay.payment(userId, paymentId)).status, 'succeeded')
  }
  pay.telegram.fail(undefined)
  await pay.database.query(
    sql`update payments set details = details || '{"telegram_user_id": 1}' where id = ${paymentId}`,
  )
  await assert.rejects(
    pay.refund(paymentId),
    withCode('upstream_failed'),
    'Telegram knows no such charge of that person',
  )
  assert.equal((await pay.wallets.get(userId)).credits, 5000)
})

test('an update without the secret of the webhook is refused and not stored', async () => {
  const userId = await pay.person()
  const { paymentId } = await pay.begin(userId, 'stars')
  const { update } = pay.telegram.paid(paymentId)
  const stored = await pay.count('provider_events')
  const { secret } = pay.telegram
  for (const given of [
    undefined,
    '',
    'x',
    secret.slice(0, -1),
    `${secret}x`,
    secret.toUpperCase(),
    `${secret}, ${secret}`,
  ]) {
    const headers: Record<string, string> = given === undefined ? {} : { [header]: given }
    await assert.rejects(pay.webhook('webhook:telegram', update, headers), withCode('unauthenticated'), given)
    const question = pay.telegram.preCheckout(paymentId)
    await assert.rejects(pay.webhook('webhook:telegram', question, headers), withCode('unauthenticated'), given)
  }
  assert.equal(await pay.count('provider_events'), stored)
})

test('what people write to the bot is neither stored nor logged, and what is no update is refused', async () => {
  const stored = await pay.count('provider_events')
  assert.deepEqual(await pay.fromTelegram(pay.telegram.chatter('my secret thoughts')), {})
  assert.deepEqual(await pay.fromTelegram('{"update_id":5,"edited_message":{"text":"my secret thoughts"}}'), {})
  assert.equal(await pay.count('provider_events'), stored)
  assert.ok(!pay.logged.some((line) => line.includes('thoughts')))
  for (const body of ['', 'x', '[]', '{}', '{"update_id":"5"}', '{"update_id":5,"message":"text"}']) {
    await assert.rejects(pay.fromTelegram(body), withCode('invalid_request'), body)
  }
})

test('neither the bot’s token nor its address is told when Telegram fails', async () => {
  const userId = await pay.person()
  for (const fault of faults) {
    pay.telegram.fail(fault)
    await assert.rejects(pay.begin(userId, 'stars'), (error: Error) => {
      assert.equal((error as Error & { code: string }).code, 'upstream_failed')
      const said = [error, error.cause, (error.cause as Error).cause].map((one) => `${one} ${(one as Error)?.stack}`)
      return !said.join().includes(pay.telegram.botToken)
    })
  }
  pay.telegram.fail(undefined)
  const other = createTelegramStars({ botToken: '1:x', webhookSecret: 's', apiUrl: pay.telegram.url })
  const order = {
    paymentId: newId(),
    amount: 1,
    currency: 'XTR',
    description: 'd',
    returnUrl: 'https://a.example',
  } as const
  const customer = { userId, email: undefined, stripeCustomerId: undefined }
  await assert.rejects(other.begin({ ...order, customer, expiresAt: new Date() }), withCode('upstream_failed'))
})
