import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { sql } from 'kysely'
import { type Database, openDatabase } from '../../src/database/database.ts'
import { migratedFolder } from './template.ts'

export interface TestDatabase {
  database: Database
  /** Its address where it is on PostgreSQL. */
  url: string | undefined
  /** Closes the database and removes it. */
  close(): Promise<void>
}

/**
 * A migrated database of the caller's own: on the server that DATABASE_URL names (its user may create databases), else
 * embedded in a temporary folder.
 */
export async function openTestDatabase(): Promise<TestDatabase> {
  return process.env['DATABASE_URL'] ? openOnServer(process.env['DATABASE_URL']) : openEmbedded()
}

async function openEmbedded(): Promise<TestDatabase> {
  const folder = await migratedFolder()
  const database = await open(undefined, folder)
  return {
    database,
    url: undefined,
    async close() {
      await database.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function openOnServer(serverUrl: string): Promise<TestDatabase> {
  const name = `kintsugi_test_${randomBytes(6).toString('hex')}`
  const url = new URL(serverUrl)
  url.pathname = name
  await onServer(serverUrl, `create database ${name}`)
  const drop = () => onServer(serverUrl, `drop database ${name} with (force)`)
  try {
    const database = await open(url.href)
    await database.migrate()
    return {
      database,
      url: url.href,
      async close() {
        await database.close()
        await drop()
      },
    }
  } catch (error) {
    await drop()
    throw error
  }
}

async function onServer(url: string, statement: string): Promise<void> {
  const server = await open(url)
  try {
    await server.query(sql.raw(statement))
  } finally {
    await server.close()
  }
}

const open = (url: string | undefined, dataDir = ''): Promise<Database> =>
  openDatabase({ dataDir, database: { url, pool: 10, statementTimeoutMs: 10_000 } })
