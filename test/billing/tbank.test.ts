import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { createTbank, tbankToken } from '../../src/adapters/tbank.ts'
import type { PaymentOrder } from '../../src/kernel/payment-ports.ts'
import { withCode } from '../support/identity.ts'
import { startPayments, type TestPayments } from '../support/payments.ts'
import { signature } from '../support/tbank.ts'
import { faults } from '../support/upstream.ts'

let pay: TestPayments
before(async () => {
  pay = await startPayments()
})
beforeEach(() => {
  pay.logged.length = 0
})
after(() => pay.close())

test("the token is that of the bank's own example", () => {
  const parameters = {
    ...{ TerminalKey: 'MerchantTerminalKey', Amount: 19200, OrderId: '21090' },
    Description: 'Подарочная карта на 1000 рублей',
    DATA: { Phone: '+71234567890', Email: 'a@test.com' },
    Receipt: { Email: 'a@test.ru', Items: [{ Name: 'Наименование товара 1', Price: 10_000 }] },
  }
  const published = '0024a00af7c350a3a67ca168ce06502aa72772456662e38696d48b56ee9c97d9'
  assert.equal(tbankToken(parameters, 'usaf8fw8fsw21g'), published)
  assert.equal(tbankToken({ ...parameters, Token: 'x', Shops: [] }, 'usaf8fw8fsw21g'), published)
  assert.notEqual(tbankToken({ ...parameters, Amount: 19201 }, 'usaf8fw8fsw21g'), published)
  const withBoolean = { TerminalKey: 'T', Success: false, Amount: 0 }
  assert.equal(tbankToken(withBoolean, 'p'), signature(withBoolean, 'p'), 'false and 0 are values, too')
})

test('an order goes to the bank as a payment of one stage, with the time until which it can be paid', async () => {
  pay.setClock('2026-06-01T10:00:00.123Z')
  const userId = await pay.person()
  const { paymentId, url } = await pay.begin(userId, 'tbank', 'photos_starter')
  const { path, body } = pay.bank.requests.at(-1) ?? assert.fail()
  assert.equal(path, '/v2/Init')
  const { Token, ...fields } = body
  assert.deepEqual(fields, {
    ...{ TerminalKey: pay.bank.terminalKey, OrderId: paymentId, Amount: 49_900, PayType: 'O' },
    ...{ Description: 'Starter: 7 photos', RedirectDueDate: '2026-06-02T10:00:00+00:00' },
    SuccessURL: `http://localhost:3000/billing/payments/${paymentId}`,
    FailURL: `http://localhost:3000/billing/payments/${paymentId}`,
  })
  assert.equal(Token, signature(body, pay.bank.password))
  assert.ok(url.startsWith('https://securepay.tinkoff.test/new/'))
})

test('what the bank refuses, or says in no way that we know, is a failure of the bank', async () => {
  const order: PaymentOrder = {
    ...{ paymentId: 'p', amount: 1, currency: 'RUB', description: 'd', returnUrl: 'https://a.example' },
    ...{ customer: { userId: 'u', email: 'ann@example.org', stripeCustomerId: undefined }, expiresAt: new Date() },
  }
  const { terminalKey, password, apiUrl } = pay.bank
  const options = { terminalKey, password, apiUrl, notificationUrl: 'https://a.example/v1/webhooks/tbank' }
  // less than a rouble
  await assert.rejects(createTbank(options).begin(order), withCode('upstream_failed'))
  assert.partialDeepStrictEqual(pay.bank.requests.at(-1)?.body, {
    ...{ DATA: { Email: 'ann@example.org' }, NotificationURL: options.notificationUrl },
  })
  const misled = { ...options, password: 'another password' }
  await assert.rejects(createTbank(misled).begin({ ...order, amount: 100 }), withCode('upstream_failed'))
  const nobody = { ...options, apiUrl: 'http://127.0.0.1:1/v2' }
  await assert.rejects(createTbank(nobody).begin({ ...order, amount: 100 }), withCode('upstream_failed'))
})

test('a failure of the bank tells no secret, neither to the caller nor to the log', async () => {
  const userId = await pay.person()
  for (const fault of faults) {
    pay.bank.fail(fault)
    await assert.rejects(pay.begin(userId, 'tbank'), (error: Error) => {
      const said = `${error.message} ${String(error.cause)} ${(error.cause as Error | undefined)?.message}`
      return !said.includes(pay.bank.password) && !said.includes(pay.bank.url)
    })
  }
  pay.bank.fail(undefined)
})

test('a notification that the bank has not signed for this terminal is refused and not stored', async () => {
  const userId = await pay.person({ credits: 0 })
  const { paymentId } = await pay.begin(userId, 'tbank')
  const stored = await pay.count('provider_events')
  const right = JSON.parse(pay.bank.notification(paymentId, 'CONFIRMED')) as Record<string, unknown>
  const { Token, ...unsigned } = right
  const elsewhere = { ...unsigned, TerminalKey: 'ANOTHER' }
  const forged: Record<string, unknown>[] = [
    unsigned,
    { ...right, Amount: 1 },
    { ...right, OrderId: 'another' },
    { ...right, Status: 'REFUNDED' },
    { ...right, Success: 'true ' },
    { ...right, More: 'x' },
    { ...right, Token: '' },
    { ...right, Token: String(Token).slice(0, -1) },
    { ...right, Token: { toString: 'x' } },
    { ...right, Token: 0 },
    { ...elsewhere, Token: signature(elsewhere, pay.bank.password) },
    { ...unsigned, Token: signature(unsigned, 'another password') },
  ]
  for (const fields of forged) {
    await assert.rejects(pay.fromBank(JSON.stringify(fields)), withCode('unauthenticated'), JSON.stringify(fields))
  }
  for (const body of ['', 'null', '[]', '{', '{}', '"OK"', JSON.stringify({ ...right, Status: 7 }), '\u0000']) {
    await assert.rejects(pay.fromBank(body), withCode('invalid_request'), body)
  }
  assert.equal(await pay.count('provider_events'), stored)
  assert.equal(await pay.fromBank(JSON.stringify({ ...right, Token: String(Token).toUpperCase() })), 'OK')
  await pay.settle()
  assert.equal((await pay.payment(userId, paymentId)).status, 'succeeded')
})

test('each state of the bank does what it means, and keeps what it says', async () => {
  const meanings = {
    ...{ NEW: 'pending', FORM_SHOWED: 'pending', AUTHORIZING: 'pending', AUTHORIZED: 'pending', RECEIPT: 'pending' },
    ...{ AUTH_FAIL: 'pending', CONFIRMED: 'succeeded', REJECTED: 'failed', CANCELED: 'cancelled' },
    ...{ REVERSED: 'cancelled', DEADLINE_EXPIRED: 'cancelled', REFUNDED: 'refunded', PARTIAL_REFUNDED: 'pending' },
  }
  const userId = await pay.person({ credits: 0 })
  for (const [state, status] of Object.entries(meanings)) {
    const { paymentId } = await pay.begin(userId, 'tbank')
    assert.equal(await pay.fromBank(pay.bank.notification(paymentId, state)), 'OK')
    await pay.settle()
    assert.equal((await pay.payment(userId, paymentId)).status, status, state)
    assert.deepEqual((await pay.row(paymentId)).details[`tbank_${state.toLowerCase()}`], 69_900, state)
  }
  assert.equal((await pay.wallets.get(userId)).credits, 5000)
  assert.equal(await pay.unprocessed(), 0)
})

test('a part given back by hand is noted for a person, and the payment stays paid', async () => {
  const userId = await pay.person({ credits: 0 })
  const { paymentId } = await pay.begin(userId, 'tbank')
  await pay.fromBank(pay.bank.notification(paymentId, 'CONFIRMED'))
  await pay.fromBank(pay.bank.notification(paymentId, 'PARTIAL_REFUNDED', { Amount: 10_000 }))
  await pay.settle()
  assert.equal((await pay.payment(userId, paymentId)).status, 'succeeded')
  assert.equal((await pay.row(paymentId)).details.tbank_partial_refunded, 10_000)
  assert.deepEqual(await pay.movements(paymentId), ['charge 5000'])
})

test('a refund is asked of the bank for the attempt that was paid', async () => {
  const userId = await pay.person({ credits: 0 })
  const { paymentId } = await pay.begin(userId, 'tbank')
  await pay.fromBank(pay.bank.notification(paymentId, 'CONFIRMED'))
  await pay.settle()
  const { providerDetails, status } = await pay.refund(paymentId)
  assert.equal(status, 'refunded')
  assert.equal(providerDetails.tbank_confirmed, 69_900)
  const { path, body } = pay.bank.requests.at(-1) ?? assert.fail()
  assert.equal(path, '/v2/Cancel')
  assert.partialDeepStrictEqual(body, {
    ...{ PaymentId: String(providerDetails.charge_id), Amount: 69_900, ExternalRequestId: `refund:${paymentId}` },
  })
})

test('a refund that the bank does later takes back credits when the bank says so', async () => {
  const userId = await pay.person({ credits: 0 })
  const { paymentId } = await pay.begin(userId, 'tbank')
  await pay.fromBank(pay.bank.notification(paymentId, 'CONFIRMED'))
  await pay.settle()
  pay.bank.refundStatus = 'ASYNC_REFUNDING'
  const answer = await pay.refund(paymentId)
  pay.bank.refundStatus = 'REFUNDED'
  assert.equal(answer.status, 'succeeded')
  assert.ok(answer.providerDetails.refund_requested_by)
  assert.equal((await pay.wallets.get(userId)).credits, 5000)
  await pay.fromBank(pay.bank.notification(paymentId, 'REFUNDED'))
  await pay.settle()
  assert.equal((await pay.payment(userId, paymentId)).status, 'refunded')
  assert.equal((await pay.wallets.get(userId)).credits, 0)
})

test("neither a card's number nor the bank's token is kept", async () => {
  const userId = await pay.person()
  const { paymentId } = await pay.begin(userId, 'tbank')
  await pay.fromBank(pay.bank.notification(paymentId, 'CONFIRMED'))
  await pay.settle()
  const events = await pay.storedEvents('tbank')
  assert.ok(events.length > 0)
  for (const { payload } of events) {
    assert.ok(!('Token' in payload) && !('Pan' in payload) && !('ExpDate' in payload), JSON.stringify(payload))
  }
})
