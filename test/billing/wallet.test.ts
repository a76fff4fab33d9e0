import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { sql } from 'kysely'
import { pino } from 'pino'
import { billingContract, billingEvents, type Credits, type Wallet } from '../../src/billing/billing.contract.ts'
import { createWallets } from '../../src/billing/wallets.service.ts'
import { createDomainEvents } from '../../src/kernel/domain-events.ts'
import { newId } from '../../src/kernel/ids.ts'
import { isAtLeast } from '../../src/kernel/roles.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import { startBilling, type TestBilling } from '../support/billing.ts'
import { withCode } from '../support/identity.ts'
import { connect, join } from '../support/people.ts'

let billing: TestBilling
before(async () => {
  billing = await startBilling()
})
after(() => billing.close())

const walletOf = (userId: string) => billing.call<Wallet>('wallet:get', {}, userId)

test('a new wallet is on the free plan, with what a new account is given and an untouched window', async () => {
  const userId = await billing.person()
  const wallet: Wallet = {
    plan: 'basic',
    credits: 1000,
    held: 0,
    available: 1000,
    overageEnabled: false,
    lifetimeCredits: 1000,
    tokens: { limit: 100_000, used: 0, remaining: 100_000 },
  }
  assert.deepEqual(await walletOf(userId), wallet)
  assert.deepEqual(
    await billing.database.transact((em) => billing.ledger.walletOf(em, userId, billing.clock())),
    wallet,
  )
  assert.deepEqual(await billing.call<Credits>('credits:get', {}, userId), {
    credits: 1000,
    held: 0,
    available: 1000,
    lifetimeCredits: 1000,
  })
})

test('what a new account is given is the operator’s choice, also nothing', async () => {
  const generous = await startBilling({ signupCredits: 0 })
  try {
    const userId = await generous.person()
    assert.equal((await generous.wallets.get(userId)).credits, 0)
    const rows = await generous.database.query(sql`select from credit_transactions where user_id = ${userId}`)
    assert.equal(rows.length, 0)
  } finally {
    await generous.close()
  }
})

test('an account that is not made after all has no wallet either', async () => {
  const userId = newId()
  const failing = billing.database.transact(async (em) => {
    await sql`insert into users (id, username, display_name) values (${userId}, 'nobody', 'Nobody')`.execute(
      em.getKysely() as never,
    )
    await billing.events.publish(em, 'user.registered', { userId, referralCode: undefined })
    throw new Error('the mail was not taken')
  })
  await assert.rejects(failing, /not taken/)
  assert.deepEqual(await billing.database.query(sql`select from wallets where user_id = ${userId}`), [])
})

test('registering twice over, as a repeated event would, gives the credits once', async () => {
  const userId = await billing.person()
  await billing.database.transact((em) =>
    billing.events.publish(em, 'user.registered', { userId, referralCode: undefined }),
  )
  assert.equal((await walletOf(userId)).credits, 1000)
})

test('overage is switched on and off by the user, and told to all devices', async () => {
  const userId = await billing.person()
  billing.told.length = 0
  assert.equal((await billing.call<Wallet>('wallet:update', { overageEnabled: true }, userId)).overageEnabled, true)
  assert.equal((await billing.call<Wallet>('wallet:update', { overageEnabled: false }, userId)).overageEnabled, false)
  assert.deepEqual(
    billing.told.map((it) => [
      it.userId,
      it.event,
      billingEvents['wallet:changed'].payload.parse(it.payload).overageEnabled,
    ]),
    [
      [userId, 'wallet:changed', true],
      [userId, 'wallet:changed', false],
    ],
  )
  const agent = await billing.agent()
  await assert.rejects(billing.call('wallet:update', { overageEnabled: true }, agent), withCode('not_found'))
})

test('an older state of a wallet is never told after a newer one', async () => {
  const [userId, other] = [await billing.person(), await billing.person()]
  /** Lets the database's answers through, in the order of the questions. */
  const answers: (() => void)[] = []
  const slow = createWallets({
    database: {
      ...billing.database,
      query: async (statement) => {
        const rows = await billing.database.query(statement)
        return new Promise((resolve) => answers.push(() => resolve(rows)))
      },
    },
    ledger: billing.ledger,
    events: createDomainEvents(),
    fanout: { toUsers: ([to], _event, payload) => void heard.push([to, (payload as Wallet).credits]) },
    clock: billing.clock,
    log: pino({ level: 'silent' }),
    signupCredits: 0,
  })
  const heard: unknown[] = []
  const answered = async (count: number) => {
    for (let left = 500; answers.length < count && left > 0; left--)
      await new Promise((resolve) => setTimeout(resolve, 10))
    assert.equal(answers.length, count)
  }

  const first = slow.tell(userId)
  await answered(1)
  await billing.database.transact((em) =>
    billing.ledger.post(em, { userId, amount: 5, type: 'charge', key: `order:${userId}` }),
  )
  const second = slow.tell(userId)
  // another user is not held up
  const others = slow.tell(other)
  await answered(2)
  answers[1]?.()
  await others
  answers[0]?.()
  await first
  await answered(3)
  answers[2]?.()
  await second
  assert.deepEqual(heard, [
    [other, 1000],
    [userId, 1000],
    [userId, 1005],
  ])
})

test('a telling that fails harms nobody: it is logged and the next one comes', async () => {
  const userId = await billing.person()
  billing.logged.length = 0
  await billing.wallets.tell(newId())
  assert.match(billing.logged.join(), /a change of a wallet was not told/)
  billing.told.length = 0
  await billing.wallets.tell(userId)
  assert.equal(billing.told.length, 1)
})

test('only staff reach what is for staff', () => {
  const staff = billing.routes.filter(({ operation }) => operation.name.startsWith('staff:'))
  const mine = staff.filter(({ operation }) => operation.name in billingContract)
  assert.equal(mine.length, 4)
  for (const { path, operation } of mine) {
    assert.match(path, /^\/admin\//)
    assert.ok(operation.access === 'user' && isAtLeast(operation.role, 'admin'), operation.name)
  }
  const open = billing.routes.filter(
    ({ operation }) => operation.access === 'public' && operation.name in billingContract,
  )
  assert.deepEqual(
    open.map(({ path }) => path),
    ['/billing/plans'],
  )
})

test('the examples of the contract are what it says', () => {
  for (const [name, { input, output, example }] of Object.entries(billingContract)) {
    assert.deepEqual(input.safeParse(example.input).error, undefined, name)
    assert.deepEqual(output.safeParse(example.output).error, undefined, name)
  }
})

describe('on a server', () => {
  let server: Backend
  before(async () => {
    server = await startBackend({ SIGNUP_CREDITS: '250' })
  })
  after(() => server.end())

  const call = async (path: string, token?: string, init: { method?: string; body?: object } = {}) => {
    const response = await fetch(`${server.url}/v1${path}`, {
      method: init.method ?? 'GET',
      headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
      ...(init.body && { body: JSON.stringify(init.body) }),
    })
    return { status: response.status, body: (await response.json()) as Record<string, never> }
  }

  test('registering gives a wallet, and a change of it is heard by every device of its user and nobody else', async () => {
    const ann = await join(server.url, 'ann')
    const phone = await connect(server.url, ann.session)
    const ben = await join(server.url, 'ben')
    try {
      const { body } = await call('/me/wallet', ann.session.accessToken)
      assert.deepEqual([body.plan, body.credits], ['basic', 250])
      const changed = await call('/me/wallet', ann.session.accessToken, {
        method: 'PATCH',
        body: { overageEnabled: true },
      })
      assert.deepEqual([changed.status, changed.body.overageEnabled], [200, true])
      for (const device of [ann, phone]) assert.deepEqual(await device.hears('wallet:changed'), changed.body)
      // what was sent to ben before this answer would be here before it
      await ben.do('conversation:list', {})
      assert.deepEqual(
        ben.heard.filter(({ event }) => event === 'wallet:changed'),
        [],
      )
    } finally {
      for (const person of [ann, phone, ben]) person.close()
    }
  })

  test('the routes answer, and strangers and people without the role are refused', async () => {
    const ann = await join(server.url, 'ann')
    ann.close()
    const token = ann.session.accessToken
    for (const path of [
      '/me/wallet',
      '/me/usage?groupBy=model',
      '/credits',
      '/credits/transactions?limit=1',
      '/credits/explain',
    ]) {
      assert.equal((await call(path, token)).status, 200, path)
      assert.equal((await call(path)).status, 401, path)
    }
    assert.equal((await call('/billing/plans')).body.items?.['length'], 5)
    const staff: [method: string, path: string, body?: object][] = [
      ['GET', '/admin/plans'],
      ['PATCH', '/admin/plans/basic', { sortOrder: 1 }],
      ['POST', `/admin/users/${ann.id}/credits`, { amount: 5, reason: 'x' }],
      ['GET', '/admin/usage/monthly'],
    ]
    for (const [method, path, body] of staff) {
      const init = { method, ...(body && { body }) }
      assert.equal((await call(path, token, init)).status, 403, path)
      assert.equal((await call(path, undefined, init)).status, 401, path)
    }
    const bad = await call('/credits/explain?at=yesterday', token)
    assert.deepEqual([bad.status, bad.body.code], [400, 'invalid_request'])
    assert.equal((await call('/credits/transactions?limit=0', token)).status, 400)
    assert.equal((await call('/me/wallet', token, { method: 'PATCH', body: { overageEnabled: 'yes' } })).status, 400)
  })
})
