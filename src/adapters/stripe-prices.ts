import type Stripe from 'stripe'
import type { PlanOffer } from '../kernel/ports.ts'
import { once } from './stripe-requests.ts'

export const intervals = { monthly: 'month', yearly: 'year' } as const

/**
 * The prices of plans at Stripe. One that the plan does not name is made there when it is first needed and found again by
 * its lookup key, so that a new installation needs no set-up; another amount is another price, and who has the old one keeps
 * it.
 */
export function createPrices(client: Stripe) {
  const known = new Map<string, string>()

  async function of({ priceId, planCode, name, period, amount, currency }: PlanOffer): Promise<string> {
    if (priceId !== undefined) return priceId
    const lookupKey = `kintsugi_${planCode}_${period}_${amount}_${currency.toLowerCase()}`
    const { data } = known.has(lookupKey)
      ? { data: [] }
      : await client.prices.list({ lookup_keys: [lookupKey], active: true, limit: 1 })
    const id = known.get(lookupKey) ?? data[0]?.id ?? (await create()).id
    known.set(lookupKey, id)
    return id

    function create(): Promise<Stripe.Price> {
      const recurring = { interval: intervals[period] }
      const price = { currency, unit_amount: amount, recurring, product_data: { name }, lookup_key: lookupKey }
      return once(`price:${lookupKey}`, (options) => client.prices.create(price, options))
    }
  }

  return { of }
}
