import { z } from 'zod'
import * as p from '../kernel/primitives.ts'
import { money } from './billing.contract.ts'

const period = z.enum(['monthly', 'yearly'])
const planCode = p.text(64).min(1)

/** One's subscription, or that there is none. */
export const subscription = z
  .object({
    status: z.enum(['none', 'active', 'trialing', 'past_due', 'unpaid', 'cancelled', 'expired']).meta({
      description:
        '`none`: there never was one. `past_due`: a bill is open, and the plan goes on until `graceEndsAt`. `unpaid`: a ' +
        'bill is open, and the plan is over. `cancelled`, `expired`: it has ended, by choice or for lack of payment.',
    }),
    plan: z.string().meta({ description: 'The plan that it is for; `basic` where there is none.' }),
    period: period.optional(),
    currentPeriodStart: p.timestamp.optional(),
    currentPeriodEnd: p.timestamp.optional(),
    autoRenew: z.boolean().optional().meta({ description: 'False: it ends with `currentPeriodEnd`.' }),
    cancelledAt: p.timestamp.optional().meta({ description: 'When its end was decided.' }),
    pastDueSince: p.timestamp.optional(),
    graceEndsAt: p.timestamp.optional(),
    next: z
      .object({ plan: z.string(), period })
      .optional()
      .meta({ description: 'What it becomes with `currentPeriodEnd`.' }),
  })
  .meta({ id: 'Subscription' })

const change = money
  .extend({
    id: p.id,
    reason: z
      .enum(['initial', 'upgrade', 'downgrade', 'renewal', 'cancellation', 'payment_failed', 'recovery', 'expiry'])
      .meta({
        description:
          '`cancellation`: its end was decided; `expiry`: its plan ended. `recovery`: an open bill was paid, or a ' +
          'cancellation was taken back.',
      }),
    previousPlan: z.string().optional(),
    newPlan: z.string(),
    period,
    amount: z.int().meta({ description: 'What was paid, or could not be, in minor units.' }),
    createdAt: p.timestamp,
  })
  .meta({ id: 'SubscriptionChange' })

const exampleSubscription = {
  status: 'active',
  plan: 'premium_pro',
  period: 'monthly',
  currentPeriodStart: '2026-11-21T14:00:00.000Z',
  currentPeriodEnd: '2026-12-21T14:00:00.000Z',
  autoRenew: true,
} as const

const page = z.object({
  url: z.string().meta({ description: 'A page of the payment provider, to send the person to.' }),
})

/** Operations of subscriptions, by their names. */
export const subscriptionsContract = {
  'billing:checkout': {
    summary: 'Begin a subscription: gives the page on which it is paid',
    input: z.strictObject({ plan: planCode, period }),
    output: page.extend({ sessionId: z.string() }).meta({ id: 'SubscriptionCheckout' }),
    errors: ['not_found', 'conflict', 'idempotency_conflict', 'unprocessable', 'upstream_failed'],
    example: {
      input: { plan: 'premium_pro', period: 'monthly' },
      output: {
        url: 'https://checkout.stripe.com/c/pay/cs_live_a1b2c3',
        sessionId: 'cs_live_a1b2c3',
      },
    },
  },
  'subscription:get': {
    summary: 'Your subscription',
    input: p.empty,
    output: subscription,
    errors: [],
    example: { input: {}, output: exampleSubscription },
  },
  'subscription:cancel': {
    summary: 'Have your subscription end with the period that is paid; at once where its bill is unpaid',
    input: p.empty,
    output: subscription,
    errors: ['not_found', 'unprocessable', 'upstream_failed'],
    example: {
      input: {},
      output: { ...exampleSubscription, autoRenew: false, cancelledAt: '2026-11-30T08:15:00.000Z' },
    },
  },
  'subscription:resume': {
    summary: 'Take back a cancellation, before it has taken effect',
    input: p.empty,
    output: subscription,
    errors: ['not_found', 'unprocessable', 'upstream_failed'],
    example: { input: {}, output: exampleSubscription },
  },
  'subscription:change': {
    summary:
      'Change plan or period: upwards at once, with the difference for the rest of the period charged; downwards when ' +
      'the period ends; to what it is now, to take back a change that is to come',
    input: z.strictObject({ plan: planCode, period }),
    output: subscription,
    errors: [
      ...(['not_found', 'conflict', 'idempotency_conflict'] as const),
      ...(['unprocessable', 'payment_required', 'upstream_failed'] as const),
    ],
    example: {
      input: { plan: 'premium_starter', period: 'monthly' },
      output: { ...exampleSubscription, next: { plan: 'premium_starter', period: 'monthly' } },
    },
  },
  'subscription:history': {
    summary: 'What has become of your subscriptions, the newest first',
    input: z.strictObject({ cursor: p.cursor.optional(), limit: p.pageLimit(100, 20) }),
    output: z.object({ items: z.array(change), nextCursor: p.nextCursor }),
    errors: [],
    example: {
      input: { limit: 1 },
      output: {
        items: [
          {
            id: '0198c2d4-6f1e-7c33-9a55-2f6a3b1c4d5e',
            reason: 'upgrade',
            previousPlan: 'premium_starter',
            newPlan: 'premium_pro',
            period: 'monthly',
            amount: 1421,
            currency: 'USD',
            createdAt: '2026-11-21T14:00:00.000Z',
          },
        ],
      },
    },
  },
  'billing:portal': {
    summary: 'The page on which you see your invoices and change how you pay',
    input: p.empty,
    output: page.meta({ id: 'BillingPortal' }),
    errors: ['not_found', 'unprocessable', 'upstream_failed'],
    example: { input: {}, output: { url: 'https://billing.stripe.com/p/session/live_YWNjdF8x' } },
  },
  'webhook:stripe': {
    summary: "Stripe's events, signed by Stripe",
    input: p.empty,
    output: p.empty,
    errors: ['not_found', 'unauthenticated'],
    example: { input: {}, output: {} },
  },
} as const

export type Subscription = z.infer<typeof subscription>
export type SubscriptionChange = z.infer<typeof change>
export type SubscriptionCheckout = z.infer<(typeof subscriptionsContract)['billing:checkout']['output']>

/** What the service of an operation is given, and gives. */
export type Input<Name extends keyof typeof subscriptionsContract> = z.output<
  (typeof subscriptionsContract)[Name]['input']
>
export type Output<Name extends keyof typeof subscriptionsContract> = z.input<
  (typeof subscriptionsContract)[Name]['output']
>
