import { defineEntity, p } from '@mikro-orm/core'
import { idColumn, timestamp } from '../database/base.entity.ts'
import { User } from '../identity/user.entity.ts'
import { CreditHold } from './ledger.entity.ts'
import { UsageLog } from './usage.entity.ts'

/** What a run may use until it is settled or cancelled: tokens taken from the window, and credits held for the rest. */
export const MeterReservation = defineEntity({
  name: 'MeterReservation',
  tableName: 'meter_reservations',
  properties: {
    ...idColumn,
    user: () => p.manyToOne(User).deleteRule('cascade').index('meter_reservations_user'),
    status: p.enum(['open', 'settled', 'cancelled'] as const).default('open'),
    /** Taken from the window that ends at `windowResetAt`. */
    tokens: p.bigint('number'),
    windowResetAt: timestamp(),
    hold: () => p.manyToOne(CreditHold).nullable().deleteRule('set null'),
    estimatedCost: p.decimal('number').precision(12).scale(4),
    usageLog: () => p.manyToOne(UsageLog).nullable().deleteRule('set null'),
    /** The answer of `settle`, for its repetition. */
    chargedTokens: p.bigint('number').nullable(),
    chargedCredits: p.bigint('number').nullable(),
    expiresAt: timestamp(),
    resolvedAt: timestamp().nullable(),
    createdAt: timestamp(),
  },
  indexes: [
    {
      name: 'meter_reservations_open',
      expression: "create index meter_reservations_open on meter_reservations (expires_at) where status = 'open'",
    },
    {
      name: 'meter_reservations_usage_log',
      expression:
        'create index meter_reservations_usage_log on meter_reservations (usage_log_id) where usage_log_id is not null',
    },
  ],
  checks: [
    {
      name: 'meter_reservations_resolved_check',
      expression:
        "(status = 'open') = (resolved_at is null) and (status = 'settled') = (charged_tokens is not null) and (status = 'settled') = (charged_credits is not null)",
    },
    {
      name: 'meter_reservations_tokens_check',
      expression: 'tokens >= 0 and charged_tokens >= 0 and charged_credits >= 0',
    },
  ],
})
