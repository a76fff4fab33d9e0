import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, beforeEach, test } from 'node:test'
import { sql } from 'kysely'
import type {
  PartnerApplication,
  ReferralEarning,
  Referrals,
  StaffPartnerApplication,
  StaffWithdrawal,
  Withdrawal,
} from '../../src/billing/referrals.contract.ts'
import { commission } from '../../src/billing/referrals.service.ts'
import { run } from '../../src/database/database.ts'
import { newId } from '../../src/kernel/ids.ts'
import { actorOf, startBilling, type TestBilling } from '../support/billing.ts'
import { withCode } from '../support/identity.ts'

let billing: TestBilling
before(async () => {
  billing = await startBilling()
})
beforeEach(() => {
  billing.told.length = 0
})
after(() => billing.close())

const referrals = (userId: string) => billing.call<Referrals>('referral:get', {}, userId)
const balanceOf = async (userId: string): Promise<number> => (await referrals(userId)).balance.amount

/** A person who registered with that code. */
async function personBy(code: string | undefined): Promise<string> {
  const userId = newId()
  const afterCommit = await billing.database.transact(async (em) => {
    await run(
      em,
      sql`insert into users (id, username, display_name, referral_code_used)
        values (${userId}, ${`by_${userId.slice(-12)}`}, 'User', ${code ?? null})`,
    )
    return billing.events.publish(em, 'user.registered', { userId, referralCode: code })
  })
  await afterCommit()
  return userId
}

/** A payment as it stands in the books; the events of it are the test's. */
async function payment(userId: string, valueUsd: number) {
  const paymentId = newId()
  await billing.database.query(sql`
    insert into payments (id, user_id, provider, purpose, tier_id, amount, currency, value_usd, description, created_at)
    values (${paymentId}, ${userId}, 'tbank', 'credits', 'credits_1000', 17900, 'RUB', ${valueUsd}, 'A pack',
      ${billing.clock().toISOString()})`)
  const publish = async (name: 'payment.succeeded' | 'payment.refunded') => {
    const event = { paymentId, userId, valueUsd, at: billing.clock() }
    const afterCommit = await billing.database.transact((em) => billing.events.publish(em, name, event))
    await afterCommit()
  }
  return { succeed: () => publish('payment.succeeded'), refund: () => publish('payment.refunded') }
}

/** A referrer with so many cents to withdraw. */
async function earner(cents: number): Promise<string> {
  const userId = await billing.person()
  const brought = await personBy((await referrals(userId)).code)
  const paid = await payment(brought, cents * 10)
  await paid.succeed()
  assert.equal(await balanceOf(userId), cents)
  return userId
}

const details = { account: 'DE00 1234', holder: 'Ada' }
const withdraw = (userId: string, amount: number, headers: Record<string, string> = {}) =>
  billing.call<Withdrawal>('withdrawal:request', { amount, method: 'bank', details }, userId, headers)

const admin = () => billing.person().then((userId) => actorOf(userId, 'admin'))

test('everyone has a code of their own, also who registered before there were codes', async () => {
  const [one, two] = [await billing.person(), await billing.person()]
  const first = await referrals(one)
  assert.match(first.code, /^[A-HJKMNP-Z2-9]{8}$/)
  assert.notEqual(first.code, (await referrals(two)).code)
  assert.deepEqual(
    { ...first, code: '' },
    {
      ...{ code: '', isPartner: false, commissionRate: 0.1, referralsCount: 0 },
      ...{ balance: { amount: 0, currency: 'USD' }, totalEarned: { amount: 0, currency: 'USD' } },
    },
  )
  await billing.database.query(sql`delete from referral_accounts where user_id = ${two}`)
  const [a, b] = await Promise.all([referrals(two), referrals(two)])
  assert.equal(a.code, b.code)
})

test('a tenth of what somebody pays who came by a code is credited once, and told', async () => {
  const referrer = await billing.person()
  const { code } = await referrals(referrer)
  const brought = await personBy(code.toLowerCase())
  assert.equal((await referrals(referrer)).referralsCount, 1)
  const paid = await payment(brought, 1999)
  await Promise.all([paid.succeed(), paid.succeed(), paid.succeed()])
  const after = await referrals(referrer)
  assert.deepEqual([after.balance.amount, after.totalEarned.amount], [199, 199])
  assert.deepEqual(
    billing.told.map(({ userId, event, payload }) => [userId, event, payload]),
    [[referrer, 'notification', { kind: 'referral', status: 'credited', amount: 199 }]],
  )
  const { items } = await billing.call<{ items: ReferralEarning[] }>('referral:earnings', {}, referrer)
  assert.equal(items.length, 1)
  assert.ok(!JSON.stringify(items).includes(brought), 'who paid is nobody’s business')
})

test('a refund takes back exactly what its payment earned, once, even if that was withdrawn', async () => {
  const referrer = await billing.person()
  const brought = await personBy((await referrals(referrer)).code)
  const [kept, refunded] = [await payment(brought, 5000), await payment(brought, 20_000)]
  await kept.succeed()
  await refunded.succeed()
  await withdraw(referrer, 2400)
  await Promise.all([refunded.refund(), refunded.refund()])
  const { balance, totalEarned } = await referrals(referrer)
  assert.deepEqual([balance.amount, totalEarned.amount], [500 + 2000 - 2400 - 2000, 500])
  const never = await payment(brought, 9000)
  await never.refund()
  assert.equal(await balanceOf(referrer), -1900)
})

test('an unknown code, a banned or deleted referrer and nobody earn nothing', async () => {
  const gone = await billing.person()
  const { code } = await referrals(gone)
  const [brought, lost, alone] = [await personBy(code), await personBy('NOSUCH22'), await personBy(undefined)]
  await billing.database.query(sql`update users set banned_at = now() where id = ${gone}`)
  for (const userId of [brought, lost, alone]) await (await payment(userId, 10_000)).succeed()
  assert.equal(await balanceOf(gone), 0)
  const [row] = await billing.database.query(sql<{ n: number }>`
    select count(*)::int as n from referral_earnings where referred_user_id = any(${[brought, lost, alone]}::uuid[])`)
  assert.equal(row?.n, 0)
})

test('a commission is rounded down to whole cents', () => {
  assert.deepEqual(
    [commission(999, '0.10'), commission(9, '0.10'), commission(999, '0.50'), commission(2_000_000_001, 0.1)],
    [99, 0, 499, 200_000_000],
  )
})

test('what is asked for leaves the balance at once: it cannot be asked for twice', async () => {
  const userId = await earner(5000)
  const asked = await Promise.allSettled(Array.from({ length: 10 }, () => withdraw(userId, 1500)))
  assert.equal(asked.filter(({ status }) => status === 'fulfilled').length, 3)
  for (const one of asked) if (one.status === 'rejected') assert.ok(withCode('unprocessable')(one.reason))
  assert.equal(await balanceOf(userId), 500)
  await assert.rejects(withdraw(userId, 999), withCode('unprocessable'))
})

test('the same Idempotency-Key asks for one payout; with another amount it is refused', async () => {
  const userId = await earner(5000)
  const key = { 'idempotency-key': randomUUID() }
  const [one, two] = await Promise.all([withdraw(userId, 1000, key), withdraw(userId, 1000, key)])
  assert.equal(one.id, two.id)
  assert.equal(await balanceOf(userId), 4000)
  await assert.rejects(withdraw(userId, 2000, key), withCode('idempotency_conflict'))
})

test('a withdrawal goes its way by staff, and comes back where it is rejected', async () => {
  const userId = await earner(5000)
  const staff = await admin()
  const process = (withdrawalId: string, status: string, reason?: string) =>
    billing.call<StaffWithdrawal>(
      'staff:process-withdrawal',
      { withdrawalId, status, ...(reason && { reason }) },
      staff,
    )
  const [paid, refused] = [await withdraw(userId, 1000), await withdraw(userId, 2000)]
  await assert.rejects(process(paid.id, 'completed'), withCode('conflict'))
  const approved = await process(paid.id, 'approved')
  assert.deepEqual([approved.status, approved.details, approved.processedBy], ['approved', details, staff.userId])
  assert.equal((await process(paid.id, 'completed')).status, 'completed')
  await assert.rejects(process(paid.id, 'rejected', 'too late'), withCode('conflict'))
  await assert.rejects(process(refused.id, 'rejected'), /required for a rejection/)
  const outcomes = await Promise.allSettled([1, 2, 3].map(() => process(refused.id, 'rejected', 'no such account')))
  assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1)
  assert.equal(await balanceOf(userId), 4000)
  const { items } = await billing.call<{ items: Withdrawal[] }>('withdrawal:list', {}, userId)
  assert.deepEqual(
    items.map(({ id, status, reason }) => [id, status, reason]),
    [
      [refused.id, 'rejected', 'no such account'],
      [paid.id, 'completed', undefined],
    ],
  )
  assert.ok(!JSON.stringify(items).includes('DE00'), 'an account number is for staff alone')
  await assert.rejects(process(newId(), 'approved'), withCode('not_found'))
})

test('nobody decides about their own withdrawal or application', async () => {
  const userId = await earner(1000)
  const self = actorOf(userId, 'admin')
  const { id } = await withdraw(userId, 1000)
  await assert.rejects(
    billing.call('staff:process-withdrawal', { withdrawalId: id, status: 'approved' }, self),
    withCode('forbidden'),
  )
  const application = await apply(userId)
  await assert.rejects(
    billing.call('staff:review-partner', { applicationId: application.id, status: 'approved' }, self),
    withCode('forbidden'),
  )
})

const apply = (userId: string) =>
  billing.call<PartnerApplication>(
    'partner:apply',
    {
      contactName: 'Ada',
      contactEmail: 'ada@example.org',
      audienceSize: 'small',
      promotionChannels: ['blog', 'talks'],
    },
    userId,
  )

test('a partner earns half from then on; there is one pending application', async () => {
  const userId = await billing.person()
  const brought = await personBy((await referrals(userId)).code)
  await (await payment(brought, 1000)).succeed()
  const tries = await Promise.allSettled([apply(userId), apply(userId), apply(userId)])
  assert.equal(tries.filter(({ status }) => status === 'fulfilled').length, 1)
  const staff = await admin()
  const { items } = await billing.call<{ items: StaffPartnerApplication[] }>(
    'staff:partner-applications',
    { limit: 100 },
    staff,
  )
  const own = items.find((item) => item.userId === userId)
  assert.deepEqual(own?.promotionChannels, ['blog', 'talks'])
  const review = (status: string) =>
    billing.call<StaffPartnerApplication>('staff:review-partner', { applicationId: own?.id, status }, staff)
  assert.equal((await review('approved')).reviewedBy, staff.userId)
  await assert.rejects(review('approved'), withCode('conflict'))
  await (await payment(brought, 1000)).succeed()
  const now = await referrals(userId)
  assert.deepEqual([now.isPartner, now.commissionRate, now.balance.amount], [true, 0.5, 100 + 500])
  assert.equal((await billing.call<PartnerApplication>('partner:application', {}, userId)).status, 'approved')
  await assert.rejects(apply(userId), withCode('conflict'))
})

test('who deletes the account leaves no application behind', async () => {
  const userId = await billing.person()
  await apply(userId)
  await billing.database.transact((em) => billing.events.publish(em, 'user.deleting', { userId }))
  await assert.rejects(billing.call('partner:application', {}, userId), withCode('not_found'))
})

test('lists go on page by page, and a cursor of another list is refused', async () => {
  const userId = await earner(10_000)
  for (let i = 0; i < 5; i++) await withdraw(userId, 1000 + i)
  const amounts: number[] = []
  let cursor: string | undefined
  do {
    const page: { items: Withdrawal[]; nextCursor?: string } = await billing.call(
      'withdrawal:list',
      { limit: 2, ...(cursor && { cursor }) },
      userId,
    )
    amounts.push(...page.items.map((item) => item.amount.amount))
    cursor = page.nextCursor
  } while (cursor)
  assert.deepEqual(amounts, [1004, 1003, 1002, 1001, 1000])
  await assert.rejects(billing.call('withdrawal:list', { cursor: 'bm9wZQ' }, userId), withCode('invalid_request'))
})
