import { defineEntity, p } from '@mikro-orm/core'
import { idColumn, timestamp, updatedAtColumn } from '../database/base.entity.ts'
import { User } from '../identity/user.entity.ts'
import { Plan, PricingTier } from './plan.entity.ts'
import { Subscription } from './subscription.entity.ts'

/** A payment by one of the providers, from its beginning on. */
export const Payment = defineEntity({
  name: 'Payment',
  tableName: 'payments',
  properties: {
    ...idColumn,
    user: () => p.manyToOne(User).deleteRule('restrict'),
    provider: p.enum(['stripe', 'tbank', 'stars', 'ton'] as const),
    /** Null until the provider has named it. */
    providerPaymentId: p.text().nullable(),
    purpose: p.enum(['subscription', 'credits', 'photos'] as const),
    tier: () => p.manyToOne(PricingTier).nullable().deleteRule('restrict'),
    plan: () => p.manyToOne(Plan).joinColumn('plan_code').nullable().deleteRule('restrict'),
    subscription: () => p.manyToOne(Subscription).nullable().deleteRule('restrict'),
    /** In minor units of the currency. */
    amount: p.bigint('number'),
    currency: p.text(),
    /** US cents, whatever it is paid with. */
    valueUsd: p.integer().default(0),
    status: p.enum(['pending', 'succeeded', 'failed', 'cancelled', 'refunded'] as const).default('pending'),
    description: p.text(),
    /** What it buys. */
    credits: p.bigint('number').nullable(),
    photoCount: p.integer().nullable(),
    /** Where the payer goes. */
    url: p.text().nullable(),
    /** What the provider alone knows, such as `telegram_charge_id` or `ton_tx_hash`. */
    details: p.json<Record<string, unknown>>().defaultRaw("'{}'"),
    /** When and for what bought photos were used. */
    consumedAt: timestamp().nullable(),
    consumedBy: p.uuid().nullable(),
    succeededAt: timestamp().nullable(),
    refundedAt: timestamp().nullable(),
    createdAt: timestamp(),
    ...updatedAtColumn,
  },
  uniques: [{ name: 'payments_provider_provider_payment_id_unique', properties: ['provider', 'providerPaymentId'] }],
  indexes: [
    { name: 'payments_user', properties: ['user', 'createdAt'] },
    {
      name: 'payments_pending',
      expression: "create index payments_pending on payments (provider, created_at) where status = 'pending'",
    },
  ],
  checks: [{ name: 'payments_amount_check', expression: 'amount >= 0 and value_usd >= 0' }],
})

/** What a provider told: stored by its id before it takes effect, so that it takes effect once. */
export const ProviderEvent = defineEntity({
  name: 'ProviderEvent',
  tableName: 'provider_events',
  properties: {
    provider: p.text().primary(),
    eventId: p.text().primary(),
    type: p.text(),
    payload: p.json<Record<string, unknown>>(),
    receivedAt: timestamp().defaultRaw('clock_timestamp()'),
    /** Set in the transaction of its effect. */
    processedAt: timestamp().nullable(),
  },
  indexes: [
    {
      name: 'provider_events_open',
      expression: 'create index provider_events_open on provider_events (received_at) where processed_at is null',
    },
  ],
})
