import { sql } from 'kysely'
import type { StoredSubscription } from './subscription-rows.ts'
import { givesPlan, type HistoryReason, isLive, lapsed, planUntil } from './subscription-state.ts'
import type { Subscription, SubscriptionChange } from './subscriptions.contract.ts'

/** A subscription as its owner sees it at that moment: one whose time is over has ended, job or no job. */
export function presentSubscription(
  stored: StoredSubscription | undefined,
  when: { at: Date; graceDays: number },
): Subscription {
  if (!stored) return { status: 'none', plan: 'basic' }
  const isOver = givesPlan(stored) && !isLive(stored, when)
  const { planCode, status, period, periodStart, periodEnd, autoRenew, cancelledAt, pastDueSince, next } = isOver
    ? lapsed(stored)
    : stored
  const grace = status === 'past_due' ? planUntil(stored, when.graceDays) : undefined
  return {
    status,
    plan: planCode,
    period,
    currentPeriodStart: periodStart.toISOString(),
    currentPeriodEnd: periodEnd.toISOString(),
    autoRenew,
    ...(cancelledAt && { cancelledAt: cancelledAt.toISOString() }),
    ...(pastDueSince && { pastDueSince: pastDueSince.toISOString() }),
    ...(grace && { graceEndsAt: grace.toISOString() }),
    ...(next && { next: { plan: next.planCode, period: next.period } }),
  }
}

/** A change as the drivers give it. */
export interface ChangeRow {
  id: string
  reason: HistoryReason
  previousPlan: string | null
  newPlan: string
  period: SubscriptionChange['period']
  amount: number
  currency: string
  createdAt: string | Date
}

/** The columns of a ChangeRow. */
export const changeColumns = sql`
  id, reason, previous_plan as "previousPlan", new_plan as "newPlan", period, amount, currency,
  created_at as "createdAt"`

export const presentChange = ({ previousPlan, createdAt, ...row }: ChangeRow): SubscriptionChange => ({
  ...row,
  ...(previousPlan !== null && { previousPlan }),
  createdAt: new Date(createdAt).toISOString(),
})
