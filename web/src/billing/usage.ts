import type { UsageItem, UsageReport } from '../../../src/client/index.ts'

/** What one day took. */
export interface Day {
  /** As `2026-11-21`. */
  day: string
  inputTokens: number
  outputTokens: number
  runs: number
  credits: number
}

const dayMs = 86_400_000

/** Every day of the report, also those on which nothing was used; the oldest first. */
export function daysOf({ from, to, items }: Pick<UsageReport, 'from' | 'to' | 'items'>): Day[] {
  const used = new Map(items.map((item) => [item.day, item]))
  const first = Date.parse(from)
  const count = Math.max(0, Math.round((Date.parse(to) - first) / dayMs) + 1)
  return Array.from({ length: count }, (_, at) => {
    const day = new Date(first + at * dayMs).toISOString().slice(0, 10)
    const { inputTokens = 0, outputTokens = 0, runs = 0, credits = 0 } = used.get(day) ?? {}
    return { day, inputTokens, outputTokens, runs, credits }
  })
}

export const tokensOf = ({ inputTokens, outputTokens }: Pick<UsageItem, 'inputTokens' | 'outputTokens'>): number =>
  inputTokens + outputTokens

/** The top of a scale for values up to `highest`: a round number, of which the half is round too; 1 where there are none. */
export function topOf(highest: number): number {
  if (highest <= 1) return 1
  const zeros = 10 ** Math.floor(Math.log10(highest))
  return [1, 2, 3, 4, 5, 6, 8, 10].map((step) => step * zeros).find((top) => top >= highest) ?? highest
}

/** What models took, the most first, each with its part of the whole. */
export function sharesOf(items: readonly UsageItem[]): { item: UsageItem; tokens: number; part: number }[] {
  const all = items.reduce((sum, item) => sum + tokensOf(item), 0)
  return items
    .map((item) => ({ item, tokens: tokensOf(item), part: all > 0 ? tokensOf(item) / all : 0 }))
    .toSorted((a, b) => b.tokens - a.tokens)
}
