import { batch, signal } from '@preact/signals'
import type { resources } from './locales.en.ts'

/** What `loadLocale` can load: one file a language, which names its texts by area. */
const bundles = {
  en: () => import('./locales.en.ts'),
  ko: () => import('./locales.ko.ts'),
}

export type Locale = keyof typeof bundles
type Resources = typeof resources
/** `area:key`; of a key with plural forms, the key without its form. */
export type TextKey = {
  [Area in keyof Resources & string]: `${Area}:${WithoutForm<keyof Resources[Area] & string>}`
}[keyof Resources & string]
type WithoutForm<Key extends string> = Key extends `${infer Plain}_${'one' | 'other'}` ? Plain : Key

export const locales: readonly { id: Locale; name: string }[] = [
  { id: 'en', name: 'English' },
  { id: 'ko', name: '한국어' },
]

const storedAs = 'kintsugi.locale'
export const locale = signal<Locale>('en')

/** The chosen language, else the browser's first that there is, else English. */
function preferred(): Locale {
  const wished = [localStorage.getItem(storedAs), ...navigator.languages]
  const known = wished.map((tag) => tag?.slice(0, 2)).find((tag) => tag !== undefined && tag in bundles)
  return (known as Locale | undefined) ?? 'en'
}

/** The texts of that language, by area and key. */
const texts = signal<Record<string, Record<string, string>>>({})

export async function loadLocale(chosen?: Locale): Promise<void> {
  if (chosen) localStorage.setItem(storedAs, chosen)
  const wanted = chosen ?? preferred()
  const { resources } = await bundles[wanted]()
  document.documentElement.lang = wanted
  batch(() => {
    locale.value = wanted
    texts.value = resources
  })
}

type Values = Record<string, string | number>

/** Undefined where there is no such text. `count` chooses among plural forms. */
function textOf(key: string, values: Values): string | undefined {
  const [area = '', name = ''] = key.split(':')
  const { count } = values
  const form = typeof count === 'number' ? `${name}_${pluralRules().select(count)}` : name
  const text = texts.value[area]?.[form] ?? texts.value[area]?.[name]
  return text?.replace(/\{\{(\w+)\}\}/g, (_, name: string) => {
    const value = values[name] ?? ''
    return typeof value === 'number' ? formatNumber(value) : value
  })
}

/**
 * A text in the language of the page, with what is given filled in; numbers are written as that language writes them.
 * Components that call it follow the language.
 */
export const t = (key: TextKey, values: Values = {}): string => textOf(key, values) ?? key

/** What to tell somebody of an error: by its code, in their language. */
export function explain(error: unknown): string {
  const { code, message } = error as { code?: string; message?: string }
  return textOf(`errors:${code ?? 'internal'}`, {}) ?? message ?? t('errors:internal')
}

const sameDay = (a: Date, b: Date) => a.toDateString() === b.toDateString()

/** Formats are dear to make, and each message has some: one of a kind is kept for each language. */
function kept<T>(make: (language: Locale) => T): () => T {
  const made = new Map<Locale, T>()
  return () => {
    const language = locale.value
    const format = made.get(language) ?? make(language)
    made.set(language, format)
    return format
  }
}

const dates = (options: Intl.DateTimeFormatOptions) => kept((language) => new Intl.DateTimeFormat(language, options))

const timeFormat = dates({ hour: 'numeric', minute: '2-digit' })
const dayFormat = dates({ weekday: 'long', month: 'long', day: 'numeric' })
const dayOfYearFormat = dates({ weekday: 'long', month: 'long', day: 'numeric', year: 'numeric' })
const shortFormat = dates({ month: 'short', day: 'numeric' })
const dateTimeFormat = dates({ dateStyle: 'medium', timeStyle: 'short' })
const relativeFormat = kept((language) => new Intl.RelativeTimeFormat(language, { numeric: 'auto' }))
const numberFormat = kept((language) => new Intl.NumberFormat(language))
const pluralRules = kept((language) => new Intl.PluralRules(language))

export const formatTime = (at: string | Date): string => timeFormat().format(new Date(at))

/** A day as a heading: today, yesterday, or its date. */
export function formatDay(at: string | Date): string {
  const day = new Date(at)
  const now = new Date()
  if (sameDay(day, now)) return relativeFormat().format(0, 'day')
  if (sameDay(day, new Date(now.getTime() - 86_400_000))) return relativeFormat().format(-1, 'day')
  return (day.getFullYear() === now.getFullYear() ? dayFormat() : dayOfYearFormat()).format(day)
}

/** As short as lists need it: the time today, else the day. */
export function formatShort(at: string | Date): string {
  const day = new Date(at)
  return sameDay(day, new Date()) ? formatTime(day) : shortFormat().format(day)
}

export const formatDateTime = (at: string | Date): string => dateTimeFormat().format(new Date(at))

export const formatNumber = (value: number): string => numberFormat().format(value)

/** An amount in minor units, as the server gives it. */
export function formatMoney({ amount, currency }: { amount: number; currency: string }): string {
  const format = new Intl.NumberFormat(locale.value, { style: 'currency', currency })
  return format.format(amount / 10 ** (format.resolvedOptions().maximumFractionDigits ?? 2))
}

const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte'] as const

export function formatBytes(bytes: number): string {
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3))
  const format = { style: 'unit', unit: units[power], unitDisplay: 'narrow', maximumFractionDigits: 1 } as const
  return new Intl.NumberFormat(locale.value, format).format(bytes / 1000 ** power)
}
