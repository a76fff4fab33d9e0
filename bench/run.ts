/**
 * `npm run bench`: measures Kintsugi beside its peers and prints a table. Servers and load are processes of their own.
 * Ends with 1 where something that is required was not reached.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { createLab, type Lab } from './lab.ts'
import { readOptions, usage } from './options.ts'
import { failedRow, machineFacts, type Row, renderFacts, renderTable } from './report.ts'
import { openStorage } from './storage.ts'
import type { Work } from './work.ts'
import { works } from './works.ts'

const options = optionsOrExit()
const storage = await openStorage(process.env.DATABASE_URL).catch((error: Error) => {
  console.error(error.message)
  process.exit(2)
})
const lab = createLab(options, storage, process.env.REDIS_URL)
const facts = machineFacts(storage.description)
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))

const rows: Row[] = []
const raw: Record<string, unknown> = {}
try {
  for (const work of works) {
    if (options.only.length > 0 && !options.only.includes(work.name)) continue
    console.error(`${work.name} …`)
    rows.push(await rowOf(work))
  }
} finally {
  await storage.remove()
}

console.log(`${renderFacts(facts, options.markdown)}\n\n${renderTable(rows, options.markdown)}`)
await mkdir(dirname(options.jsonFile), { recursive: true })
await writeFile(options.jsonFile, `${JSON.stringify({ facts, options, rows, raw }, null, 2)}\n`)
process.exitCode = rows.some(({ ok }) => ok === false) ? 1 : 0

function optionsOrExit() {
  try {
    const read = readOptions(
      process.argv.slice(2),
      works.map(({ name }) => name),
    )
    if (typeof read !== 'string') return read
    console.log(read)
    process.exit(0)
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${usage}`)
    process.exit(2)
  }
}

/** A work that fails takes nothing with it but its own line. */
async function rowOf(work: Work): Promise<Row> {
  const lacking = work.lacks?.(lab)
  if (lacking) return failedRow(work.title, lacking, undefined)
  try {
    const { row, raw: figures } = await work.run(lab)
    raw[work.name] = figures
    const faults = takeFaults(lab)
    return faults.length > 0 ? { ...row, ok: false, notes: [...row.notes, ...faults] } : row
  } catch (error) {
    return failedRow(work.title, `failed: ${(error as Error).message}`, false)
  }
}

function takeFaults({ faults }: Lab): string[] {
  return faults.splice(0)
}
