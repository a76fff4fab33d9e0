import type { PaymentCurrency, PaymentReport } from '../kernel/payment-ports.ts'

export type PaymentStatus = 'pending' | 'succeeded' | 'failed' | 'cancelled' | 'refunded'

/** Of a payment, what decides about a report. */
export interface PaymentState {
  status: PaymentStatus
  amount: number
  currency: string
  providerPaymentId: string | null
  /** Which of the provider's charges paid it, once that is known. */
  chargeId: string | undefined
}

/**
 * What a report does to a payment: it moves to the reported state; only details are kept; nothing; or it is paid once
 * more by another charge, or paid with something else than was asked for, both of which need a person.
 */
export type Verdict = 'move' | 'note' | 'ignore' | 'surplus' | 'mismatch'

/** Tells one charge from another. */
export const chargeOf = ({ chargeId, providerPaymentId }: PaymentReport): string | undefined =>
  chargeId ?? providerPaymentId

/**
 * States only move forward: pending → succeeded, failed or cancelled; failed or cancelled → succeeded, where the money came
 * after all; succeeded → refunded. So reports may come in any order, and any number of times.
 */
export function judge(payment: PaymentState, report: PaymentReport): Verdict {
  const { status, providerPaymentId, chargeId } = payment
  const charge = chargeOf(report)
  /** About another attempt of the provider at the same order, such as one whose answer never reached us. */
  const isOfOtherAttempt =
    report.providerPaymentId !== undefined &&
    providerPaymentId !== null &&
    providerPaymentId !== report.providerPaymentId
  const isOfOtherCharge = charge !== undefined && chargeId !== undefined && charge !== chargeId
  const isSettled = status === 'succeeded' || status === 'refunded'

  switch (report.outcome) {
    case 'noted':
      return isOfOtherAttempt ? 'ignore' : 'note'
    case 'failed':
    case 'cancelled':
      return status === 'pending' && !isOfOtherAttempt ? 'move' : 'ignore'
    case 'succeeded':
      if (!isDue(payment, report)) return 'mismatch'
      if (!isSettled) return 'move'
      return isOfOtherCharge ? 'surplus' : 'ignore'
    case 'refunded':
      if (status === 'succeeded') return isOfOtherCharge ? 'ignore' : 'move'
      return status === 'refunded' || isOfOtherAttempt ? 'ignore' : 'move'
  }
}

/** What was asked for, in the currency that was asked for; TON, which people send by hand, may be more. */
function isDue({ amount, currency }: PaymentState, report: PaymentReport): boolean {
  if (report.amount === undefined || report.currency !== currency) return false
  const paid = BigInt(report.amount)
  return currency === ('TON' satisfies PaymentCurrency) ? paid >= BigInt(amount) : paid === BigInt(amount)
}
