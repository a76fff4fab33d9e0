import { sql } from 'kysely'
import type { Plan, StaffPlan } from './billing.contract.ts'

/** A plan as the drivers give it. */
export interface PlanRow {
  code: string
  name: string
  tokensPerWindow: string | null
  windowHours: number
  monthlyCredits: string
  priceMonthly: number
  priceYearly: number
  currency: string
  isActive: boolean
  sortOrder: number
  stripePriceMonthlyId: string | null
  stripePriceYearlyId: string | null
}

/** The columns of a PlanRow. */
export const planColumns = sql`
  code, name, tokens_per_window as "tokensPerWindow", window_hours as "windowHours",
  monthly_credits as "monthlyCredits", price_monthly as "priceMonthly", price_yearly as "priceYearly", currency,
  is_active as "isActive", sort_order as "sortOrder", stripe_price_monthly_id as "stripePriceMonthlyId",
  stripe_price_yearly_id as "stripePriceYearlyId"`

/** What anyone may see of a plan. */
export const presentPlan = (row: PlanRow): Plan => ({
  code: row.code,
  name: row.name,
  ...(row.tokensPerWindow !== null && { tokensPerWindow: Number(row.tokensPerWindow) }),
  windowHours: row.windowHours,
  monthlyCredits: Number(row.monthlyCredits),
  priceMonthly: { amount: row.priceMonthly, currency: row.currency },
  priceYearly: { amount: row.priceYearly, currency: row.currency },
})

export const presentStaffPlan = (row: PlanRow): StaffPlan => ({
  ...presentPlan(row),
  isActive: row.isActive,
  sortOrder: row.sortOrder,
  ...(row.stripePriceMonthlyId !== null && { stripePriceMonthlyId: row.stripePriceMonthlyId }),
  ...(row.stripePriceYearlyId !== null && { stripePriceYearlyId: row.stripePriceYearlyId }),
})
