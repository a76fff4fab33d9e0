import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { sql } from 'kysely'
import type { Output, StaffPlan } from '../../src/billing/billing.contract.ts'
import { addMonths, endOfMonth } from '../../src/billing/plan-months.ts'
import { newId } from '../../src/kernel/ids.ts'
import { actorOf, checkInvariants, startBilling, type TestBilling } from '../support/billing.ts'
import { withCode } from '../support/identity.ts'

describe('calendar months', () => {
  const months = (anchor: string, count: number) =>
    Array.from({ length: count }, (_, n) =>
      addMonths(new Date(anchor), n + 1)
        .toISOString()
        .slice(0, 10),
    )

  test('keep the day, but for months that are too short for it', () => {
    assert.deepEqual(months('2026-01-15T10:00:00.000Z', 3), ['2026-02-15', '2026-03-15', '2026-04-15'])
    assert.deepEqual(months('2026-01-31T10:00:00.000Z', 4), ['2026-02-28', '2026-03-31', '2026-04-30', '2026-05-31'])
    assert.deepEqual(months('2027-11-30T23:59:59.999Z', 4), ['2027-12-30', '2028-01-30', '2028-02-29', '2028-03-30'])
  })

  test('follow each other without a gap from the first one on', () => {
    for (const anchor of ['2026-01-31T10:00:00.000Z', '2028-02-29T00:00:00.000Z', '2026-12-01T05:06:07.008Z']) {
      let start = new Date(anchor)
      for (let month = 1; month <= 30; month++) {
        const end = endOfMonth(new Date(anchor), start)
        assert.deepEqual(end, addMonths(new Date(anchor), month))
        start = end
      }
    }
  })
})

let billing: TestBilling
before(async () => {
  billing = await startBilling()
})
after(async () => {
  await checkInvariants(billing.database)
  await billing.close()
})

const assign = (userId: string, planCode: string, more: { until?: string; paidUntil?: string; at?: string } = {}) =>
  billing.database.transact((em) =>
    billing.plans.assign(em, {
      userId,
      planCode,
      until: more.until === undefined ? null : new Date(more.until),
      ...(more.paidUntil !== undefined && { paidUntil: new Date(more.paidUntil) }),
      at: more.at === undefined ? billing.clock() : new Date(more.at),
      reason: 'test',
    }),
  )

let keys = 0
const post = (userId: string, type: 'use' | 'charge' | 'refund', amount: number) =>
  billing.database.transact((em) => billing.ledger.post(em, { userId, type, amount, key: `plans:${++keys}` }))

const ledgerOf = async (userId: string) => {
  const { items } = await billing.call<Output<'credits:transactions'>>('credits:transactions', { limit: 200 }, userId)
  return items.reverse().map(({ type, amount }) => [type, amount])
}
const walletOf = (userId: string) => billing.wallets.get(userId)
const runMonths = () => billing.runJob('plan-months')

describe('what a plan gives each month', () => {
  let userId: string
  beforeEach(async () => {
    billing.setClock('2026-06-10T12:00:00.000Z')
    userId = await billing.person()
  })

  test('a paid plan begins with a month’s credits', async () => {
    const assigned = await assign(userId, 'premium_pro', { until: '2026-07-10T12:00:00.000Z' })
    assert.deepEqual(assigned, { previousPlan: 'basic', changed: true })
    const { plan, planUntil, credits, lifetimeCredits, period, tokens } = await walletOf(userId)
    assert.deepEqual(
      { plan, planUntil, credits, lifetimeCredits, period, limit: tokens.limit },
      {
        plan: 'premium_pro',
        planUntil: '2026-07-10T12:00:00.000Z',
        credits: 6000,
        lifetimeCredits: 6000,
        period: {
          creditsAllocated: 5000,
          creditsUsed: 0,
          start: '2026-06-10T12:00:00.000Z',
          end: '2026-07-10T12:00:00.000Z',
        },
        limit: 2_000_000,
      },
    )
    const [row] = await billing.database.query(sql<{ key: string }>`
      select operation_key as key from credit_transactions where user_id = ${userId} and seq = 2`)
    assert.equal(row?.key, `allocation:${userId}:2026-06-10T12:00:00.000Z`)
  })

  test('assigned again, from whichever webhook, it gives nothing more', async () => {
    const plan = { until: '2026-07-10T12:00:00.000Z', at: '2026-06-10T12:00:00.000Z' }
    await Promise.all(Array.from({ length: 6 }, () => assign(userId, 'premium_pro', plan)))
    billing.advance({ days: 3 })
    assert.deepEqual(await assign(userId, 'premium_pro', plan), { previousPlan: 'premium_pro', changed: false })
    assert.deepEqual(await ledgerOf(userId), [
      ['allocation', 1000],
      ['allocation', 5000],
    ])
  })

  test('when the next month begins, unused credits of the plan expire and new ones come; bought ones stay', async () => {
    await assign(userId, 'premium_pro', { until: '2026-09-10T12:00:00.000Z' })
    await post(userId, 'charge', 300)
    await post(userId, 'use', -1200)
    assert.equal((await walletOf(userId)).period?.creditsUsed, 1200)
    billing.setClock('2026-07-10T11:59:59.999Z')
    await runMonths()
    assert.equal((await walletOf(userId)).credits, 5100)
    billing.advance({ ms: 1 })
    billing.told.length = 0
    await runMonths()
    assert.deepEqual((await ledgerOf(userId)).slice(-2), [
      ['expiration', -3800],
      ['allocation', 5000],
    ])
    const { credits, period } = await walletOf(userId)
    assert.equal(credits, 1000 + 300 + 5000)
    assert.deepEqual(period, {
      creditsAllocated: 5000,
      creditsUsed: 0,
      start: '2026-07-10T12:00:00.000Z',
      end: '2026-08-10T12:00:00.000Z',
    })
    const toldOf = () => billing.told.filter((it) => it.userId === userId).map((it) => [it.event, it.payload.credits])
    assert.deepEqual(toldOf(), [['wallet:changed', 6300]])
    await runMonths()
    assert.equal(toldOf().length, 1)
  })

  test('use beyond the plan’s credits is not taken for use of them, and what is refunded is theirs again', async () => {
    await assign(userId, 'premium_starter', { until: '2026-09-10T12:00:00.000Z' })
    await post(userId, 'use', -1500)
    assert.equal((await walletOf(userId)).period?.creditsUsed, 1000)
    await post(userId, 'refund', 400)
    assert.equal((await walletOf(userId)).period?.creditsUsed, 600)
    billing.setClock('2026-07-10T12:00:00.000Z')
    await runMonths()
    assert.deepEqual((await ledgerOf(userId)).slice(-2), [
      ['expiration', -400],
      ['allocation', 1000],
    ])
  })

  test('held credits do not expire: what is under way can be paid', async () => {
    await assign(userId, 'premium_starter', { until: '2026-09-10T12:00:00.000Z' })
    const { holdId } = await billing.database.transact((em) =>
      billing.ledger.hold(em, { userId, amount: 1700, key: `hold:${userId}`, expiresAt: new Date('2027-01-01') }),
    )
    billing.setClock('2026-07-10T12:00:00.000Z')
    await runMonths()
    const { credits, held, available } = await walletOf(userId)
    assert.deepEqual([credits, held, available], [2700, 1700, 1000])
    await billing.database.transact((em) => billing.ledger.capture(em, holdId, 1700))
    assert.equal((await walletOf(userId)).credits, 1000)
  })

  test('a yearly plan gives its credits each month, and after an outage each missed month once', async () => {
    billing.setClock('2026-01-31T08:00:00.000Z')
    await assign(userId, 'premium_ultra', { until: '2027-01-31T08:00:00.000Z' })
    await post(userId, 'use', -500)
    billing.setClock('2026-05-15T00:00:00.000Z')
    await Promise.all([runMonths(), runMonths()])
    await runMonths()
    const missed = [
      ['expiration', -20_000],
      ['allocation', 20_000],
    ]
    assert.deepEqual(await ledgerOf(userId), [
      ['allocation', 1000],
      ['allocation', 20_000],
      ['use', -500],
      ['expiration', -19_500],
      ['allocation', 20_000],
      ...missed,
      ...missed,
    ])
    const keysOf = await billing.database.query(sql<{ key: string }>`
      select operation_key as key from credit_transactions where user_id = ${userId} and type = 'allocation' order by seq`)
    assert.deepEqual(
      keysOf.slice(1).map(({ key }) => key.slice(`allocation:${userId}:`.length, -14)),
      ['2026-01-31', '2026-02-28', '2026-03-31', '2026-04-30'],
    )
    assert.equal((await walletOf(userId)).period?.end, '2026-05-31T08:00:00.000Z')
  })

  test('what comes late is dated when it came: the balance of a past moment stays what it was', async () => {
    await assign(userId, 'premium_pro', { until: '2026-12-10T12:00:00.000Z' })
    const explain = () =>
      billing.call<Output<'credits:explain'>>('credits:explain', { at: '2026-08-01T00:00:00.000Z' }, userId)
    billing.setClock('2026-08-02T00:00:00.000Z')
    const before = await explain()
    await runMonths()
    assert.deepEqual(await explain(), before)
  })

  test('the wallets whose month begins are all seen to, though one of them fails', async () => {
    const people = await Promise.all(Array.from({ length: 12 }, () => billing.person()))
    for (const person of people) await assign(person, 'premium_starter', { until: '2027-06-10T12:00:00.000Z' })
    const [broken] = people.sort()
    await billing.database.query(sql`
      insert into credit_transactions (id, user_id, seq, type, amount, balance_after, operation_key, created_at)
      values (${newId()}, ${broken}, 3, 'charge', 1, 2001, ${`sabotage:${broken}`}, now())`)
    billing.setClock('2026-07-10T12:00:00.000Z')
    await assert.rejects(runMonths())
    for (const person of people.slice(1)) assert.equal((await ledgerOf(person)).length, 4)
    // the row that stood in the way is the ledger's now: the wallet is brought in line with it
    await billing.database.query(sql`
      update wallets set last_seq = 3, credits = 2001, lifetime_credits = 2001 where user_id = ${broken}`)
    await runMonths()
    assert.equal((await ledgerOf(broken!)).length, 5)
  })
})

test('more wallets than one look-up finds are all seen to', async () => {
  billing.setClock('2026-06-10T12:00:00.000Z')
  const ids = Array.from({ length: 230 }, newId)
  await billing.database.query(sql`
    insert into users (id, username, display_name)
    select id, 'many_' || right(id::text, 12), 'Many' from unnest(${ids}::uuid[]) id`)
  await billing.database.query(sql`
    insert into wallets (user_id, plan_code, plan_until)
    select id, 'premium_pro', ${billing.clock().toISOString()} from unnest(${ids}::uuid[]) id`)
  await runMonths()
  const [left] = await billing.database.query(sql<{ count: string }>`
    select count(*) as count from wallets where user_id = any(${ids}::uuid[]) and plan_code <> 'basic'`)
  assert.equal(Number(left?.count), 0)
})

describe('the end of a plan', () => {
  let userId: string
  beforeEach(async () => {
    billing.setClock('2026-06-10T12:00:00.000Z')
    userId = await billing.person()
  })

  test('at its end a plan is over at once; the job lets unused credits expire, and gives no more', async () => {
    await assign(userId, 'premium_pro', { until: '2026-07-10T12:00:00.000Z' })
    await post(userId, 'use', -1000)
    billing.setClock('2026-07-10T12:00:00.000Z')
    assert.equal((await walletOf(userId)).plan, 'basic')
    await runMonths()
    const { plan, planUntil, credits, period } = await walletOf(userId)
    assert.deepEqual([plan, planUntil, credits, period], ['basic', undefined, 1000, undefined])
    billing.setClock('2027-07-10T12:00:00.000Z')
    await runMonths()
    assert.deepEqual((await ledgerOf(userId)).slice(2), [
      ['use', -1000],
      ['expiration', -4000],
    ])
  })

  test('a plan that ends within a month gives nothing for the months after it, however late the job comes', async () => {
    await assign(userId, 'premium_pro', { until: '2026-08-01T00:00:00.000Z', paidUntil: '2027-06-10T12:00:00.000Z' })
    billing.setClock('2027-01-01T00:00:00.000Z')
    await runMonths()
    assert.deepEqual((await ledgerOf(userId)).slice(1), [
      ['allocation', 5000],
      ['expiration', -5000],
      ['allocation', 5000],
      ['expiration', -5000],
    ])
    assert.equal((await walletOf(userId)).credits, 1000)
  })

  test('in the grace after what is paid the plan goes on, but the month’s credits come with the payment', async () => {
    const july = { until: '2026-07-13T12:00:00.000Z', paidUntil: '2026-07-10T12:00:00.000Z' }
    await assign(userId, 'premium_pro', july)
    billing.setClock('2026-07-11T00:00:00.000Z')
    await runMonths()
    await runMonths()
    const { plan, credits, period } = await walletOf(userId)
    assert.deepEqual([plan, credits, period?.creditsAllocated], ['premium_pro', 1000, 0])
    billing.setClock('2026-07-12T00:00:00.000Z')
    const august = { until: '2026-08-13T12:00:00.000Z', paidUntil: '2026-08-10T12:00:00.000Z' }
    assert.deepEqual(await assign(userId, 'premium_pro', august), { previousPlan: 'premium_pro', changed: false })
    const renewed = await walletOf(userId)
    assert.equal(renewed.credits, 6000)
    assert.deepEqual(renewed.period, {
      creditsAllocated: 5000,
      creditsUsed: 0,
      start: '2026-07-10T12:00:00.000Z',
      end: '2026-08-10T12:00:00.000Z',
    })
  })

  test('a payment that comes after the plan has ended begins it anew', async () => {
    await assign(userId, 'premium_pro', { until: '2026-07-10T12:00:00.000Z' })
    billing.setClock('2026-07-11T00:00:00.000Z')
    const renewed = await assign(userId, 'premium_pro', {
      until: '2026-08-10T12:00:00.000Z',
      at: '2026-07-10T12:00:00.000Z',
    })
    assert.deepEqual(renewed, { previousPlan: 'basic', changed: true })
    assert.deepEqual((await ledgerOf(userId)).slice(1), [
      ['allocation', 5000],
      ['expiration', -5000],
      ['allocation', 5000],
    ])
    assert.equal((await walletOf(userId)).period?.end, '2026-08-10T12:00:00.000Z')
  })

  test('the same month is not given a second time by ending and beginning again', async () => {
    const month = { until: '2026-07-10T12:00:00.000Z', at: '2026-06-10T12:00:00.000Z' }
    await assign(userId, 'premium_pro', month)
    billing.advance({ days: 1 })
    await assign(userId, 'basic')
    assert.equal((await walletOf(userId)).credits, 1000)
    billing.advance({ days: 1 })
    await assign(userId, 'premium_pro', month)
    assert.deepEqual([(await walletOf(userId)).plan, (await walletOf(userId)).credits], ['premium_pro', 1000])
    billing.setClock('2026-07-10T12:00:00.000Z')
    await assign(userId, 'premium_pro', { ...month, until: '2026-08-10T12:00:00.000Z' })
    assert.equal((await walletOf(userId)).credits, 6000)
  })
})

describe('a change of plan', () => {
  let userId: string
  beforeEach(async () => {
    billing.setClock('2026-06-10T12:00:00.000Z')
    userId = await billing.person()
    await assign(userId, 'premium_starter', { until: '2026-07-10T12:00:00.000Z' })
    billing.setClock('2026-06-20T00:00:00.000Z')
  })

  test('a larger plan replaces the credits of this month, less what was used of them, and the month goes on', async () => {
    await post(userId, 'use', -400)
    const changed = await assign(userId, 'premium_pro', { until: '2026-07-10T12:00:00.000Z' })
    assert.deepEqual(changed, { previousPlan: 'premium_starter', changed: true })
    assert.deepEqual((await ledgerOf(userId)).slice(2), [
      ['use', -400],
      ['expiration', -600],
      ['allocation', 4600],
    ])
    const { credits, period } = await walletOf(userId)
    assert.equal(credits, 1000 + 4600)
    assert.deepEqual(period, {
      creditsAllocated: 5000,
      creditsUsed: 400,
      start: '2026-06-10T12:00:00.000Z',
      end: '2026-07-10T12:00:00.000Z',
    })
  })

  test('going back and forth between plans gains nothing', async () => {
    const until = '2026-07-10T12:00:00.000Z'
    await assign(userId, 'premium_ultra', { until })
    await post(userId, 'use', -20_000)
    for (let round = 0; round < 3; round++) {
      await assign(userId, 'premium_starter', { until })
      await assign(userId, 'premium_ultra', { until })
    }
    const { credits, period } = await walletOf(userId)
    assert.deepEqual([credits, period?.creditsAllocated, period?.creditsUsed], [1000, 20_000, 20_000])
    await post(userId, 'use', -100)
    assert.equal((await walletOf(userId)).period?.creditsUsed, 20_000)
  })

  test('a smaller plan leaves what it gives in a month, less what was used', async () => {
    const until = '2026-07-10T12:00:00.000Z'
    await assign(userId, 'premium_ultra', { until })
    await post(userId, 'use', -300)
    await assign(userId, 'premium_starter', { until })
    const { credits, period } = await walletOf(userId)
    assert.deepEqual([credits, period?.creditsAllocated, period?.creditsUsed], [1700, 1000, 300])
    billing.setClock(until)
    await assign(userId, 'premium_starter', { until: '2026-08-10T12:00:00.000Z' })
    assert.equal((await walletOf(userId)).credits, 1000 + 1000)
  })

  test('back to the free plan, the plan’s unused credits expire', async () => {
    await assign(userId, 'basic', { until: '2030-01-01T00:00:00.000Z' })
    const { plan, planUntil, credits, period, tokens } = await walletOf(userId)
    assert.deepEqual([plan, planUntil, credits, period, tokens.limit], ['basic', undefined, 1000, undefined, 100_000])
  })

  test('a plan that is not there, and a user without a wallet, are refused', async () => {
    await assert.rejects(assign(userId, 'gold'), withCode('not_found'))
    await assert.rejects(assign(await billing.agent(), 'premium_pro'), withCode('not_found'))
    assert.equal((await walletOf(userId)).plan, 'premium_starter')
  })

  test('with the transaction that fails goes the change', async () => {
    const failing = billing.database.transact(async (em) => {
      await billing.plans.assign(em, {
        userId,
        planCode: 'premium_ultra',
        until: null,
        at: billing.clock(),
        reason: 'x',
      })
      throw new Error('the payment was not stored')
    })
    await assert.rejects(failing, /was not stored/)
    const { plan, credits } = await walletOf(userId)
    assert.deepEqual([plan, credits], ['premium_starter', 2000])
  })
})

describe('the plans themselves', () => {
  const admin = actorOf(newId(), 'admin')
  const list = () => billing.call<Output<'plan:list'>>('plan:list', {})
  const update = (input: object) => billing.call<StaffPlan>('staff:update-plan', input, admin)

  test('anyone sees those that can be had, with their prices: a year for ten months', async () => {
    const { items } = await list()
    assert.deepEqual(
      items.map(({ code, tokensPerWindow, windowHours, monthlyCredits, priceMonthly, priceYearly }) => [
        code,
        tokensPerWindow,
        windowHours,
        monthlyCredits,
        priceMonthly.amount,
        priceYearly.amount,
      ]),
      [
        ['basic', 100_000, 6, 0, 0, 0],
        ['premium_starter', 500_000, 6, 1000, 999, 9990],
        ['premium_pro', 2_000_000, 6, 5000, 2999, 29_990],
        ['premium_ultra', 5_000_000, 6, 20_000, 9999, 99_990],
        ['unlimited', undefined, 6, 60_000, 29_999, 299_990],
      ],
    )
    for (const plan of items) assert.deepEqual([plan.priceMonthly.currency, 'isActive' in plan], ['USD', false])
  })

  test('an admin changes what a plan gives and costs; limits count at once, credits from the next month on', async () => {
    billing.setClock('2026-06-10T12:00:00.000Z')
    const userId = await billing.person()
    await assign(userId, 'premium_ultra', { until: '2026-12-10T12:00:00.000Z' })
    const changes = {
      name: 'Ultra',
      tokensPerWindow: 6_000_000,
      monthlyCredits: 30_000,
      priceMonthly: 8999,
      priceYearly: 89_990,
      stripePriceMonthlyId: 'price_1',
      sortOrder: 9,
    }
    const plan = await update({ code: 'premium_ultra', ...changes })
    const { priceMonthly, priceYearly, ...rest } = changes
    assert.deepEqual(plan, {
      code: 'premium_ultra',
      windowHours: 6,
      isActive: true,
      ...rest,
      priceMonthly: { amount: priceMonthly, currency: 'USD' },
      priceYearly: { amount: priceYearly, currency: 'USD' },
    })
    const { tokens, credits } = await walletOf(userId)
    assert.deepEqual([tokens.limit, credits], [6_000_000, 21_000])
    billing.setClock('2026-07-10T12:00:00.000Z')
    await runMonths()
    assert.equal((await walletOf(userId)).credits, 31_000)
    const unlimited = await update({ code: 'premium_ultra', tokensPerWindow: null, stripePriceMonthlyId: null })
    assert.deepEqual([unlimited.tokensPerWindow, unlimited.stripePriceMonthlyId], [undefined, undefined])
    assert.equal((await walletOf(userId)).tokens.limit, undefined)
  })

  test('a plan that is not active is not offered, and who has it keeps it', async () => {
    billing.setClock('2026-06-10T12:00:00.000Z')
    const userId = await billing.person()
    await assign(userId, 'premium_starter', { until: '2026-09-10T12:00:00.000Z' })
    await update({ code: 'premium_starter', isActive: false })
    assert.ok(!(await list()).items.some(({ code }) => code === 'premium_starter'))
    const all = await billing.call<Output<'staff:plans'>>('staff:plans', {}, admin)
    assert.equal(all.items.find(({ code }) => code === 'premium_starter')?.isActive, false)
    billing.setClock('2026-07-10T12:00:00.000Z')
    await runMonths()
    const { plan, credits } = await walletOf(userId)
    assert.deepEqual([plan, credits], ['premium_starter', 2000])
    await update({ code: 'premium_starter', isActive: true })
  })

  test('the free plan stays free and active, but its quota may change', async () => {
    for (const change of [{ isActive: false }, { monthlyCredits: 5 }, { priceMonthly: 1 }, { priceYearly: 1 }]) {
      await assert.rejects(update({ code: 'basic', ...change }), withCode('unprocessable'))
    }
    assert.equal((await update({ code: 'basic', tokensPerWindow: 120_000 })).tokensPerWindow, 120_000)
    await update({ code: 'basic', tokensPerWindow: 100_000 })
  })

  test('changes that are none are refused, and so is a plan that is not there', async () => {
    await assert.rejects(update({ code: 'gold', priceMonthly: 5 }), withCode('not_found'))
    const { contract } = billing.routes.find(({ operation }) => operation.name === 'staff:update-plan')!.operation
    for (const input of [
      { code: 'basic' },
      { code: 'basic', tokensPerWindow: -1 },
      { code: 'basic', tokensPerWindow: 1.5 },
      { code: 'basic', windowHours: 0 },
      { code: 'basic', priceMonthly: 2 ** 40 },
      { code: 'basic', monthlyCredits: null },
      { code: 'basic', currency: 'EUR' },
      { code: 'basic', stripePriceMonthlyId: 'prod_1' },
    ]) {
      assert.equal(contract.input.safeParse(input).success, false, JSON.stringify(input))
    }
  })
})
