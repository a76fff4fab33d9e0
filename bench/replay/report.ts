import { deliveriesIn, type Group, linesIn } from './group.ts'
import type { Timing } from './sending.ts'

/** A line of the table. */
export type Row = {
  groups: Group[]
  name: string
  people: number
  /** Absent where groups were timed together. */
  timing?: Timing
  result: string
}

const columns = ['log', 'people', 'messages', 'deliveries', 'messages/s', 'deliveries/s', 'result']

/** The table as text. Messages count until the last acknowledgment, deliveries until the last store held everything. */
export function renderTable(rows: Row[]): string {
  const cells = rows.map(({ name, people, groups, timing, result }) => {
    const [messages, deliveries] = [linesIn(groups), deliveriesIn(groups)]
    const rates = timing ? [messages / timing.acknowledged, deliveries / timing.delivered].map(whole) : ['', '']
    return [name, whole(people), whole(messages), whole(deliveries), ...rates, result]
  })
  const lines = [columns, ...cells]
  const widths = columns.map((_, index) => Math.max(...lines.map((line) => line[index]?.length ?? 0)))
  const isText = (index: number) => index === 0 || index === columns.length - 1
  return lines
    .map((line) =>
      line.map((text, index) => (isText(index) ? text.padEnd(widths[index] ?? 0) : text.padStart(widths[index] ?? 0))),
    )
    .map((line) => line.join('  ').trimEnd())
    .join('\n')
}

/** One after the other. */
export const sum = (timings: Timing[]): Timing => ({
  acknowledged: timings.reduce((total, { acknowledged }) => total + acknowledged, 0),
  delivered: timings.reduce((total, { delivered }) => total + delivered, 0),
})

/** 12345.6 → `12,346`. */
export const whole = (value: number): string => Math.round(value).toLocaleString('en')

/** Seconds since a `performance.now()`, such as `12.3 s`. */
export const since = (begunAt: number): string => `${((performance.now() - begunAt) / 1000).toFixed(1)} s`
