import { sql } from 'kysely'
import type { Payment, StaffPayment } from './payments.contract.ts'

/** A payment as the drivers give it: `bigint` comes as text from one and as a number from the other. */
export interface PaymentRow {
  id: string
  userId: string
  provider: Payment['provider']
  providerPaymentId: string | null
  purpose: Payment['purpose']
  tierId: string | null
  planCode: string | null
  amount: string
  currency: string
  status: Payment['status']
  description: string
  credits: string | null
  photoCount: number | null
  url: string | null
  details: Record<string, unknown> & { instructions?: Record<string, string> }
  createdAt: string | Date
  succeededAt: string | Date | null
  refundedAt: string | Date | null
}

/** The columns of a PaymentRow. */
export const paymentColumns = sql`
  id, user_id as "userId", provider, provider_payment_id as "providerPaymentId", purpose, tier_id as "tierId",
  plan_code as "planCode", amount, currency, status, description, credits, photo_count as "photoCount", url, details,
  created_at as "createdAt", succeeded_at as "succeededAt", refunded_at as "refundedAt"`

/** How long a payment may stay pending; one that is paid later counts all the same. */
export const payableMs = 24 * 3600 * 1000

export const expiryOf = (createdAt: string | Date): Date => new Date(new Date(createdAt).getTime() + payableMs)

export function presentPayment(row: PaymentRow): Payment {
  const { url, details } = row
  return {
    id: row.id,
    provider: row.provider,
    purpose: row.purpose,
    ...(row.tierId !== null && { tierId: row.tierId }),
    ...(row.planCode !== null && { planCode: row.planCode }),
    amount: Number(row.amount),
    currency: row.currency,
    status: row.status,
    description: row.description,
    ...(row.credits !== null && { credits: Number(row.credits) }),
    ...(row.photoCount !== null && { photoCount: row.photoCount }),
    ...(row.status === 'pending' && {
      ...(url !== null && { url }),
      ...(details.instructions && { details: details.instructions }),
      expiresAt: expiryOf(row.createdAt).toISOString(),
    }),
    createdAt: new Date(row.createdAt).toISOString(),
    ...(row.succeededAt !== null && { succeededAt: new Date(row.succeededAt).toISOString() }),
    ...(row.refundedAt !== null && { refundedAt: new Date(row.refundedAt).toISOString() }),
  }
}

export function presentStaffPayment(row: PaymentRow): StaffPayment {
  const { instructions, ...providerDetails } = row.details
  return {
    ...presentPayment(row),
    userId: row.userId,
    ...(row.providerPaymentId !== null && { providerPaymentId: row.providerPaymentId }),
    providerDetails,
  }
}
