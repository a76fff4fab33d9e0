import { randomUUID } from 'node:crypto'
import Stripe from 'stripe'
import { AppError } from '../kernel/errors.ts'

/**
 * A request that changes something, under a key: repeated, it is the same. Stripe keeps the answer to a key for a day, a
 * failure of its own (500) as well, so that the key would lead nowhere for as long; after such an answer the request is made
 * once more as a new one. At worst that leaves a page or a price behind which nobody uses.
 */
export async function once<T>(key: string, request: (options: Stripe.RequestOptions) => Promise<T>): Promise<T> {
  try {
    return await request({ idempotencyKey: key })
  } catch (error) {
    if (!(error instanceof Stripe.errors.StripeError) || (error.statusCode ?? 0) < 500) throw error
    return request({ idempotencyKey: `${key}:${randomUUID()}` })
  }
}

export const codeOf = (error: unknown): string | undefined =>
  error instanceof Stripe.errors.StripeError ? error.code : undefined

/** Undefined where Stripe does not know the thing. */
export async function found<T>(request: () => Promise<T>): Promise<T | undefined> {
  return answered(async () => {
    try {
      return await request()
    } catch (error) {
      if (codeOf(error) === 'resource_missing') return undefined
      throw error
    }
  })
}

/** What the caller hears where Stripe refuses or fails. Of what Stripe said only the kind is kept: the rest may name people. */
export async function answered<T>(request: () => Promise<T>): Promise<T> {
  try {
    return await request()
  } catch (error) {
    if (!(error instanceof Stripe.errors.StripeError)) throw error
    const { type, code, statusCode, requestId } = error
    const cause = new Error([type, code, statusCode, requestId].filter((part) => part !== undefined).join(' '))
    if (statusCode === 402)
      throw new AppError('payment_required', 'The payment was declined: try another card in the portal.', { cause })
    throw new AppError('upstream_failed', 'The payment service does not answer right now: try again later.', { cause })
  }
}

/** Where a checkout page leads back to, with what came of it. */
export function leadingTo(returnUrl: string): { success_url: string; cancel_url: string } {
  const [success, cancel] = ['done', 'cancelled'].map((outcome) => {
    const url = new URL(returnUrl)
    url.searchParams.set('checkout', outcome)
    return url.href
  }) as [string, string]
  return { success_url: success, cancel_url: cancel }
}
