import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { sql } from 'kysely'
import { pino } from 'pino'
import { createTon, tonComment } from '../../src/adapters/ton.ts'
import { isFriendlyTonAddress, rawTonAddress } from '../../src/adapters/ton-address.ts'
import { createProviderEvents, type ProviderEvents } from '../../src/billing/provider-events.ts'
import { watchTon } from '../../src/billing/ton-watcher.ts'
import { newId } from '../../src/kernel/ids.ts'
import { createTestJobs } from '../support/billing.ts'
import { withCode } from '../support/identity.ts'
import { type Begun, prices, startPayments, type TestPayments } from '../support/payments.ts'
import { strangersAddress, tonAddress } from '../support/toncenter.ts'
import { faults } from '../support/upstream.ts'

let pay: TestPayments
before(async () => {
  pay = await startPayments()
})
beforeEach(async () => {
  pay.toncenter.clear()
  pay.toncenter.fail(undefined)
  await pay.database.query(sql`delete from provider_events`)
  pay.logged.length = 0
})
after(() => pay.close())

const due = BigInt(prices.ton)

async function begin(userId: string): Promise<Begun & { comment: string }> {
  const begun = await pay.begin(userId, 'ton')
  return { ...begun, comment: begun.details?.comment ?? '' }
}

/** A look at the chain, and what comes of it. */
async function look(): Promise<void> {
  await pay.runJob('ton-watch')
  await pay.settle()
}

/** Somebody who has begun a payment, and what came of it. */
async function payer() {
  const { person, payment, movements, clock } = pay
  const userId = await person({ credits: 0 })
  const begun = await begin(userId)
  return {
    ...begun,
    at: clock(),
    userId,
    status: async () => (await payment(userId, begun.paymentId)).status,
    movements: () => movements(begun.paymentId),
  }
}

test('a payer is given address, comment and amount, as a link and to type by hand', async () => {
  const userId = await pay.person()
  const { paymentId, url, details } = await begin(userId)
  assert.match(details?.comment ?? '', /^[0-9A-HJKMNP-TV-Z]{12}$/)
  assert.deepEqual(details, { address: tonAddress, comment: tonComment(paymentId), nanoton: '2800000000' })
  assert.equal(url, `ton://transfer/${tonAddress}?amount=2800000000&text=${details?.comment}`)
  assert.equal(pay.toncenter.requests.length, 0, 'nobody is asked')
  assert.deepEqual((await pay.payment(userId, paymentId)).details, details)
  assert.equal(new Set(Array.from({ length: 1000 }, () => tonComment(newId()))).size, 1000)
})

test('a transfer with the comment and the amount gives what was bought, once', async () => {
  const ann = await payer()
  const hash = pay.toncenter.transfer({ value: due, comment: ann.comment, at: ann.at })
  for (let i = 0; i < 3; i++) await look()
  assert.equal(await ann.status(), 'succeeded')
  assert.deepEqual(await ann.movements(), ['charge 5000'])
  assert.partialDeepStrictEqual((await pay.row(ann.paymentId)).details, {
    ...{ ton_tx_hash: hash, ton_amount: '2800000000', ton_source: strangersAddress },
  })
})

test('more than was asked for is enough, less is not, be it by one nanoton', async () => {
  const [ann, bob, cid] = [await payer(), await payer(), await payer()]
  const { transfer } = pay.toncenter
  transfer({ value: due - 1n, comment: ann.comment, at: ann.at })
  transfer({ value: due + 1n, comment: bob.comment, at: bob.at })
  // beyond what a number holds exactly
  transfer({ value: 123_456_789_012_345_678_901n, comment: cid.comment, at: cid.at })
  await look()
  assert.deepEqual([await ann.status(), await bob.status(), await cid.status()], ['pending', 'succeeded', 'succeeded'])
  assert.equal(pay.alarms().length, 1, 'a person has to see to the one')
  assert.equal((await pay.row(cid.paymentId)).details.ton_amount, '123456789012345678901')
  assert.equal(await pay.unprocessed(), 0)
  transfer({ value: due, comment: ann.comment, at: ann.at })
  await look()
  assert.equal(await ann.status(), 'succeeded')
})

test('a comment typed by hand is read as it was meant', async () => {
  for (const typed of [
    (code: string) => code.toLowerCase(),
    (code: string) => ` ${code.slice(0, 4)}-${code.slice(4, 8)} ${code.slice(8)}\n`,
    (code: string) => code.replaceAll('0', 'o').replaceAll('1', 'l'),
  ]) {
    const ann = await payer()
    pay.toncenter.transfer({ value: due, comment: typed(ann.comment), at: ann.at })
    await look()
    assert.equal(await ann.status(), 'succeeded', typed(ann.comment))
  }
})

test('what is for others, bears another comment, or is no transfer to us changes nothing', async () => {
  const ann = await payer()
  const { transfer, spend } = pay.toncenter
  const { at } = ann
  transfer({ value: due, comment: ann.comment, destination: strangersAddress, at })
  transfer({ value: due, comment: ann.comment, destination: '', at })
  for (const comment of [
    undefined,
    '',
    'thanks!',
    `${ann.comment}0`,
    ann.comment.slice(1),
    ann.paymentId,
    'Ж'.repeat(12),
  ])
    transfer({ value: due, comment, at })
  transfer({ value: due, comment: tonComment(newId()), at })
  spend(at)
  await look()
  assert.equal(await ann.status(), 'pending')
  assert.equal(await pay.unprocessed(), 0)
})

test('what strangers write into a comment keeps no other transfer out', async () => {
  const ann = await payer()
  const { transfer } = pay.toncenter
  for (const comment of [
    '\0',
    'a\u0000b\\u0000',
    '\ud800',
    "'; drop table payments; --",
    '{"a":',
    '\\',
    'x'.repeat(100_000),
  ])
    transfer({ value: 1n, comment, at: ann.at })
  transfer({ value: due, comment: ann.comment, at: ann.at })
  await look()
  assert.equal(await ann.status(), 'succeeded')
})

test('two transfers for one payment give its credits once, and call a person', async () => {
  const ann = await payer()
  const [first, second] = [1, 2].map(() => pay.toncenter.transfer({ value: due, comment: ann.comment, at: ann.at }))
  await look()
  assert.deepEqual(await ann.movements(), ['charge 5000'])
  const { details } = await pay.row(ann.paymentId)
  const surplus = (details.surplus as { ton_tx_hash: string }[])[0]?.ton_tx_hash
  assert.deepEqual(new Set([details.ton_tx_hash, surplus]), new Set([first, second]))
  assert.equal(pay.alarms().length, 1)
})

test('a transfer after the payment has ended counts all the same', async () => {
  const ann = await payer()
  pay.advance({ days: 3 })
  await pay.runJob('payments-expire')
  assert.equal(await ann.status(), 'cancelled')
  pay.toncenter.transfer({ value: due, comment: ann.comment, at: pay.clock() })
  await look()
  assert.equal(await ann.status(), 'succeeded')
})

test('a look goes back, page by page, to what it has seen, and no further', async () => {
  const ann = await payer()
  const { transfer, requests } = pay.toncenter
  transfer({ value: due, comment: ann.comment, at: ann.at })
  await look()
  assert.equal(requests.length, 1)
  const bob = await payer()
  transfer({ value: due, comment: bob.comment, at: bob.at })
  for (let i = 0; i < 250; i++) transfer({ value: 1n, comment: 'noise', at: bob.at })
  await look()
  assert.equal(await bob.status(), 'succeeded')
  assert.equal(requests.length, 4, 'three pages of a hundred')
  await look()
  assert.equal(requests.length, 5, 'and then one again')
  assert.deepEqual([...new Set(requests.map(({ query }) => query.get('address')))], [tonAddress])
  assert.equal(await pay.count('provider_events'), 252)
})

test('a look does not go back for ever', async () => {
  const { transfer, requests } = pay.toncenter
  const old = new Date(pay.clock().getTime() - 31 * 86_400_000)
  for (let i = 0; i < 350; i++) transfer({ value: 1n, comment: 'from before the server', at: old })
  await look()
  assert.equal(requests.length, 1)
})

test('where the network fails on the way, nothing is lost and nothing doubled', async () => {
  const people = await Promise.all(Array.from({ length: 4 }, payer))
  const { transfer, fail, requests } = pay.toncenter
  for (const [i, { comment, at }] of people.entries()) {
    transfer({ value: due, comment, at })
    for (let n = 0; n < 80; n++) transfer({ value: 1n, comment: `noise ${i} ${n}`, at })
  }
  for (const fault of faults) {
    fail(fault)
    await assert.rejects(pay.runJob('ton-watch'), withCode('upstream_failed'), fault)
  }
  // the first page comes, the second does not
  fail(undefined)
  const asked = requests.length
  const looking = pay.runJob('ton-watch')
  while (requests.length === asked) await new Promise((resolve) => setImmediate(resolve))
  fail('reset')
  await assert.rejects(looking, withCode('upstream_failed'))
  assert.equal(await pay.count('provider_events'), 0, 'what lies behind would not be looked for any more')
  fail(undefined)
  await look()
  for (const { status, movements } of people) {
    assert.equal(await status(), 'succeeded')
    assert.deepEqual(await movements(), ['charge 5000'])
  }
})

test('a look that ends half-way through storing loses nothing that lies behind', async () => {
  const ann = await payer()
  pay.toncenter.transfer({ value: due, comment: ann.comment, at: ann.at })
  for (let i = 0; i < 150; i++) pay.toncenter.transfer({ value: 1n, comment: 'noise', at: ann.at })
  const { jobs, runJob } = createTestJobs()
  const { database, clock } = pay
  const real = createProviderEvents({ database, jobs, log: pino({ level: 'silent' }) })
  let pages = 0
  const providerEvents: ProviderEvents = {
    ...real,
    async receive(provider, events) {
      if (++pages > 1) throw new Error('the process ends here')
      await real.receive(provider, events)
    },
  }
  const { address, apiUrl } = pay.toncenter
  watchTon({ database, jobs, providerEvents, ton: createTon({ address, apiUrl, apiKey: undefined }), clock })
  await assert.rejects(runJob('ton-watch'), /the process ends here/)
  await look()
  await pay.database.query(sql`update provider_events set received_at = received_at - interval '1 minute'`)
  await pay.runJob('provider-events-sweep')
  assert.equal(await ann.status(), 'succeeded')
  assert.equal(await pay.count('provider_events'), 151)
})

test('what a transfer says is read without losing a nanoton, and its comment as it was meant', () => {
  const { address, apiUrl } = pay.toncenter
  const ton = createTon({ address, apiUrl, apiKey: undefined })
  const payload = { hash: 'h', value: '9007199254740993', source: 's', comment: ' oil-OIL\n234567' }
  const report = ton.interpret({ id: 'h', type: 'transfer', payload })
  assert.deepEqual([report?.providerPaymentId, report?.amount], ['011011234567', 9_007_199_254_740_993n])
})

test('two looks at once see the same and settle it once', async () => {
  const ann = await payer()
  for (let i = 0; i < 120; i++) pay.toncenter.transfer({ value: 1n, comment: 'noise', at: ann.at })
  pay.toncenter.transfer({ value: due, comment: ann.comment, at: ann.at })
  await Promise.all(Array.from({ length: 4 }, () => pay.runJob('ton-watch')))
  await pay.settle()
  assert.deepEqual(await ann.movements(), ['charge 5000'])
  assert.equal(await pay.count('provider_events'), 121)
})

test('a payment in TON cannot be given back from here', async () => {
  const ann = await payer()
  pay.toncenter.transfer({ value: due, comment: ann.comment, at: ann.at })
  await look()
  await assert.rejects(pay.refund(ann.paymentId), withCode('unprocessable'))
  assert.equal(await ann.status(), 'succeeded')
})

test('a key of toncenter goes along where there is one', async () => {
  const { apiUrl, requests } = pay.toncenter
  await createTon({ address: tonAddress, apiUrl, apiKey: 'a key of toncenter' }).history()
  assert.equal(requests.at(-1)?.headers['x-api-key'], 'a key of toncenter')
  await createTon({ address: tonAddress, apiUrl, apiKey: undefined }).history()
  assert.equal(requests.at(-1)?.headers['x-api-key'], undefined)
})

test('an address is the same in all its spellings, and none with a wrong letter', () => {
  const raw = `0:${'0'.repeat(64)}`
  const bounceable = 'EQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAM9c'
  for (const address of [tonAddress, bounceable, raw]) assert.equal(rawTonAddress(address), raw)
  // of an example in TON's documents
  const published = 'EQDKbjIcfM6ezt8KjKJJLshZJJSqX7XOA4ff-W72r5gqPrHF'
  const itsRaw = '0:ca6e321c7cce9ecedf0a8ca2492ec8592494aa5fb5ce0387dff96ef6af982a3e'
  assert.equal(rawTonAddress(published), itsRaw)
  assert.equal(rawTonAddress(published.replaceAll('-', '+').replaceAll('_', '/')), itsRaw)
  assert.ok(isFriendlyTonAddress(published) && !isFriendlyTonAddress(raw))
  for (let i = 0; i < published.length; i++) {
    const wrong = published.slice(0, i) + (published[i] === 'A' ? 'B' : 'A') + published.slice(i + 1)
    assert.equal(rawTonAddress(wrong), undefined, wrong)
  }
  for (const wrong of ['', 'x', `${published}A`, published.slice(1), '1:00', `0:${'g'.repeat(64)}`])
    assert.equal(rawTonAddress(wrong), undefined)
})
