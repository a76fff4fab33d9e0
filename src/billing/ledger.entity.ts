import { defineEntity, p } from '@mikro-orm/core'
import { createdAtColumn, idColumn, timestamp } from '../database/base.entity.ts'
import { User } from '../identity/user.entity.ts'
import { UsageLog } from './usage.entity.ts'

/**
 * The ledger: every movement of credits, appended by the database function post_credits and never changed. `seq` numbers
 * a user's rows 1, 2, 3 …, and each row's `balanceAfter` is the one before plus its `amount`.
 */
export const CreditTransaction = defineEntity({
  name: 'CreditTransaction',
  tableName: 'credit_transactions',
  properties: {
    ...idColumn,
    user: () => p.manyToOne(User).deleteRule('restrict'),
    seq: p.integer(),
    type: p.text().$type<'allocation' | 'charge' | 'use' | 'refund' | 'expiration' | 'referral' | 'adjustment'>(),
    amount: p.bigint('number'),
    balanceAfter: p.bigint('number'),
    paymentId: p.uuid().nullable(),
    serviceId: p.uuid().nullable(),
    resultId: p.uuid().nullable(),
    usageLog: () => p.manyToOne(UsageLog).nullable().deleteRule('set null'),
    /** Names what was done: the same key never moves credits twice. */
    operationKey: p.text().unique('credit_transactions_operation_key_unique'),
    description: p.text().nullable(),
    /** Never before that of the row before. */
    createdAt: timestamp(),
  },
  uniques: [{ name: 'credit_transactions_user_id_seq_unique', properties: ['user', 'seq'] }],
  indexes: [
    {
      name: 'credit_transactions_payment',
      expression:
        'create index credit_transactions_payment on credit_transactions (payment_id) where payment_id is not null',
    },
    {
      name: 'credit_transactions_usage_log',
      expression:
        'create index credit_transactions_usage_log on credit_transactions (usage_log_id) where usage_log_id is not null',
    },
  ],
  checks: [
    { name: 'credit_transactions_balance_check', expression: 'balance_after >= 0' },
    {
      name: 'credit_transactions_type_check',
      expression:
        "type in ('allocation', 'charge', 'refund', 'referral') and amount > 0 or type in ('use', 'expiration') and amount < 0 or type = 'adjustment' and amount <> 0",
    },
  ],
})

/** Credits set aside for something under way: captured up to `amount` or released, once. */
export const CreditHold = defineEntity({
  name: 'CreditHold',
  tableName: 'credit_holds',
  properties: {
    ...idColumn,
    user: () => p.manyToOne(User).deleteRule('cascade').index('credit_holds_user'),
    amount: p.bigint('number'),
    captured: p.bigint('number').defaultRaw('0'),
    status: p.text().$type<'held' | 'captured' | 'released'>().default('held'),
    operationKey: p.text().unique('credit_holds_operation_key_unique'),
    description: p.text().nullable(),
    /** When a job releases it, unless it was resolved before. */
    expiresAt: timestamp(),
    resolvedAt: timestamp().nullable(),
    createdAt: timestamp(),
  },
  indexes: [
    {
      name: 'credit_holds_open',
      expression: "create index credit_holds_open on credit_holds (expires_at) where status = 'held'",
    },
  ],
  checks: [
    { name: 'credit_holds_amount_check', expression: 'amount > 0 and captured >= 0 and captured <= amount' },
    {
      name: 'credit_holds_status_check',
      expression:
        "status = 'held' and captured = 0 and resolved_at is null or status = 'captured' and captured > 0 and resolved_at is not null or status = 'released' and captured = 0 and resolved_at is not null",
    },
  ],
})

/** The first answer to a request that may be repeated under an `Idempotency-Key`. */
export const IdempotencyKey = defineEntity({
  name: 'IdempotencyKey',
  tableName: 'idempotency_keys',
  properties: {
    user: () => p.manyToOne(User).primary().deleteRule('cascade'),
    operation: p.text().primary(),
    key: p.text().primary(),
    /** SHA-256 of the input. */
    requestHash: p.blob(),
    /** What the request made, such as a payment. */
    subjectId: p.uuid().nullable(),
    /** Null until the request has been answered. */
    response: p.json<unknown>().nullable(),
    /** Until then whoever took the request up is at it. */
    performingUntil: timestamp().nullable(),
    expiresAt: timestamp().index('idempotency_keys_expires'),
    ...createdAtColumn,
  },
})
