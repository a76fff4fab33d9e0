import { formatMoney, formatNumber } from '../i18n.ts'

/** Nanoton in a TON. */
const nano = 1_000_000_000

/** A price in words. Stars and TON are no currencies of ISO 4217, by whose rules the others are written. */
export function priceOf({ amount, currency }: { amount: number; currency: string }): string {
  if (currency === 'XTR') return `${formatNumber(amount)} ⭐`
  if (currency === 'TON') return `${formatNumber(amount / nano)} TON`
  return formatMoney({ amount, currency })
}
