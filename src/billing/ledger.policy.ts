import { AppError } from '../kernel/errors.ts'

/** Why credits move, as in the database, with the sign of the amount: 0 takes either. */
const signs = { allocation: 1, charge: 1, refund: 1, referral: 1, use: -1, expiration: -1, adjustment: 0 } as const

export type TransactionType = keyof typeof signs

/**
 * Amounts are whole credits above 0, in what a number holds exactly.
 * @throws AppError invalid_request
 */
export function checkAmount(amount: number): void {
  if (!Number.isSafeInteger(amount) || amount <= 0) throw noAmount('must be a whole number of credits above 0')
}

/**
 * Whether an amount has the sign of its type, and the key names something.
 * @throws AppError invalid_request
 */
export function checkPosting({ amount, type, key }: { amount: number; type: TransactionType; key: string }): void {
  const sign = signs[type]
  checkAmount(Math.abs(amount))
  if (sign !== 0 && Math.sign(amount) !== sign) throw noAmount(`must be ${sign > 0 ? 'above' : 'below'} 0`)
  // names are our own: without one it is a bug
  if (key === '') throw new Error('A posting needs a key.')
}

const noAmount = (message: string) =>
  new AppError('invalid_request', `amount: ${message}`, { errors: [{ path: 'amount', message }] })
