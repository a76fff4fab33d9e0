import { type RawBuilder, sql } from 'kysely'
import { type Connection, run } from '../database/database.ts'
import { newId } from '../kernel/ids.ts'
import type { BillingPeriod, ProviderSubscription, SubscriptionNotes } from '../kernel/ports.ts'
import type { HistoryEntry, SubscriptionState, SubscriptionStatus } from './subscription-state.ts'
import { readFrom, type Source } from './wallet-reader.ts'

/** A subscription as it stands in the books. */
export interface StoredSubscription extends SubscriptionState {
  id: string
  userId: string
  stripeId: string
  createdAt: Date
}

interface Row {
  id: string
  userId: string
  stripeId: string
  planCode: string
  status: SubscriptionStatus
  period: BillingPeriod
  periodStart: string
  periodEnd: string
  autoRenew: boolean
  pastDueSince: string | null
  cancelledAt: string | null
  nextPlan: string | null
  nextPeriod: BillingPeriod | null
  createdAt: string
}

const columns = sql`
  id, user_id as "userId", stripe_subscription_id as "stripeId", plan_code as "planCode", status, period,
  current_period_start as "periodStart", current_period_end as "periodEnd", auto_renew as "autoRenew",
  past_due_since as "pastDueSince", cancelled_at as "cancelledAt", next_plan_code as "nextPlan",
  next_period as "nextPeriod", created_at as "createdAt"`

const dateOrNone = (time: string | null): Date | undefined => (time === null ? undefined : new Date(time))

const stored = ({ nextPlan, nextPeriod, ...row }: Row): StoredSubscription => ({
  ...row,
  periodStart: new Date(row.periodStart),
  periodEnd: new Date(row.periodEnd),
  pastDueSince: dateOrNone(row.pastDueSince),
  cancelledAt: dateOrNone(row.cancelledAt),
  createdAt: new Date(row.createdAt),
  next: nextPlan !== null && nextPeriod !== null ? { planCode: nextPlan, period: nextPeriod } : undefined,
})

/** Those that fit, the newest first. */
export async function subscriptionsWhere(source: Source, which: RawBuilder<unknown>): Promise<StoredSubscription[]> {
  const rows = await readFrom(
    source,
    sql<Row>`select ${columns} from subscriptions where ${which} order by created_at desc, id desc`,
  )
  return rows.map(stored)
}

/**
 * The subscription of that name at Stripe, locked; and whether it was read again since that moment.
 * @param readStartedAt by the database's clock
 */
export async function lockSubscription(
  em: Connection,
  stripeId: string,
  readStartedAt: string,
): Promise<{ before: StoredSubscription | undefined; isStale: boolean }> {
  const [row] = await run(
    em,
    sql<Row & { isStale: boolean }>`
      select ${columns}, read_at > ${readStartedAt}::timestamptz as "isStale" from subscriptions
      where stripe_subscription_id = ${stripeId} for no key update`,
  )
  return { before: row && stored(row), isStale: row?.isStale ?? false }
}

/** Writes what it is now; gives its id. */
export async function saveSubscription(
  em: Connection,
  of: { userId: string; stripeId: string; createdAt: Date; readAt: string },
  state: SubscriptionState,
): Promise<string> {
  const [row] = await run(
    em,
    sql<{ id: string }>`
      insert into subscriptions (id, user_id, stripe_subscription_id, plan_code, status, period, current_period_start,
        current_period_end, auto_renew, past_due_since, cancelled_at, next_plan_code, next_period, read_at, created_at)
      values (${newId()}, ${of.userId}, ${of.stripeId}, ${state.planCode}, ${state.status}, ${state.period},
        ${state.periodStart.toISOString()}, ${state.periodEnd.toISOString()}, ${state.autoRenew},
        ${state.pastDueSince?.toISOString() ?? null}, ${state.cancelledAt?.toISOString() ?? null},
        ${state.next?.planCode ?? null}, ${state.next?.period ?? null}, ${of.readAt}, ${of.createdAt.toISOString()})
      on conflict (stripe_subscription_id) do update set plan_code = excluded.plan_code, status = excluded.status,
        period = excluded.period, current_period_start = excluded.current_period_start,
        current_period_end = excluded.current_period_end, auto_renew = excluded.auto_renew,
        past_due_since = excluded.past_due_since, cancelled_at = excluded.cancelled_at,
        next_plan_code = excluded.next_plan_code, next_period = excluded.next_period, read_at = excluded.read_at
      returning id`,
  )
  if (!row) throw new Error('a subscription was not stored')
  return row.id
}

/** Appends a change, unless it is there; what a bill says of the beginning is known better than what is guessed from the state. */
export async function noteChange(
  em: Connection,
  of: { id: string; userId: string },
  change: HistoryEntry & { currency: string },
): Promise<void> {
  const fromBill = change.transferId !== undefined
  await run(
    em,
    sql`
      insert into subscription_history as h (id, user_id, subscription_id, previous_plan, new_plan, period, amount,
        currency, stripe_payment_id, reason, operation_key, created_at)
      values (${newId()}, ${of.userId}, ${of.id}, ${change.previousPlan ?? null}, ${change.newPlan}, ${change.period},
        ${change.amount}, ${change.currency}, ${change.transferId ?? null}, ${change.reason}, ${`${of.id}:${change.key}`},
        ${change.at.toISOString()})
      on conflict (operation_key) do update set new_plan = excluded.new_plan, period = excluded.period,
        amount = excluded.amount, currency = excluded.currency, stripe_payment_id = excluded.stripe_payment_id,
        created_at = excluded.created_at
      where h.reason = 'initial' and h.stripe_payment_id is null and ${fromBill}`,
  )
}

/** Whose a subscription is. */
export interface Owner {
  id: string
  isDeleted: boolean
}

/** The owner of a subscription: the user of the customer, or else the one that was noted. Locked, deleted or not. */
export async function lockOwner(
  em: Connection,
  { customerId, notes }: Pick<ProviderSubscription, 'customerId' | 'notes'>,
): Promise<Owner | undefined> {
  const select = (which: RawBuilder<unknown>) =>
    run(
      em,
      sql<Owner>`
        select id, deleted_at is not null as "isDeleted" from users where ${which} for no key update`,
    )
  const [owner] = await select(sql`stripe_customer_id = ${customerId}`)
  // what was noted may have been written by hand, and be no id
  if (owner || !isId(notes.userId ?? '')) return owner
  const [noted] = await select(sql`id = ${notes.userId}`)
  return noted
}

const isId = (text: string): boolean => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)

/** What decides about plans when a subscription is read. */
export interface KnownPlan {
  code: string
  name: string
  priceMonthly: number
  priceYearly: number
  currency: string
  stripePriceMonthlyId: string | null
  stripePriceYearlyId: string | null
  isActive: boolean
}

export const knownPlans = (source: Source): Promise<KnownPlan[]> =>
  readFrom(
    source,
    sql<KnownPlan>`
      select code, name, price_monthly as "priceMonthly", price_yearly as "priceYearly", currency,
        stripe_price_monthly_id as "stripePriceMonthlyId", stripe_price_yearly_id as "stripePriceYearlyId",
        is_active as "isActive"
      from plans`,
  )

/** Which of two plans is the higher one. */
export const isHigherAmong =
  (known: KnownPlan[]) =>
  (plan: string, than: string): boolean => {
    const priceOf = (wanted: string) => known.find(({ code }) => code === wanted)?.priceMonthly ?? 0
    return priceOf(plan) > priceOf(than)
  }

/** The plan of a price, or else the one that was noted. */
export const planOf =
  (plans: KnownPlan[]) =>
  (priceId: string | undefined, notes: SubscriptionNotes): string | undefined => {
    const byPrice = (plan: KnownPlan) => plan.stripePriceMonthlyId === priceId || plan.stripePriceYearlyId === priceId
    const byNote = ({ code }: KnownPlan) => code === notes.plan
    return ((priceId === undefined ? undefined : plans.find(byPrice)) ?? plans.find(byNote))?.code
  }
