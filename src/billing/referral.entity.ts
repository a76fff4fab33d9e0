import { defineEntity, p } from '@mikro-orm/core'
import { createdAtColumn, idColumn, timestamp, updatedAtColumn } from '../database/base.entity.ts'
import { User } from '../identity/user.entity.ts'
import { Payment } from './payment.entity.ts'

const rate = () => p.decimal('number').precision(3).scale(2)

/** A user as one who brings others: the code, and what it has earned in minor units. */
export const ReferralAccount = defineEntity({
  name: 'ReferralAccount',
  tableName: 'referral_accounts',
  properties: {
    user: () => p.manyToOne(User).primary().deleteRule('cascade').updateRule('no action'),
    code: p.text().unique('referral_accounts_code_unique'),
    isPartner: p.boolean().default(false),
    /** The part of a payment's value that it earns. */
    commissionRate: rate().default(0.1),
    partnerApprovedAt: timestamp().nullable(),
    referralsCount: p.integer().default(0),
    balance: p.integer().default(0),
    totalEarned: p.integer().default(0),
    currency: p.text().default('USD'),
    ...createdAtColumn,
    ...updatedAtColumn,
  },
  checks: [{ name: 'referral_accounts_rate_check', expression: 'commission_rate >= 0 and commission_rate <= 1' }],
})

/** What a payment of a referred user earned its referrer; reversed when the payment is refunded. */
export const ReferralEarning = defineEntity({
  name: 'ReferralEarning',
  tableName: 'referral_earnings',
  properties: {
    ...idColumn,
    referrer: () => p.manyToOne(User).deleteRule('restrict'),
    referredUser: () => p.manyToOne(User).nullable().deleteRule('set null'),
    payment: () => p.manyToOne(Payment).unique('referral_earnings_payment_id_unique').deleteRule('restrict'),
    amount: p.integer(),
    currency: p.text().default('USD'),
    commissionRate: rate(),
    status: p.enum(['credited', 'reversed'] as const).default('credited'),
    reversedAt: timestamp().nullable(),
    createdAt: timestamp(),
  },
  indexes: [{ name: 'referral_earnings_referrer', properties: ['referrer', 'createdAt'] }],
})

/** A wish to be paid out, and what became of it. */
export const WithdrawalRequest = defineEntity({
  name: 'WithdrawalRequest',
  tableName: 'withdrawal_requests',
  properties: {
    ...idColumn,
    user: () => p.manyToOne(User).deleteRule('restrict'),
    amount: p.integer(),
    currency: p.text().default('USD'),
    method: p.enum(['card', 'bank', 'wallet'] as const),
    /** Where to pay. */
    details: p.json<Record<string, unknown>>(),
    status: p.enum(['pending', 'approved', 'rejected', 'completed'] as const).default('pending'),
    reason: p.text().nullable(),
    processedBy: () => p.manyToOne(User).joinColumn('processed_by').nullable().deleteRule('set null'),
    processedAt: timestamp().nullable(),
    createdAt: timestamp(),
  },
  indexes: [
    { name: 'withdrawal_requests_user', properties: ['user', 'createdAt'] },
    { name: 'withdrawal_requests_status', properties: ['status', 'createdAt'] },
  ],
  checks: [{ name: 'withdrawal_requests_amount_check', expression: 'amount > 0' }],
})

/** Someone who asks to become a partner; of each user at most one waits for a decision. */
export const PartnerApplication = defineEntity({
  name: 'PartnerApplication',
  tableName: 'partner_applications',
  properties: {
    ...idColumn,
    user: () => p.manyToOne(User).deleteRule('cascade'),
    contactName: p.text(),
    contactEmail: p.text(),
    telegramUsername: p.text().nullable(),
    audienceSize: p.enum(['small', 'medium', 'large'] as const),
    promotionChannels: p.array(),
    status: p.enum(['pending', 'approved', 'rejected'] as const).default('pending'),
    reason: p.text().nullable(),
    reviewedBy: () => p.manyToOne(User).joinColumn('reviewed_by').nullable().deleteRule('set null'),
    reviewedAt: timestamp().nullable(),
    createdAt: timestamp(),
  },
  indexes: [{ name: 'partner_applications_status', properties: ['status', 'createdAt'] }],
  uniques: [
    {
      name: 'partner_applications_pending_unique',
      expression:
        "create unique index partner_applications_pending_unique on partner_applications (user_id) where status = 'pending'",
    },
  ],
})
