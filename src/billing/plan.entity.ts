import { defineEntity, p } from '@mikro-orm/core'
import { createdAtColumn, updatedAtColumn } from '../database/base.entity.ts'

/** A plan: how many tokens it gives per window, how many credits per month, and what it costs. */
export const Plan = defineEntity({
  name: 'Plan',
  tableName: 'plans',
  properties: {
    code: p.text().primary(),
    name: p.text(),
    /** Null: without a limit. */
    tokensPerWindow: p.bigint('number').nullable(),
    windowHours: p.integer().default(6),
    monthlyCredits: p.bigint('number').defaultRaw('0'),
    /** In minor units of the currency. */
    priceMonthly: p.integer(),
    priceYearly: p.integer(),
    currency: p.text().default('USD'),
    stripePriceMonthlyId: p.text().nullable(),
    stripePriceYearlyId: p.text().nullable(),
    /** Whether it can be bought; who has it keeps it. */
    isActive: p.boolean().default(true),
    sortOrder: p.integer().default(0),
    ...createdAtColumn,
    ...updatedAtColumn,
  },
  checks: [
    {
      name: 'plans_figures_check',
      expression:
        'tokens_per_window >= 0 and window_hours > 0 and monthly_credits >= 0 and price_monthly >= 0 and price_yearly >= 0',
    },
  ],
})

/** What can be bought once: a pack of credits or of photos, at a price for each provider. */
export const PricingTier = defineEntity({
  name: 'PricingTier',
  tableName: 'pricing_tiers',
  properties: {
    id: p.text().primary(),
    kind: p.text().$type<'credits' | 'photos'>(),
    name: p.text(),
    credits: p.bigint('number').nullable(),
    photoCount: p.integer().nullable(),
    /** US cents. */
    priceUsd: p.integer(),
    /** Kopecks; null: not sold for roubles. */
    priceRub: p.integer().nullable(),
    /** Telegram Stars. */
    priceStars: p.integer().nullable(),
    /** 10⁻⁹ TON. */
    priceNanoton: p.bigint('number').nullable(),
    isPopular: p.boolean().default(false),
    isActive: p.boolean().default(true),
    sortOrder: p.integer().default(0),
    ...createdAtColumn,
    ...updatedAtColumn,
  },
  checks: [
    {
      name: 'pricing_tiers_kind_check',
      expression:
        "kind = 'credits' and coalesce(credits, 0) > 0 and photo_count is null or kind = 'photos' and coalesce(photo_count, 0) > 0 and credits is null",
    },
    {
      name: 'pricing_tiers_price_check',
      expression: 'price_usd > 0 and price_rub > 0 and price_stars > 0 and price_nanoton > 0',
    },
  ],
})

/** A language model that can be asked, and what its provider charges for it. */
export const AiModel = defineEntity({
  name: 'AiModel',
  tableName: 'ai_models',
  properties: {
    /** As the provider calls it, such as `gpt-4o`. */
    id: p.text().primary(),
    provider: p.text(),
    label: p.text(),
    /** Tokens. */
    contextWindow: p.integer(),
    /** US dollars per million tokens. */
    inputPrice: p.decimal('number').precision(12).scale(4),
    outputPrice: p.decimal('number').precision(12).scale(4),
    isActive: p.boolean().default(true),
    sortOrder: p.integer().default(0),
    ...createdAtColumn,
    ...updatedAtColumn,
  },
  checks: [
    {
      name: 'ai_models_figures_check',
      expression: 'context_window > 0 and input_price >= 0 and output_price >= 0',
    },
  ],
})
