import { z } from 'zod'
import * as p from '../kernel/primitives.ts'
import { money } from './billing.contract.ts'

const withdrawalStatus = z.enum(['pending', 'approved', 'rejected', 'completed'])
const applicationStatus = z.enum(['pending', 'approved', 'rejected'])
const reason = p.text(500).refine((value) => value.trim() !== '', 'must not be blank')

const referrals = z
  .object({
    code: z.string(),
    isPartner: z.boolean(),
    /** The share of a payment that is credited: 0.1 is a tenth. */
    commissionRate: z.number(),
    referralsCount: z.int(),
    balance: money,
    totalEarned: money,
  })
  .meta({ id: 'Referrals' })

const earning = z
  .object({
    id: p.id,
    amount: money,
    commissionRate: z.number(),
    status: z.enum(['credited', 'reversed']),
    createdAt: p.timestamp,
  })
  .meta({ id: 'ReferralEarning' })

const withdrawal = z
  .object({
    id: p.id,
    amount: money,
    method: z.enum(['card', 'bank', 'wallet']),
    status: withdrawalStatus,
    reason: z.string().optional(),
    createdAt: p.timestamp,
    processedAt: p.timestamp.optional(),
  })
  .meta({ id: 'Withdrawal' })

/** Where the money is to go; read by the staff who pay it out, and by nobody else. */
const payoutDetails = z
  .strictObject({ account: p.text(200).min(1), holder: p.text(200).optional(), bank: p.text(200).optional() })
  .meta({ id: 'PayoutDetails' })

const staffWithdrawal = withdrawal
  .extend({ userId: p.id, details: payoutDetails, processedBy: p.id.optional() })
  .meta({ id: 'StaffWithdrawal' })

const application = z
  .object({
    id: p.id,
    status: applicationStatus,
    reason: z.string().optional(),
    createdAt: p.timestamp,
    reviewedAt: p.timestamp.optional(),
  })
  .meta({ id: 'PartnerApplication' })

const applicationInput = z.strictObject({
  contactName: p.text(255).min(1),
  contactEmail: z.email().max(254),
  telegramUsername: p.text(64).optional(),
  audienceSize: z.enum(['small', 'medium', 'large']),
  promotionChannels: z.array(p.text(50).min(1)).min(1).max(20),
})

const staffApplication = application
  .extend({ userId: p.id, reviewedBy: p.id.optional(), ...applicationInput.shape })
  .meta({ id: 'StaffPartnerApplication' })

const page = { cursor: p.cursor.optional(), limit: p.pageLimit(100, 20) }
const pageOf = <T extends z.ZodType>(item: T) => z.object({ items: z.array(item), nextCursor: p.nextCursor })

const someId = '0190a5d0-7c3b-7f7e-8b1a-2f6c1d4e9a01'
const at = '2026-03-01T09:00:00.000Z'
const someWithdrawal = {
  id: someId,
  amount: { amount: 2500, currency: 'USD' },
  method: 'bank' as const,
  status: 'pending' as const,
  createdAt: at,
}
const someApplication = {
  contactName: 'Ada Lovelace',
  contactEmail: 'ada@example.org',
  audienceSize: 'medium' as const,
  promotionChannels: ['youtube'],
}

/** Operations of the referral and partner programme, by their names. */
export const referralsContract = {
  'referral:get': {
    summary: 'Your referral code, what it has brought, and what you can withdraw',
    input: p.empty,
    output: referrals,
    example: {
      output: {
        code: 'K7WQ2M9X',
        isPartner: false,
        commissionRate: 0.1,
        referralsCount: 3,
        balance: { amount: 299, currency: 'USD' },
        totalEarned: { amount: 299, currency: 'USD' },
      },
    },
  },
  'referral:earnings': {
    summary: 'Commissions on the payments of people who came by your code, newest first',
    input: z.strictObject(page),
    output: pageOf(earning),
    example: {
      input: { limit: 20 },
      output: {
        items: [
          {
            id: someId,
            amount: { amount: 99, currency: 'USD' },
            commissionRate: 0.1,
            status: 'credited' as const,
            createdAt: at,
          },
        ],
      },
    },
  },
  'withdrawal:request': {
    summary: 'Ask for a part of the balance to be paid out',
    input: z.strictObject({
      amount: z.int().min(1).max(2_147_483_647),
      method: z.enum(['card', 'bank', 'wallet']),
      details: payoutDetails,
    }),
    output: withdrawal,
    errors: ['unprocessable', 'conflict', 'idempotency_conflict'],
    example: {
      input: { amount: 2500, method: 'bank' as const, details: { account: 'DE00 1234', holder: 'Ada Lovelace' } },
      output: someWithdrawal,
    },
  },
  'withdrawal:list': {
    summary: 'Your withdrawals, newest first',
    input: z.strictObject(page),
    output: pageOf(withdrawal),
    example: { input: { limit: 20 }, output: { items: [someWithdrawal] } },
  },
  'partner:apply': {
    summary: 'Apply for the partner programme, with its higher commission',
    input: applicationInput,
    output: application,
    errors: ['conflict'],
    example: { input: someApplication, output: { id: someId, status: 'pending' as const, createdAt: at } },
  },
  'partner:application': {
    summary: 'Your latest application for the partner programme',
    input: p.empty,
    output: application,
    errors: ['not_found'],
    example: { output: { id: someId, status: 'approved' as const, createdAt: at, reviewedAt: at } },
  },
  'staff:withdrawals': {
    summary: 'Withdrawals to look at, oldest first',
    input: z.strictObject({ status: withdrawalStatus.default('pending'), ...page }),
    output: pageOf(staffWithdrawal),
    example: {
      input: { status: 'pending' as const },
      output: { items: [{ ...someWithdrawal, userId: someId, details: { account: 'DE00 1234' } }] },
    },
  },
  'staff:process-withdrawal': {
    summary: 'Approve, reject or complete a withdrawal; a rejected one goes back to the balance',
    input: z
      .strictObject({
        withdrawalId: p.id,
        status: z.enum(['approved', 'rejected', 'completed']),
        reason: reason.optional(),
      })
      .refine(({ status, reason }) => status !== 'rejected' || reason !== undefined, {
        path: ['reason'],
        message: 'is required for a rejection',
      }),
    output: staffWithdrawal,
    errors: ['not_found', 'conflict', 'forbidden'],
    example: {
      input: { withdrawalId: someId, status: 'approved' as const },
      output: { ...someWithdrawal, status: 'approved' as const, userId: someId, details: { account: 'DE00 1234' } },
    },
  },
  'staff:partner-applications': {
    summary: 'Applications to look at, oldest first',
    input: z.strictObject({ status: applicationStatus.default('pending'), ...page }),
    output: pageOf(staffApplication),
    example: {
      input: { status: 'pending' as const },
      output: {
        items: [{ id: someId, userId: someId, status: 'pending' as const, createdAt: at, ...someApplication }],
      },
    },
  },
  'staff:review-partner': {
    summary: 'Approve or reject an application',
    input: z
      .strictObject({ applicationId: p.id, status: z.enum(['approved', 'rejected']), reason: reason.optional() })
      .refine(({ status, reason }) => status !== 'rejected' || reason !== undefined, {
        path: ['reason'],
        message: 'is required for a rejection',
      }),
    output: staffApplication,
    errors: ['not_found', 'conflict', 'forbidden'],
    example: {
      input: { applicationId: someId, status: 'approved' as const },
      output: { id: someId, userId: someId, status: 'approved' as const, createdAt: at, ...someApplication },
    },
  },
} as const

export type Referrals = z.infer<typeof referrals>
export type ReferralEarning = z.infer<typeof earning>
export type Withdrawal = z.infer<typeof withdrawal>
export type StaffWithdrawal = z.infer<typeof staffWithdrawal>
export type PartnerApplication = z.infer<typeof application>
export type StaffPartnerApplication = z.infer<typeof staffApplication>
