import { sql } from 'kysely'
import { z } from 'zod'
import type { Database } from '../database/database.ts'
import type { Clock } from '../kernel/clock.ts'
import { decodeCursor, encodeCursor, keyId, keyTime, keyTimeOf } from '../kernel/cursors.ts'
import { AppError, notFound, unprocessable } from '../kernel/errors.ts'
import { newId } from '../kernel/ids.ts'
import type { UserContext } from '../kernel/operation.ts'
import type { PlanOffer, SubscriptionProvider } from '../kernel/ports.ts'
import type { Idempotency } from './idempotency.ts'
import { type ChangeRow, changeColumns, presentChange, presentSubscription } from './subscription.presenter.ts'
import type { SubscriptionReader } from './subscription-reader.ts'
import { isHigherAmong, knownPlans, type StoredSubscription, subscriptionsWhere } from './subscription-rows.ts'
import { isLive, isUpwards } from './subscription-state.ts'
import type { Input, Output, Subscription } from './subscriptions.contract.ts'
import type { Source } from './wallet-reader.ts'

interface SubscriptionsDependencies {
  database: Database
  idempotency: Idempotency
  clock: Clock
  graceDays: number
  /** Where people reach the server. */
  publicUrl: string
  /** Absent where subscriptions are not set up. */
  stripe: { provider: SubscriptionProvider; reader: SubscriptionReader } | undefined
}

const cursorKey = z.tuple([keyTime, keyId])

export type Subscriptions = ReturnType<typeof createSubscriptions>

/**
 * Subscriptions as people begin, see and change them. Each change is made at the provider and then read from there, as any
 * other: nothing is written here that the provider has not said.
 */
export function createSubscriptions(deps: SubscriptionsDependencies) {
  const { database, idempotency, clock, graceDays, publicUrl } = deps
  const returnUrl = `${publicUrl}/billing/subscription`

  /** @throws AppError unprocessable */
  function stripe() {
    if (!deps.stripe) throw unprocessable('Subscriptions are not set up on this server.')
    return deps.stripe
  }

  const present = (stored: StoredSubscription | undefined): Subscription =>
    presentSubscription(stored, { at: clock(), graceDays })

  /** The one that decides about the plan, or else the one that goes on, or else the latest. */
  async function currentOf(source: Source, userId: string): Promise<StoredSubscription | undefined> {
    const all = await subscriptionsWhere(source, sql`user_id = ${userId}`)
    return all.find((one) => isLive(one, { at: clock(), graceDays })) ?? all.find(goesOn) ?? all[0]
  }

  /**
   * The one that goes on, as the provider has it now.
   * @throws AppError not_found, upstream_failed
   */
  async function freshOf(userId: string): Promise<StoredSubscription> {
    const known = await currentOf(database, userId)
    if (known) await stripe().reader.one(known.stripeId)
    const current = await currentOf(database, userId)
    if (!current || !goesOn(current)) throw notFound('subscription')
    return current
  }

  async function readAgain(userId: string, { stripeId }: StoredSubscription): Promise<Subscription> {
    await stripe().reader.one(stripeId)
    return present(await currentOf(database, userId))
  }

  const get = async (userId: string): Promise<Subscription> => present(await currentOf(database, userId))

  /**
   * Begins a subscription.
   * @throws AppError conflict where there is one that goes on; not_found, unprocessable for no such plan; upstream_failed,
   *   after which the same `Idempotency-Key` goes on with the same page
   */
  async function checkout(input: Input<'billing:checkout'>, context: UserContext): Promise<Output<'billing:checkout'>> {
    const { provider, reader } = stripe()
    const { userId } = context.actor
    return idempotency.once(context, 'billing:checkout', input, {
      async begin(em) {
        await offerOf(em, input)
        const current = await currentOf(em, userId)
        if (current && goesOn(current)) throw alreadySubscribed(current)
        return newId()
      },
      async perform(key) {
        const offer = await offerOf(database, input)
        let customerId = await customerOf(provider, userId)
        // one whose webhook is not here yet
        const live = await reader.liveOf(customerId)
        if (live?.[0]) throw alreadySubscribed({ status: live[0].status === 'unpaid' ? 'unpaid' : 'active' })
        // as after the change from a test account to the real one
        if (!live) customerId = await customerOf(provider, userId, customerId)
        const { id, url } = await provider.openCheckout({ key, userId, customerId, offer, returnUrl })
        return { sessionId: id, url }
      },
    })
  }

  /**
   * The user's customer at the provider, made with the first need of one; made twice, it is the same.
   * @param unknown one that was stored, and that the provider does not know
   */
  async function customerOf(provider: SubscriptionProvider, userId: string, unknown?: string): Promise<string> {
    const [user] = await database.query(sql<{ id: string | null; email: string | null; name: string }>`
      select stripe_customer_id as id, display_name as name, case when email_verified_at is not null then email end as email
      from users where id = ${userId} and deleted_at is null`)
    if (!user) throw notFound('account')
    if (user.id !== null && user.id !== unknown) return user.id
    const { name } = user
    const made = await provider.createCustomer({ userId, name, email: user.email ?? undefined, replaces: unknown })
    const [stored] = await database.query(sql<{ id: string }>`
      update users set stripe_customer_id = coalesce(nullif(stripe_customer_id, ${unknown ?? null}), ${made})
      where id = ${userId} returning stripe_customer_id as id`)
    return stored?.id ?? made
  }

  /**
   * Has it end with the period that is paid; at once where nothing is paid.
   * @throws AppError not_found, upstream_failed
   */
  async function cancel(userId: string): Promise<Subscription> {
    const { provider } = stripe()
    const current = await freshOf(userId)
    if (current.status === 'unpaid') await provider.end(current.stripeId)
    else if (current.autoRenew) await provider.setRenewal(current.stripeId, false, newId())
    return readAgain(userId, current)
  }

  /** @throws AppError not_found, upstream_failed */
  async function resume(userId: string): Promise<Subscription> {
    const { provider } = stripe()
    const current = await freshOf(userId)
    if (!current.autoRenew) await provider.setRenewal(current.stripeId, true, newId())
    return readAgain(userId, current)
  }

  /**
   * Changes plan or period: upwards at once, the difference charged; downwards with the end of the period, so that nobody
   * uses up a large plan's credits and then pays for a small one. What is so already, or is to be, stays.
   * @throws AppError not_found, unprocessable for no such plan; conflict where it is cancelled, unpaid, or to be changed
   *   otherwise; payment_required where the difference was not paid, and nothing is changed; upstream_failed
   */
  async function change(input: Input<'subscription:change'>, context: UserContext): Promise<Subscription> {
    const { provider } = stripe()
    const { userId } = context.actor
    return idempotency.once(context, 'subscription:change', input, {
      async begin(em) {
        await offerOf(em, input)
        return newId()
      },
      async perform(key) {
        const offer = await offerOf(database, input)
        const current = await freshOf(userId)
        refuseChange(current)
        const { stripeId, next } = current
        const target = { planCode: input.plan, period: input.period }
        if (isSame(current, target)) {
          if (next) await provider.changeNext(stripeId, undefined, key)
        } else if (isUpwards(current, target, isHigherAmong(await knownPlans(database)))) {
          if (next) throw new AppError('conflict', 'Another change is to come: take it back first.')
          await provider.changeNow(stripeId, offer, key)
        } else if (!next || !isSame(next, target)) {
          await provider.changeNext(stripeId, offer, key)
        }
        return readAgain(userId, current)
      },
    })
  }

  async function history(
    userId: string,
    { cursor, limit }: Input<'subscription:history'>,
  ): Promise<Output<'subscription:history'>> {
    const [time, id] = cursor === undefined ? [] : decodeCursor(cursor, cursorKey)
    const rows = await database.query(sql<ChangeRow & { key: string }>`
      select ${changeColumns}, ${keyTimeOf('created_at')} as key from subscription_history
      where user_id = ${userId}
        and ${time === undefined ? sql`true` : sql`(created_at, id) < (${time}::timestamptz, ${id}::uuid)`}
      order by created_at desc, id desc limit ${limit + 1}`)
    const items = rows.slice(0, limit)
    const last = items.at(-1)
    return {
      items: items.map(({ key: _, ...row }) => presentChange(row)),
      ...(rows.length > limit && last && { nextCursor: encodeCursor([last.key, last.id]) }),
    }
  }

  /** @throws AppError unprocessable for who has never paid by Stripe, upstream_failed */
  async function portal(userId: string): Promise<Output<'billing:portal'>> {
    const { provider } = stripe()
    const [customer] = await database.query(sql<{ id: string }>`
      select stripe_customer_id as id from users where id = ${userId} and stripe_customer_id is not null`)
    if (!customer) throw unprocessable('There is nothing to see: you have not subscribed yet.')
    return provider.openPortal(customer.id, returnUrl)
  }

  return { get, checkout, cancel, resume, change, history, portal }
}

/** Whether something may still come of it at the provider: a renewal, or the payment of its open bill. */
const goesOn = ({ status }: StoredSubscription): boolean => status !== 'cancelled' && status !== 'expired'

const isSame = (a: { planCode: string; period: string }, b: { planCode: string; period: string }): boolean =>
  a.planCode === b.planCode && a.period === b.period

/** @throws AppError not_found, unprocessable for a plan that costs nothing */
async function offerOf(source: Source, { plan, period }: Input<'billing:checkout'>): Promise<PlanOffer> {
  const found = (await knownPlans(source)).find(({ code, isActive }) => code === plan && isActive)
  if (!found) throw notFound('plan')
  const monthly = period === 'monthly'
  const amount = monthly ? found.priceMonthly : found.priceYearly
  if (amount === 0) throw unprocessable('This plan costs nothing: cancel your subscription to go back to it.')
  const priceId = (monthly ? found.stripePriceMonthlyId : found.stripePriceYearlyId) ?? undefined
  return { planCode: plan, name: found.name, period, priceId, amount, currency: found.currency }
}

const alreadySubscribed = ({ status }: { status: string }) =>
  new AppError(
    'conflict',
    status === 'unpaid'
      ? 'The bill of your subscription is open: pay it in the portal (POST /v1/billing/portal), or cancel it first.'
      : 'You have a subscription: change it (POST /v1/billing/subscription/change).',
  )

function refuseChange({ status, autoRenew }: StoredSubscription): void {
  if (status === 'past_due' || status === 'unpaid')
    throw new AppError('conflict', 'The bill of your subscription is open: pay it in the portal first.')
  if (!autoRenew) throw new AppError('conflict', 'Your subscription is cancelled: resume it first.')
}
