import type { BillingPeriod, ProviderSubscription, SubscriptionInvoice, SubscriptionNotes } from '../kernel/ports.ts'

/**
 * What a subscription is to us, from what it is at the provider: pure rules. A state is a function of the object that was
 * read, of the hour, and of the state before alone, so it does not matter in which order events come.
 */

/** A renewal is paid some hours after the period ends, and its webhook may be late: whoever pays is not cut off. */
const renewalSlackMs = 86_400_000

const dayMs = 86_400_000

export type SubscriptionStatus = 'active' | 'trialing' | 'past_due' | 'unpaid' | 'cancelled' | 'expired'

export interface SubscriptionState {
  planCode: string
  status: SubscriptionStatus
  period: BillingPeriod
  periodStart: Date
  /** When the period ends; of one that does not renew, when it ends altogether. */
  periodEnd: Date
  autoRenew: boolean
  pastDueSince: Date | undefined
  /** When somebody decided that it ends. */
  cancelledAt: Date | undefined
  next: { planCode: string; period: BillingPeriod } | undefined
}

export interface Rules {
  at: Date
  graceDays: number
  /** The plan of a price, or else the one that was noted; undefined where neither is known. */
  planOf(priceId: string | undefined, notes: SubscriptionNotes): string | undefined
}

/** Undefined for a subscription that has not begun, and for one of a plan that we do not know. */
export function stateOf(
  read: ProviderSubscription,
  before: SubscriptionState | undefined,
  rules: Rules,
): SubscriptionState | undefined {
  const planCode = rules.planOf(read.priceId, read.notes)
  if (read.status === 'incomplete' || planCode === undefined) return undefined
  const { endsAt, periodEnd } = read
  const pastDueSince = pastDue(read, before, rules)
  const nextPlan = read.next && rules.planOf(read.next.priceId, read.next.notes)
  return {
    planCode,
    status: statusOf(read, pastDueSince, rules),
    period: read.period,
    periodStart: read.periodStart,
    periodEnd: endsAt && endsAt < periodEnd ? endsAt : periodEnd,
    autoRenew: endsAt === undefined || endsAt > periodEnd,
    pastDueSince,
    cancelledAt: read.cancelledAt,
    next: read.next && nextPlan !== undefined ? { planCode: nextPlan, period: read.next.period } : undefined,
  }
}

function statusOf(read: ProviderSubscription, pastDueSince: Date | undefined, rules: Rules): SubscriptionStatus {
  if (read.status === 'ended') return read.cancelledAt ? 'cancelled' : 'expired'
  if (read.status === 'past_due') return pastDueSince && isInGrace(pastDueSince, rules) ? 'past_due' : 'unpaid'
  return read.status as 'active' | 'trialing' | 'unpaid'
}

/** Since when a bill is open; the provider tells only that one is. */
function pastDue(read: ProviderSubscription, before: SubscriptionState | undefined, { at }: Rules): Date | undefined {
  if (read.status !== 'past_due' && read.status !== 'unpaid') return undefined
  const bill = read.latestInvoice
  return before?.pastDueSince ?? (bill?.status === 'open' ? bill.createdAt : at)
}

const isInGrace = (since: Date, { at, graceDays }: Pick<Rules, 'at' | 'graceDays'>): boolean =>
  at.getTime() < since.getTime() + graceDays * dayMs

/** Until when it gives its plan; undefined where it gives none. */
export function planUntil(state: SubscriptionState, graceDays: number): Date | undefined {
  const { status, periodEnd, autoRenew, pastDueSince } = state
  if (status === 'active' || status === 'trialing')
    return autoRenew ? new Date(periodEnd.getTime() + renewalSlackMs) : periodEnd
  if (status === 'past_due' && pastDueSince) return new Date(pastDueSince.getTime() + graceDays * dayMs)
  return undefined
}

/** Until when it is paid for: the plan's monthly credits are given for months that begin before. */
export const paidUntil = ({ status, periodStart, periodEnd }: SubscriptionState): Date =>
  status === 'past_due' ? periodStart : periodEnd

/** Whether it gives a plan, as long as its time is not over. */
export const givesPlan = ({ status }: Pick<SubscriptionState, 'status'>): boolean =>
  ['active', 'trialing', 'past_due'].includes(status)

/** Whether it gives a plan at that moment. */
export function isLive(state: SubscriptionState, { at, graceDays }: Pick<Rules, 'at' | 'graceDays'>): boolean {
  const until = planUntil(state, graceDays)
  return until !== undefined && until > at
}

/** What becomes of one whose time is over where the provider cannot be asked. */
export function lapsed(state: SubscriptionState): SubscriptionState {
  const ended = state.cancelledAt ? 'cancelled' : 'expired'
  return { ...state, status: state.status === 'past_due' ? 'unpaid' : ended, next: undefined }
}

export type HistoryReason =
  | 'initial'
  | 'upgrade'
  | 'downgrade'
  | 'renewal'
  | 'cancellation'
  | 'payment_failed'
  | 'recovery'
  | 'expiry'

export interface HistoryEntry {
  reason: HistoryReason
  previousPlan: string | undefined
  newPlan: string
  period: BillingPeriod
  amount: number
  currency: string | undefined
  transferId: string | undefined
  /** Names the change among those of its subscription: the same is written once. */
  key: string
  at: Date
}

/** The plan of who pays for none. */
const freePlan = 'basic'

interface Reading {
  at: Date
  createdAt: Date
  /** The latest bill. */
  bill: SubscriptionInvoice | undefined
  isHigher(plan: string, than: string): boolean
}

/** Which changes lead from one state to the next. */
export function changesBetween(
  before: SubscriptionState | undefined,
  after: SubscriptionState,
  reading: Reading,
): HistoryEntry[] {
  const { planCode, period, pastDueSince, periodStart } = after
  const { at, bill } = reading
  const entry = (reason: HistoryReason, key: Date, more: Partial<HistoryEntry> = {}): HistoryEntry => {
    const standard = { previousPlan: planCode, newPlan: planCode, period, amount: 0, transferId: undefined, at }
    return { ...standard, currency: bill?.currency, reason, key: `${reason}:${key.toISOString()}`, ...more }
  }
  const changes: (HistoryEntry | false | undefined)[] = [
    !before && entry('initial', at, { key: 'initial', previousPlan: undefined, at: reading.createdAt }),
    before && changeOfPlan(before, after, reading, entry),
    ...changesOfMind(before, after, entry),
    pastDueSince &&
      !before?.pastDueSince &&
      entry('payment_failed', pastDueSince, { amount: bill?.status === 'open' ? bill.amountDue : 0 }),
    (!before || givesPlan(before)) &&
      !givesPlan(after) &&
      entry('expiry', periodStart, { newPlan: freePlan, ...(after.status !== 'unpaid' && { at: after.periodEnd }) }),
    before &&
      (before.pastDueSince || !givesPlan(before)) &&
      !pastDueSince &&
      givesPlan(after) &&
      entry('recovery', before.pastDueSince ?? before.periodEnd),
  ]
  return changes.filter((change) => change !== false && change !== undefined)
}

/** Whether a change gives more, and is made at once: a higher plan, or a year of the same in place of a month. */
export const isUpwards = (
  from: Pick<SubscriptionState, 'planCode' | 'period'>,
  to: Pick<SubscriptionState, 'planCode' | 'period'>,
  isHigher: (plan: string, than: string) => boolean,
): boolean =>
  from.planCode === to.planCode
    ? from.period === 'monthly' && to.period === 'yearly'
    : isHigher(to.planCode, from.planCode)

type NewEntry = (reason: HistoryReason, key: Date, more?: Partial<HistoryEntry>) => HistoryEntry

function changeOfPlan(
  before: SubscriptionState,
  { planCode, period, periodStart }: SubscriptionState,
  { bill, isHigher }: Reading,
  entry: NewEntry,
): HistoryEntry | undefined {
  if (before.planCode === planCode && before.period === period) return undefined
  const upwards = isUpwards(before, { planCode, period }, isHigher)
  const reason = upwards ? 'upgrade' : 'downgrade'
  const paid = upwards && bill?.reason === 'change' && bill.status === 'paid' && bill.notes.plan === planCode
  return entry(reason, periodStart, {
    key: `${reason}:${periodStart.toISOString()}:${planCode}:${period}`,
    previousPlan: before.planCode,
    ...(paid && { amount: bill.amountPaid, transferId: bill.transferId }),
  })
}

/** That it is to end, and that it is to go on after all. */
function changesOfMind(
  before: SubscriptionState | undefined,
  after: SubscriptionState,
  entry: NewEntry,
): (HistoryEntry | undefined)[] {
  const { cancelledAt } = after
  const earlier = before?.cancelledAt
  const cancelled = cancelledAt && cancelledAt.getTime() !== earlier?.getTime()
  return [
    cancelled ? entry('cancellation', cancelledAt, { at: cancelledAt }) : undefined,
    earlier && !cancelledAt && givesPlan(after) ? entry('recovery', earlier) : undefined,
  ]
}

/** What a paid bill adds: the beginning with what it cost, and each renewal. */
export function changeByInvoice(bill: SubscriptionInvoice, planCode: string): HistoryEntry | undefined {
  if (bill.status !== 'paid' || (bill.reason !== 'first' && bill.reason !== 'renewal')) return undefined
  const first = bill.reason === 'first'
  return {
    reason: first ? 'initial' : 'renewal',
    previousPlan: first ? undefined : planCode,
    newPlan: planCode,
    period: bill.period,
    amount: bill.amountPaid,
    currency: bill.currency,
    transferId: bill.transferId,
    key: first ? 'initial' : `renewal:${bill.periodStart.toISOString()}`,
    at: bill.paidAt ?? bill.createdAt,
  }
}
