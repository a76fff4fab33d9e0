import { createHash } from 'node:crypto'
import { cp, mkdtemp, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDatabase } from '../../src/database/database.ts'

const migrations = join(import.meta.dirname, '../../migrations')
const lockFile = join(import.meta.dirname, '../../package-lock.json')

/**
 * A new temporary folder with an embedded database that is empty and migrated. Making one takes seconds and always gives the
 * same, so it is made once for these migrations and packages, and copied. What a first start does by itself is tested where
 * folders are made otherwise.
 */
export async function migratedFolder(): Promise<string> {
  const template = await templateOf(await contentHash())
  const folder = await mkdtemp(join(tmpdir(), 'kintsugi-test-'))
  await cp(template, folder, { recursive: true })
  return folder
}

async function contentHash(): Promise<string> {
  const files = (await readdir(migrations, { recursive: true })).filter((name) => name.endsWith('.ts')).sort()
  const hash = createHash('sha256')
  for (const file of [lockFile, ...files.map((name) => join(migrations, name))]) hash.update(await readFile(file))
  return hash.digest('hex').slice(0, 16)
}

async function templateOf(hash: string): Promise<string> {
  const template = join(tmpdir(), `kintsugi-template-${hash}`)
  const isThere = await stat(template).catch(() => undefined)
  if (isThere) return template
  const making = await mkdtemp(join(tmpdir(), 'kintsugi-template-'))
  const database = await openDatabase({
    dataDir: making,
    database: { url: undefined, pool: 1, statementTimeoutMs: 60_000 },
  })
  await database.migrate()
  await database.close()
  // of test files that make one at the same time the first is kept
  await rename(making, template).catch(() => rm(making, { recursive: true, force: true }))
  return template
}
