import { randomInt } from 'node:crypto'
import { sql } from 'kysely'
import { z } from 'zod'
import { type Connection, type Database, run } from '../database/database.ts'
import type { Clock } from '../kernel/clock.ts'
import { decodeCursor, encodeCursor, keyId } from '../kernel/cursors.ts'
import type { AfterCommit, DomainEventMap, DomainEvents } from '../kernel/domain-events.ts'
import { newId } from '../kernel/ids.ts'
import type { Fanout } from '../kernel/ports.ts'
import type { ReferralEarning, Referrals } from './referrals.contract.ts'

/** Without 0, 1, I, L and O, which people read for one another. */
const alphabet = 'ABCDEFGHJKMNPQRSTUVWXYZ23456789'
const codeLength = 8

const cursorKey = z.tuple([keyId])

interface ReferralsDependencies {
  database: Database
  events: DomainEvents
  fanout: Pick<Fanout, 'toUsers'>
  clock: Clock
}

/**
 * Owns `referral_accounts` and `referral_earnings`: who brought whom, and the commission on what those paid. Always holds:
 * a payment earns at most once, a refund takes back exactly what its payment earned; balance = earned − reversed −
 * withdrawn. The balance is in US cents, whatever a payment was made in; a refund after a withdrawal leaves it negative.
 */
export function createReferrals({ database, events, fanout, clock }: ReferralsDependencies) {
  events.on('user.registered', async (em, { userId, referralCode }) => {
    await openAccount(em, userId)
    if (referralCode !== undefined) {
      await run(
        em,
        sql`
          update referral_accounts set referrals_count = referrals_count + 1
          where code = upper(${referralCode}) and user_id <> ${userId}`,
      )
    }
    return undefined
  })
  events.on('payment.succeeded', credit)
  events.on('payment.refunded', reverse)

  /** The commission for whoever brought the payer, if anyone did who is still here. */
  async function credit(
    em: Connection,
    { paymentId, userId, valueUsd, at }: DomainEventMap['payment.succeeded'],
  ): Promise<AfterCommit | undefined> {
    const [referrer] = await run(
      em,
      sql<{ userId: string; rate: string }>`
        select a.user_id as "userId", a.commission_rate as rate
        from users payer
        join referral_accounts a on a.code = upper(payer.referral_code_used)
        join users u on u.id = a.user_id and u.deleted_at is null and u.banned_at is null
        where payer.id = ${userId} and a.user_id <> payer.id
        for no key update of a`,
    )
    const amount = referrer ? commission(valueUsd, referrer.rate) : 0
    if (!referrer || amount === 0) return undefined
    const earned = await run(
      em,
      sql`
        insert into referral_earnings (id, referrer_id, referred_user_id, payment_id, amount, commission_rate, created_at)
        values (${newId()}, ${referrer.userId}, ${userId}, ${paymentId}, ${amount}, ${referrer.rate}, ${at.toISOString()})
        on conflict (payment_id) do nothing returning id`,
    )
    if (earned.length === 0) return undefined
    await move(em, referrer.userId, amount)
    return () => fanout.toUsers([referrer.userId], 'notification', { kind: 'referral', status: 'credited', amount })
  }

  async function reverse(
    em: Connection,
    { paymentId, at }: DomainEventMap['payment.refunded'],
  ): Promise<AfterCommit | undefined> {
    const [earning] = await run(
      em,
      sql<{ referrerId: string; amount: number }>`
        update referral_earnings set status = 'reversed', reversed_at = ${at.toISOString()}
        where payment_id = ${paymentId} and status = 'credited'
        returning referrer_id as "referrerId", amount`,
    )
    if (!earning) return undefined
    await move(em, earning.referrerId, -earning.amount)
    const { referrerId, amount } = earning
    return () => fanout.toUsers([referrerId], 'notification', { kind: 'referral', status: 'reversed', amount })
  }

  const move = (em: Connection, userId: string, amount: number) =>
    run(
      em,
      sql`
        update referral_accounts set balance = balance + ${amount}, total_earned = total_earned + ${amount}
        where user_id = ${userId}`,
    )

  return {
    /** One's account; made now for those who registered before there were any. */
    async get(userId: string): Promise<Referrals> {
      const found = await accountOf(database, userId)
      if (found) return found
      await database.transact((em) => openAccount(em, userId))
      return (await accountOf(database, userId)) as Referrals
    },

    async earnings(
      userId: string,
      { cursor, limit }: { cursor?: string | undefined; limit: number },
    ): Promise<{ items: ReferralEarning[]; nextCursor?: string }> {
      const before = cursor === undefined ? undefined : decodeCursor(cursor, cursorKey)[0]
      const rows = await database.query(
        sql<{
          id: string
          amount: number
          currency: string
          rate: string
          status: ReferralEarning['status']
          at: string
        }>`
          select id, amount, currency, commission_rate as rate, status, created_at as at from referral_earnings
          where referrer_id = ${userId} ${before ? sql`and id < ${before}::uuid` : sql``}
          order by id desc limit ${limit + 1}`,
      )
      const items = rows.slice(0, limit).map(({ id, amount, currency, rate, status, at }) => ({
        id,
        amount: { amount, currency },
        commissionRate: Number(rate),
        status,
        createdAt: new Date(at).toISOString(),
      }))
      const last = items.at(-1)
      return { items, ...(rows.length > limit && last && { nextCursor: encodeCursor([last.id]) }) }
    },
  }

  /** An account with a code of its own; nothing where there is one. */
  async function openAccount(em: Connection, userId: string): Promise<void> {
    for (let attempt = 0; ; attempt += 1) {
      const taken = await run(
        em,
        sql`
          insert into referral_accounts (user_id, code, created_at)
          select ${userId}, ${newCode()}, ${clock().toISOString()}
          on conflict do nothing returning user_id`,
      )
      if (taken.length > 0) return
      const [own] = await run(em, sql`select from referral_accounts where user_id = ${userId}`)
      // else somebody else has that code: of 8 × 10¹¹ codes that will not happen often
      if (own || attempt === 10) return
    }
  }
}

/** In whole cents, rounded down: a rate has two places, so hundredths are exact integers. */
export const commission = (valueUsd: number, rate: string | number): number =>
  Math.floor((valueUsd * Math.round(Number(rate) * 100)) / 100)

const newCode = (): string => Array.from({ length: codeLength }, () => alphabet[randomInt(alphabet.length)]).join('')

async function accountOf(database: Database, userId: string): Promise<Referrals | undefined> {
  const [row] = await database.query(
    sql<{
      code: string
      isPartner: boolean
      rate: string
      count: number
      balance: number
      earned: number
      currency: string
    }>`
      select code, is_partner as "isPartner", commission_rate as rate, referrals_count as count, balance,
        total_earned as earned, currency
      from referral_accounts where user_id = ${userId}`,
  )
  return (
    row && {
      code: row.code,
      isPartner: row.isPartner,
      commissionRate: Number(row.rate),
      referralsCount: row.count,
      balance: { amount: row.balance, currency: row.currency },
      totalEarned: { amount: row.earned, currency: row.currency },
    }
  )
}
