import type { Plan, Subscription } from '../../../src/client/index.ts'

export interface Offer {
  plan: string
  period: 'monthly' | 'yearly'
}

/** Whether something may still come of it: a renewal, or the payment of its open bill. */
export const isOngoing = ({ status }: Subscription): boolean =>
  status === 'active' || status === 'trialing' || status === 'past_due' || status === 'unpaid'

/** Whether a change takes effect at once, for the difference: to a dearer plan, or from a month to a year of the same. */
export function isUpwards(plans: readonly Plan[], from: Offer, to: Offer): boolean {
  if (from.plan === to.plan) return from.period === 'monthly' && to.period === 'yearly'
  const priceOf = (code: string): number => plans.find((plan) => plan.code === code)?.priceMonthly.amount ?? 0
  return priceOf(to.plan) > priceOf(from.plan)
}
