import { cpus, loadavg, release, totalmem, type } from 'node:os'

/** A line of the table. Cells are texts, empty where a work does not have them. */
export type Row = {
  work: string
  bare: string
  naive: string
  kintsugi: string
  ratio: string
  required: string
  /** Undefined: not judged, since a server that it needs was not measured. */
  ok: boolean | undefined
  /** Said below the table. */
  notes: string[]
}

const columns = ['work', 'bare', 'naive', 'kintsugi', 'ratio', 'required', 'ok'] as const

/** A row for a work that could not be done. */
export function failedRow(work: string, reason: string, ok: false | undefined): Row {
  return { work, bare: '', naive: '', kintsugi: '', ratio: '', required: '', ok, notes: [reason] }
}

/** The table as text for a terminal, or as Markdown. */
export function renderTable(rows: Row[], markdown: boolean): string {
  const cells = [[...columns], ...rows.map((row) => columns.map((column) => cell(row, column)))]
  const widths = columns.map((_, index) => Math.max(...cells.map((line) => line[index]?.length ?? 0)))
  const lines = cells.map((line) => {
    const padded = line.map((text, index) =>
      index === 0 ? text.padEnd(widths[index] ?? 0) : text.padStart(widths[index] ?? 0),
    )
    return markdown ? `| ${padded.join(' | ')} |` : padded.join('  ').trimEnd()
  })
  const rule = markdown
    ? `|${widths.map((width, index) => (index === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`
    : '-'.repeat(lines[0]?.length ?? 0)
  const notes = rows.flatMap((row) => row.notes.map((note) => `${markdown ? '- ' : ''}${row.work}: ${note}`))
  return [lines[0], rule, ...lines.slice(1), ...(notes.length > 0 ? ['', ...notes] : [])].join('\n')
}

function cell(row: Row, column: (typeof columns)[number]): string {
  if (column !== 'ok') return row[column] || '–'
  if (row.ok === undefined) return '–'
  return row.ok ? 'yes' : 'NO'
}

/** What the figures were measured on; nothing that names the machine or its folders. */
export function machineFacts(storage: string): Record<string, string> {
  const [first] = cpus()
  return {
    processor: `${cpus().length} cores, ${first?.model.trim() ?? 'unknown'}`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GB`,
    system: `${type()} ${release()}`,
    node: process.version,
    database: storage,
    'load before': (loadavg()[0] ?? 0).toFixed(2),
    date: new Date().toISOString().slice(0, 10),
  }
}

/** Facts as lines. */
export function renderFacts(facts: Record<string, string>, markdown: boolean): string {
  return Object.entries(facts)
    .map(([name, value]) => `${markdown ? '- ' : ''}${name}: ${value}`)
    .join('\n')
}

/** 12345.6 → `12,346/s`. */
export const perSecond = (value: number): string => `${Math.round(value).toLocaleString('en')}/s`

/** Milliseconds with three digits that mean something. */
export const milliseconds = (value: number): string => `${value.toPrecision(3)} ms`

/** Bytes as megabytes of 1024². */
export const megabytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MB`

/** Bytes as kilobytes of 1024. */
export const kilobytes = (bytes: number): string => `${(bytes / 1024).toFixed(1)} KB`
