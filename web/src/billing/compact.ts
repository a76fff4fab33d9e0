import { locale } from '../i18n.ts'

/** A large number in few signs, such as `1.5M`. `floor`: where nobody is to count on more than there is. */
export const compact = (value: number, roundingMode: 'halfExpand' | 'floor' = 'halfExpand'): string =>
  new Intl.NumberFormat(locale.value, { notation: 'compact', maximumFractionDigits: 1, roundingMode }).format(value)
