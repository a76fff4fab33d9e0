import { defineEntity, p } from '@mikro-orm/core'
import { createdAtColumn, idColumn, timestamp, updatedAtColumn } from '../database/base.entity.ts'
import { User } from '../identity/user.entity.ts'
import { Plan } from './plan.entity.ts'

/** A subscription at Stripe, as its object there was when it was last read. */
export const Subscription = defineEntity({
  name: 'Subscription',
  tableName: 'subscriptions',
  properties: {
    ...idColumn,
    user: () => p.manyToOne(User).deleteRule('restrict').index('subscriptions_user'),
    plan: () => p.manyToOne(Plan).joinColumn('plan_code').deleteRule('restrict'),
    status: p.enum(['active', 'trialing', 'past_due', 'unpaid', 'cancelled', 'expired'] as const),
    period: p.enum(['monthly', 'yearly'] as const),
    stripeSubscriptionId: p.text().unique('subscriptions_stripe_subscription_id_unique'),
    currentPeriodStart: timestamp(),
    currentPeriodEnd: timestamp(),
    autoRenew: p.boolean().default(true),
    pastDueSince: timestamp().nullable(),
    cancelledAt: timestamp().nullable(),
    /** What it becomes when the period ends, where that is something else. */
    nextPlan: () => p.manyToOne(Plan).joinColumn('next_plan_code').nullable().deleteRule('restrict'),
    nextPeriod: p.enum(['monthly', 'yearly'] as const).nullable(),
    /** When the object was read: what was read earlier and arrives later changes nothing. */
    readAt: timestamp(),
    ...createdAtColumn,
    ...updatedAtColumn,
  },
})

/** Each change of a subscription with its reason; appended, never changed. */
export const SubscriptionHistory = defineEntity({
  name: 'SubscriptionHistory',
  tableName: 'subscription_history',
  properties: {
    ...idColumn,
    user: () => p.manyToOne(User).deleteRule('restrict'),
    subscription: () => p.manyToOne(Subscription).deleteRule('restrict'),
    previousPlan: p.text().nullable(),
    newPlan: p.text(),
    period: p.text().$type<'monthly' | 'yearly'>(),
    /** What was paid, in minor units. */
    amount: p.integer().default(0),
    currency: p.text(),
    stripePaymentId: p.text().nullable(),
    reason: p.enum([
      'initial',
      'upgrade',
      'downgrade',
      'renewal',
      'cancellation',
      'payment_failed',
      'recovery',
      'expiry',
    ] as const),
    /** Names the change: the same key is written once. */
    operationKey: p.text().unique('subscription_history_operation_key_unique'),
    createdAt: timestamp(),
  },
  indexes: [{ name: 'subscription_history_user', properties: ['user', 'createdAt'] }],
})
