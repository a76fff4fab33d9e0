import { z } from 'zod'
import * as p from '../kernel/primitives.ts'

/** An amount of money in minor units, such as cents. */
export const money = z.object({ amount: z.int(), currency: z.string().length(3) }).meta({ id: 'Money' })

const period = z.object({
  creditsAllocated: z.int().meta({ description: 'What the plan gives for this month.' }),
  creditsUsed: z.int().meta({ description: 'How many of these are used; the rest expires with the month.' }),
  start: p.timestamp,
  end: p.timestamp,
})

/** The part of a wallet that is about credits. */
export const credits = z
  .object({
    credits: z.int(),
    held: z.int().meta({ description: 'Set aside for what is under way; part of `credits`.' }),
    available: z.int(),
    lifetimeCredits: z.int().meta({ description: 'All that was ever allocated, bought and earned.' }),
    period: period.optional().meta({ description: 'The present month of a paid plan.' }),
  })
  .meta({ id: 'Credits' })

/** A user's plan, credits and token window. */
export const wallet = credits
  .extend({
    plan: z.string(),
    planUntil: p.timestamp.optional(),
    overageEnabled: z.boolean().meta({ description: 'Whether runs beyond the quota are paid with credits.' }),
    tokens: z.object({
      limit: z.int().optional().meta({ description: 'Tokens per window; absent: without a limit.' }),
      used: z.int(),
      remaining: z.int().optional(),
      resetAt: p.timestamp.optional().meta({ description: 'When the window ends; absent: the next run begins one.' }),
    }),
  })
  .meta({ id: 'Wallet' })

const transactionType = z.enum(['allocation', 'charge', 'use', 'refund', 'expiration', 'referral', 'adjustment'])

/** A row of the ledger. */
export const creditTransaction = z
  .object({
    id: p.id,
    seq: p.position.meta({ description: 'Numbers your rows 1, 2, 3 … without a gap.' }),
    type: transactionType,
    amount: z.int(),
    balanceAfter: z.int(),
    description: z.string().optional(),
    createdAt: p.timestamp,
  })
  .meta({ id: 'CreditTransaction' })

export const plan = z
  .object({
    code: z.string(),
    name: z.string(),
    tokensPerWindow: z.int().optional().meta({ description: 'Absent: without a limit.' }),
    windowHours: z.int(),
    monthlyCredits: z.int(),
    priceMonthly: money,
    priceYearly: money,
  })
  .meta({ id: 'Plan' })

/** A plan as those see it who look after it. */
const staffPlan = plan
  .extend({
    isActive: z.boolean().meta({ description: 'Whether it can be bought; who has it keeps it.' }),
    sortOrder: z.int(),
    stripePriceMonthlyId: z.string().optional(),
    stripePriceYearlyId: z.string().optional(),
  })
  .meta({ id: 'StaffPlan' })

const usageGroup = z.enum(['day', 'model', 'conversation'])

const usageFigures = {
  runs: z.int(),
  inputTokens: z.int(),
  outputTokens: z.int(),
  credits: z.int(),
}

const usageItem = z
  .object({
    day: z.iso.date().optional(),
    modelId: z.string().optional(),
    conversationId: p.id.optional().meta({ description: 'Absent under `conversation`: runs outside of any.' }),
    ...usageFigures,
  })
  .meta({ id: 'UsageItem' })

const monthlyUsage = z
  .object({
    year: z.int(),
    month: z.int(),
    totalRuns: z.int(),
    totalModelsRequested: z.int(),
    totalModelsSuccessful: z.int(),
    totalModelsFailed: z.int(),
    totalInputTokens: z.int(),
    totalOutputTokens: z.int(),
    totalEffectiveTokens: z.int(),
    avgInputTokens: z.number(),
    avgOutputTokens: z.number(),
    avgOutputRatio: z.number(),
    totalCreditsUsed: z.int(),
    avgCreditsPerRun: z.number(),
    totalActualCost: z.number().meta({ description: 'US dollars.' }),
    totalEstimatedCost: z.number().meta({ description: 'US dollars.' }),
    modelBreakdown: z.record(
      z.string(),
      z.object({
        runs: z.int(),
        failed: z.int(),
        inputTokens: z.int(),
        outputTokens: z.int(),
        credits: z.int(),
        cost: z.number().meta({ description: 'US dollars.' }),
      }),
    ),
  })
  .meta({ id: 'MonthlyUsage' })

const day = z.iso.date().refine((value) => /^(20|21)/.test(value), 'must lie in the years 2000 to 2199')
const figure = z.int().min(0).max(1_000_000_000_000)
const cents = z.int().min(0).max(2_000_000_000)
const reason = p.text(500).refine((value) => value.trim() !== '', 'must not be blank')
const stripePrice = z.string().regex(/^price_\w{1,200}$/, 'must be the id of a price at Stripe')

const exampleUser = '0198c0de-7000-7000-8000-000000000001'

const exampleCredits = {
  credits: 6200,
  held: 40,
  available: 6160,
  lifetimeCredits: 8000,
  period: {
    creditsAllocated: 5000,
    creditsUsed: 800,
    start: '2026-11-03T10:00:00.000Z',
    end: '2026-12-03T10:00:00.000Z',
  },
}

const exampleWallet = {
  ...exampleCredits,
  plan: 'premium_pro',
  planUntil: '2026-12-06T10:00:00.000Z',
  overageEnabled: true,
  tokens: { limit: 2_000_000, used: 150_000, remaining: 1_850_000, resetAt: '2026-11-21T18:00:00.000Z' },
}

const exampleTransaction = {
  id: '0198c0de-7000-7000-8000-00000000000a',
  seq: 12,
  type: 'adjustment' as const,
  amount: 500,
  balanceAfter: 6200,
  description: 'For the outage of Tuesday',
  createdAt: '2026-11-21T12:00:00.000Z',
}

const examplePlan = {
  code: 'premium_pro',
  name: 'Premium Pro',
  tokensPerWindow: 2_000_000,
  windowHours: 6,
  monthlyCredits: 5000,
  priceMonthly: { amount: 2999, currency: 'USD' },
  priceYearly: { amount: 29_990, currency: 'USD' },
}

const exampleStaffPlan = { ...examplePlan, isActive: true, sortOrder: 3 }

const exampleFigures = { runs: 12, inputTokens: 9000, outputTokens: 15_000, credits: 24 }

/** Operations of wallets, credits, plans and usage, by their names. */
export const billingContract = {
  'wallet:get': {
    summary: 'Your plan, credits and token window',
    input: p.empty,
    output: wallet,
    errors: ['not_found'],
    example: { input: {}, output: exampleWallet },
  },
  'wallet:update': {
    summary: 'Say whether runs beyond the quota are paid with credits',
    input: z.strictObject({ overageEnabled: z.boolean() }),
    output: wallet,
    errors: ['not_found'],
    example: { input: { overageEnabled: true }, output: exampleWallet },
  },
  'credits:get': {
    summary: 'Your credits',
    input: p.empty,
    output: credits,
    errors: ['not_found'],
    example: { input: {}, output: exampleCredits },
  },
  'credits:transactions': {
    summary: 'Your ledger: every movement of your credits, newest first',
    input: z.strictObject({ cursor: p.cursor.optional(), limit: p.pageLimit(200, 50) }),
    output: z.object({ items: z.array(creditTransaction), nextCursor: p.nextCursor }),
    example: { input: { limit: 1 }, output: { items: [exampleTransaction], nextCursor: 'WzEyXQ' } },
  },
  'credits:explain': {
    summary: 'The sums of your ledger that make the balance at a moment; now, unless given',
    input: z.strictObject({ at: p.givenTime.optional() }),
    output: z.object({
      at: p.timestamp,
      balance: z.int(),
      lines: z.array(z.object({ type: transactionType, count: z.int(), amount: z.int() })),
      lastTransaction: creditTransaction.optional(),
    }),
    example: {
      input: { at: '2026-11-21T12:00:00.000Z' },
      output: {
        at: '2026-11-21T12:00:00.000Z',
        balance: 6200,
        lines: [
          { type: 'adjustment', count: 1, amount: 500 },
          { type: 'allocation', count: 2, amount: 6500 },
          { type: 'use', count: 9, amount: -800 },
        ],
        lastTransaction: exampleTransaction,
      },
    },
  },
  'plan:list': {
    summary: 'The plans that can be had',
    input: p.empty,
    output: z.object({ items: z.array(plan) }),
    example: { input: {}, output: { items: [examplePlan] } },
  },
  'usage:get': {
    summary:
      'Your runs by day, model or conversation, the last 30 days unless given; days are those of your time zone; of models and conversations the 200 with the most tokens',
    input: z.strictObject({ from: day.optional(), to: day.optional(), groupBy: usageGroup.default('day') }),
    output: z.object({
      from: z.iso.date(),
      to: z.iso.date(),
      timezone: z.string(),
      groupBy: usageGroup,
      items: z.array(usageItem),
      total: z.object(usageFigures),
    }),
    example: {
      input: { from: '2026-11-01', to: '2026-11-21', groupBy: 'model' },
      output: {
        from: '2026-11-01',
        to: '2026-11-21',
        timezone: 'Asia/Seoul',
        groupBy: 'model',
        items: [{ modelId: 'gpt-4o', ...exampleFigures }],
        total: exampleFigures,
      },
    },
  },
  'staff:plans': {
    summary: 'All plans, also those that cannot be bought',
    input: p.empty,
    output: z.object({ items: z.array(staffPlan) }),
    errors: ['forbidden'],
    example: { input: {}, output: { items: [exampleStaffPlan] } },
  },
  'staff:update-plan': {
    summary: 'Change a plan; null for `tokensPerWindow` is no limit',
    input: z
      .strictObject({
        code: p.text(64),
        name: p.text(64).min(1).optional(),
        tokensPerWindow: figure.nullable().optional(),
        windowHours: z.int().min(1).max(744).optional(),
        monthlyCredits: figure.optional(),
        priceMonthly: cents.optional(),
        priceYearly: cents.optional(),
        stripePriceMonthlyId: stripePrice.nullable().optional(),
        stripePriceYearlyId: stripePrice.nullable().optional(),
        isActive: z.boolean().optional(),
        sortOrder: z.int().min(0).max(1000).optional(),
      })
      .refine((input) => Object.keys(input).length > 1, 'give at least one field to change'),
    output: staffPlan,
    errors: ['forbidden', 'not_found', 'unprocessable'],
    example: { input: { code: 'premium_pro', priceMonthly: 2999, monthlyCredits: 5000 }, output: exampleStaffPlan },
  },
  'staff:adjust-credits': {
    summary: 'Give a user credits or take some away; the same `Idempotency-Key` does it once',
    input: z.strictObject({
      userId: p.id,
      amount: z
        .int()
        .min(-1_000_000_000)
        .max(1_000_000_000)
        .refine((value) => value !== 0, 'must not be 0'),
      reason,
    }),
    output: creditTransaction,
    errors: ['forbidden', 'not_found', 'insufficient_credits', 'conflict', 'idempotency_conflict'],
    example: {
      input: { userId: exampleUser, amount: 500, reason: 'For the outage of Tuesday' },
      output: exampleTransaction,
    },
  },
  'staff:usage-monthly': {
    summary: 'All usage by month (UTC), newest first',
    input: z.strictObject({ cursor: p.cursor.optional(), limit: p.pageLimit(120, 24) }),
    output: z.object({ items: z.array(monthlyUsage), nextCursor: p.nextCursor }),
    errors: ['forbidden'],
    example: {
      input: { limit: 1 },
      output: {
        items: [
          {
            year: 2026,
            month: 10,
            totalRuns: 2,
            totalModelsRequested: 3,
            totalModelsSuccessful: 2,
            totalModelsFailed: 1,
            totalInputTokens: 3000,
            totalOutputTokens: 6000,
            totalEffectiveTokens: 18_000,
            avgInputTokens: 1500,
            avgOutputTokens: 3000,
            avgOutputRatio: 2,
            totalCreditsUsed: 4,
            avgCreditsPerRun: 2,
            totalActualCost: 0.0675,
            totalEstimatedCost: 0.12,
            modelBreakdown: {
              'gpt-4o': { runs: 3, failed: 1, inputTokens: 3000, outputTokens: 6000, credits: 4, cost: 0.0675 },
            },
          },
        ],
        nextCursor: 'WzIwMjYsMTBd',
      },
    },
  },
} as const

export const billingEvents = {
  'wallet:changed': { summary: 'Your plan, credits or token window have changed', payload: wallet },
} as const

export type Wallet = z.infer<typeof wallet>
export type Credits = z.infer<typeof credits>
export type CreditTransaction = z.infer<typeof creditTransaction>
export type Plan = z.infer<typeof plan>
export type StaffPlan = z.infer<typeof staffPlan>
export type MonthlyUsage = z.infer<typeof monthlyUsage>
export type UsageItem = z.infer<typeof usageItem>
export type UsageReport = z.infer<(typeof billingContract)['usage:get']['output']>
export type Money = z.infer<typeof money>
export type BillingEvent<K extends keyof typeof billingEvents> = z.infer<(typeof billingEvents)[K]['payload']>

/** What the service of an operation is given, and gives. */
export type Input<Name extends keyof typeof billingContract> = z.output<(typeof billingContract)[Name]['input']>
export type Output<Name extends keyof typeof billingContract> = z.input<(typeof billingContract)[Name]['output']>
