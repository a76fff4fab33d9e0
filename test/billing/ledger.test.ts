import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql } from 'kysely'
import type { CreditTransaction, Output } from '../../src/billing/billing.contract.ts'
import type { Posted, Posting } from '../../src/billing/ledger.service.ts'
import { newId } from '../../src/kernel/ids.ts'
import { actorOf, checkInvariants, startBilling, type TestBilling } from '../support/billing.ts'
import { withCode } from '../support/identity.ts'

let billing: TestBilling
before(async () => {
  billing = await startBilling()
})
after(async () => {
  await checkInvariants(billing.database)
  await billing.close()
})

let keys = 0
const newKey = () => `test:${++keys}`

const post = (posting: Omit<Posting, 'key'> & { key?: string }): Promise<Posted> =>
  billing.database.transact((em) => billing.ledger.post(em, { key: newKey(), ...posting }))

const balanceOf = async (userId: string) => (await billing.wallets.get(userId)).credits

const ledgerOf = async (userId: string) => {
  const rows = await billing.database.query(sql<{ seq: number; type: string; amount: string; balance: string }>`
    select seq, type, amount, balance_after as balance from credit_transactions where user_id = ${userId} order by seq`)
  return rows.map(({ seq, type, amount, balance }) => [seq, type, Number(amount), Number(balance)])
}

const refusal =
  (code: string, details: object) =>
  (error: unknown): true => {
    const { code: actual, details: given } = error as { code: string; details: object }
    assert.deepEqual([actual, given], [code, details])
    return true
  }

test('a new account begins with its credits, in the ledger; an agent has no wallet', async () => {
  const userId = await billing.person()
  assert.deepEqual(await ledgerOf(userId), [[1, 'allocation', 1000, 1000]])
  assert.equal(await balanceOf(userId), 1000)
  await assert.rejects(billing.wallets.get(await billing.agent()), withCode('not_found'))
})

test('each row of the ledger has the next number and the balance after it', async () => {
  const userId = await billing.person()
  const balances: number[] = []
  for (const [type, amount] of [
    ['use', -300],
    ['charge', 5000],
    ['refund', 100],
    ['referral', 7],
    ['expiration', -50],
    ['adjustment', -7],
    ['adjustment', 20],
  ] as const) {
    balances.push((await post({ userId, type, amount })).balance)
  }
  assert.deepEqual(balances, [700, 5700, 5800, 5807, 5757, 5750, 5770])
  assert.deepEqual((await ledgerOf(userId)).slice(1), [
    [2, 'use', -300, 700],
    [3, 'charge', 5000, 5700],
    [4, 'refund', 100, 5800],
    [5, 'referral', 7, 5807],
    [6, 'expiration', -50, 5757],
    [7, 'adjustment', -7, 5750],
    [8, 'adjustment', 20, 5770],
  ])
  const { lifetimeCredits } = await billing.wallets.get(userId)
  assert.equal(lifetimeCredits, 1000 + 5000 + 7)
})

test('a repeated key gives the first result, however often and at once', async () => {
  const userId = await billing.person()
  const posting = { userId, type: 'use', amount: -10, key: newKey() } as const
  const first = await post(posting)
  assert.equal(first.repeated, false)
  await post({ userId, type: 'charge', amount: 500 })
  const again = await Promise.all(Array.from({ length: 8 }, () => post(posting)))
  for (const repeat of again) assert.deepEqual(repeat, { ...first, repeated: true })
  assert.equal(await balanceOf(userId), 1490)

  const another = { userId, type: 'charge', amount: 3, key: newKey() } as const
  const results = await Promise.all(Array.from({ length: 8 }, () => post(another)))
  assert.equal(results.filter(({ repeated }) => !repeated).length, 1)
  assert.equal(new Set(results.map(({ transactionId }) => transactionId)).size, 1)
  assert.equal(await balanceOf(userId), 1493)
})

test('a key that was used for something else is refused, and nothing moves', async () => {
  const [userId, other] = [await billing.person(), await billing.person()]
  const key = newKey()
  const paymentId = newId()
  await post({ userId, type: 'charge', amount: 100, key, paymentId })
  for (const input of [
    { userId, type: 'charge', amount: 101, paymentId },
    { userId, type: 'referral', amount: 100, paymentId },
    { userId, type: 'charge', amount: 100, paymentId: newId() },
    { userId: other, type: 'charge', amount: 100, paymentId },
  ] as const) {
    await assert.rejects(post({ ...input, key }), withCode('idempotency_conflict'))
  }
  assert.deepEqual([await balanceOf(userId), await balanceOf(other)], [1100, 1000])
})

test('two users at once under one key: one of them is refused', async () => {
  const users = await Promise.all([billing.person(), billing.person()])
  const key = newKey()
  const results = await Promise.allSettled(users.map((userId) => post({ userId, type: 'charge', amount: 5, key })))
  const refused = results.filter((result) => result.status === 'rejected')
  assert.deepEqual(
    refused.map(({ reason }) => reason.code),
    ['idempotency_conflict'],
  )
})

test('amounts that are none are refused before they reach the database', async () => {
  const userId = await billing.person()
  for (const amount of [0, -0, 0.5, -1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, -(2 ** 53)]) {
    await assert.rejects(post({ userId, type: 'adjustment', amount }), withCode('invalid_request'))
  }
  for (const type of ['allocation', 'charge', 'refund', 'referral'] as const) {
    await assert.rejects(post({ userId, type, amount: -5 }), withCode('invalid_request'))
  }
  for (const type of ['use', 'expiration'] as const) {
    await assert.rejects(post({ userId, type, amount: 5 }), withCode('invalid_request'))
  }
  assert.deepEqual(await ledgerOf(userId), [[1, 'allocation', 1000, 1000]])
})

test('more than there is cannot be spent, and the refusal says how much there is', async () => {
  const userId = await billing.person({ credits: 30 })
  const tooMuch = refusal('insufficient_credits', { required: 31, available: 30 })
  await assert.rejects(post({ userId, type: 'use', amount: -31 }), tooMuch)
  assert.equal(await balanceOf(userId), 30)
  assert.equal((await post({ userId, type: 'use', amount: -30 })).balance, 0)
  await assert.rejects(
    post({ userId, type: 'use', amount: -1 }),
    refusal('insufficient_credits', { required: 1, available: 0 }),
  )
})

test('what the rest of a transaction throws takes the movement back', async () => {
  const userId = await billing.person()
  const key = newKey()
  const failing = billing.database.transact(async (em) => {
    await billing.ledger.post(em, { userId, type: 'use', amount: -10, key })
    throw new Error('something else went wrong')
  })
  await assert.rejects(failing, /something else/)
  assert.equal(await balanceOf(userId), 1000)
  assert.equal((await post({ userId, type: 'use', amount: -10, key })).repeated, false)
})

test('fifty debits at once on a balance of twenty: twenty succeed', async () => {
  const userId = await billing.person({ credits: 20 })
  const results = await Promise.allSettled(Array.from({ length: 50 }, () => post({ userId, type: 'use', amount: -1 })))
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 20)
  for (const result of results) {
    if (result.status === 'rejected') assert.equal(result.reason.code, 'insufficient_credits')
  }
  assert.equal(await balanceOf(userId), 0)
})

test('deduct_credits takes credits if there are enough, and answers nothing where there are not', async () => {
  const userId = await billing.person({ credits: 25 })
  const deduct = (amount: number) =>
    billing.database.query(sql<{ balance: string }>`select balance from deduct_credits(${userId}, ${amount})`)
  const [taken] = await deduct(25)
  assert.equal(Number(taken?.balance), 0)
  assert.deepEqual(await deduct(1), [])
  for (const amount of [0, -5]) await assert.rejects(deduct(amount), /must be positive/)
  assert.deepEqual((await ledgerOf(userId)).at(-1), [3, 'use', -25, 0])
})

test('the ledger is written once: no row of it can be changed, removed or swept away', async () => {
  const userId = await billing.person()
  const statements = [
    sql`update credit_transactions set amount = 5000 where user_id = ${userId}`,
    sql`update credit_transactions set description = 'other' where user_id = ${userId}`,
    sql`delete from credit_transactions where user_id = ${userId}`,
    sql`truncate credit_transactions`,
    sql`delete from users where id = ${userId}`,
  ]
  for (const statement of statements) await assert.rejects(billing.database.query(statement))
  assert.deepEqual(await ledgerOf(userId), [[1, 'allocation', 1000, 1000]])
})

test('a usage log that is cleared away leaves its row of the ledger, without the reference', async () => {
  const userId = await billing.person()
  const { usageLogId } = await billing.usage.logAnonymous({ models: [] })
  await post({ userId, type: 'use', amount: -4, usageLogId })
  await billing.database.query(sql`delete from usage_logs where id = ${usageLogId}`)
  const [row] = await billing.database.query(sql<{ amount: string; log: string | null }>`
    select amount, usage_log_id as log from credit_transactions where user_id = ${userId} and seq = 2`)
  assert.deepEqual([Number(row?.amount), row?.log], [-4, null])
})

test('the database itself refuses a balance below 0 and holds above it', async () => {
  const userId = await billing.person()
  for (const change of [sql`credits = -1`, sql`held = -1`, sql`held = credits + 1`]) {
    await assert.rejects(billing.database.query(sql`update wallets set ${change} where user_id = ${userId}`))
  }
})

test('the ledger never goes back in time', async () => {
  const userId = await billing.person()
  billing.advance({ hours: 5 })
  const later = billing.clock()
  await post({ userId, type: 'charge', amount: 5, at: later })
  await post({ userId, type: 'charge', amount: 6, at: new Date(later.getTime() - 3_600_000) })
  const { items } = await billing.call<Output<'credits:transactions'>>('credits:transactions', {}, userId)
  assert.deepEqual(
    items.slice(0, 2).map(({ amount, createdAt }) => [amount, createdAt]),
    [
      [6, later.toISOString()],
      [5, later.toISOString()],
    ],
  )
})

test('the balance at any moment is explained by sums that make it', async () => {
  const userId = await billing.person()
  const moments: { at: string; balance: number }[] = []
  for (const [type, amount] of [
    ['use', -100],
    ['charge', 400],
    ['use', -50],
    ['adjustment', 9],
  ] as const) {
    billing.advance({ minutes: 10 })
    const { balance } = await post({ userId, type, amount })
    moments.push({ at: billing.clock().toISOString(), balance })
  }
  const explain = (input: object) => billing.call<Output<'credits:explain'>>('credits:explain', input, userId)
  for (const { at, balance } of moments) {
    const explained = await explain({ at })
    assert.equal(explained.balance, balance)
    assert.equal(
      explained.lines.reduce((sum, { amount }) => sum + amount, 0),
      balance,
    )
    assert.equal(explained.lastTransaction?.balanceAfter, balance)
    assert.equal(explained.lastTransaction?.createdAt, at)
  }
  const now = await explain({})
  assert.equal(now.at, billing.clock().toISOString())
  assert.deepEqual(now.lines, [
    { type: 'adjustment', count: 1, amount: 9 },
    { type: 'allocation', count: 1, amount: 1000 },
    { type: 'charge', count: 1, amount: 400 },
    { type: 'use', count: 2, amount: -150 },
  ])
  assert.deepEqual(await explain({ at: '2020-01-01T00:00:00Z' }), {
    at: '2020-01-01T00:00:00.000Z',
    balance: 0,
    lines: [],
  })
})

test('one sees one’s own ledger in pages, newest first, and nobody else’s', async () => {
  const [userId, other] = [await billing.person(), await billing.person()]
  for (let amount = 1; amount <= 5; amount++)
    await post({ userId, type: 'charge', amount, description: `No. ${amount}` })
  await post({ userId: other, type: 'charge', amount: 77 })
  const page = (input: object) => billing.call<Output<'credits:transactions'>>('credits:transactions', input, userId)
  const first = await page({ limit: 4 })
  await post({ userId, type: 'charge', amount: 6 })
  const second = await page({ limit: 4, cursor: first.nextCursor })
  assert.deepEqual(
    [...first.items, ...second.items].map(({ seq, amount, description }) => [seq, amount, description]),
    [
      [6, 5, 'No. 5'],
      [5, 4, 'No. 4'],
      [4, 3, 'No. 3'],
      [3, 2, 'No. 2'],
      [2, 1, 'No. 1'],
      [1, 1000, 'Welcome'],
    ],
  )
  assert.equal(second.nextCursor, undefined)
  for (const cursor of [
    'garbage',
    ...['["x"]', '[0]', '[1,2]', '1'].map((key) => Buffer.from(key).toString('base64url')),
  ]) {
    await assert.rejects(page({ cursor }), withCode('invalid_request'))
  }
})

test('staff give and take credits under a reason; the same Idempotency-Key does it once', async () => {
  const userId = await billing.person()
  const admin = actorOf(await billing.person(), 'admin')
  const adjust = (input: object, key?: string) =>
    billing.call<CreditTransaction>('staff:adjust-credits', input, admin, key ? { 'idempotency-key': key } : {})
  const first = await adjust({ userId, amount: 500, reason: 'For the outage' }, 'one')
  assert.deepEqual(
    [first.type, first.amount, first.balanceAfter, first.description],
    ['adjustment', 500, 1500, 'For the outage'],
  )
  assert.deepEqual(await adjust({ userId, amount: 500, reason: 'For the outage' }, 'one'), first)
  await assert.rejects(
    adjust({ userId, amount: 501, reason: 'For the outage' }, 'one'),
    withCode('idempotency_conflict'),
  )
  await assert.rejects(adjust({ userId, amount: 500, reason: 'Another' }, 'one'), withCode('idempotency_conflict'))
  assert.equal((await adjust({ userId, amount: -200, reason: 'By mistake' })).balanceAfter, 1300)
  await assert.rejects(
    adjust({ userId, amount: -1301, reason: 'Too much' }),
    refusal('insufficient_credits', { required: 1301, available: 1300 }),
  )
  const gone = await billing.person()
  await billing.database.query(sql`update users set deleted_at = now() where id = ${gone}`)
  for (const nobody of [newId(), gone, await billing.agent()]) {
    await assert.rejects(adjust({ userId: nobody, amount: 5, reason: 'x' }), withCode('not_found'))
  }
  assert.equal(await balanceOf(userId), 1300)
  assert.deepEqual(
    billing.told.filter((it) => it.userId === userId).map(({ payload }) => payload.credits),
    [1500, 1300],
  )
})

test('what staff give has to be a whole amount and needs a reason', () => {
  const { contract } = billing.routes.find(({ operation }) => operation.name === 'staff:adjust-credits')!.operation
  const userId = newId()
  for (const input of [
    { userId, amount: 0, reason: 'x' },
    { userId, amount: 1.5, reason: 'x' },
    { userId, amount: '5', reason: 'x' },
    { userId, amount: 1e12, reason: 'x' },
    { userId, amount: 5, reason: '  ' },
    { userId, amount: 5 },
    { userId: 'me', amount: 5, reason: 'x' },
    { userId, amount: 5, reason: 'x', type: 'charge' },
  ]) {
    assert.equal(contract.input.safeParse(input).success, false, JSON.stringify(input))
  }
  assert.equal(contract.input.safeParse({ userId, amount: -5, reason: 'x' }).success, true)
})
