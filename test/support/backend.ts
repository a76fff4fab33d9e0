import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { openDatabase } from '../../src/database/database.ts'
import { startServer, type TestServer } from './server.ts'

export interface Backend extends TestServer {
  /** Where its rows are, if on PostgreSQL; for tests that start a second node. */
  env: Record<string, string>
  /** Stops the server and removes what it stored. */
  end(): Promise<void>
}

/**
 * Starts a server on the backend that the environment names: embedded; with DATABASE_URL on a PostgreSQL database of its
 * own, whose user may create databases; with REDIS_URL as well, linked to Redis under a prefix of its own, so that it
 * does not take the nodes of other test files for its peers.
 */
export async function startBackend(env: Record<string, string> = {}): Promise<Backend> {
  const { DATABASE_URL, REDIS_URL } = process.env
  if (!DATABASE_URL) return withEnd(await startServer(env), env, async () => {})
  const database = await createDatabase(DATABASE_URL)
  const backend = { ...env, DATABASE_URL: database.url, REDIS_URL: REDIS_URL ?? '', REDIS_PREFIX: database.name }
  try {
    return withEnd(await startServer(backend), backend, database.drop)
  } catch (error) {
    await database.drop()
    throw error
  }
}

/** A new, empty database on that PostgreSQL server. */
export async function createDatabase(serverUrl: string): Promise<{ name: string; url: string; drop(): Promise<void> }> {
  const name = `kintsugi_test_${randomBytes(6).toString('hex')}`
  await onServer(serverUrl, `create database ${name}`)
  const url = new URL(serverUrl)
  url.pathname = name
  return { name, url: url.href, drop: () => onServer(serverUrl, `drop database if exists ${name} with (force)`) }
}

async function onServer(url: string, statement: string): Promise<void> {
  const server = await openDatabase({ dataDir: '', database: { url, pool: 2, statementTimeoutMs: 30_000 } })
  try {
    await server.query(sql.raw(statement))
  } finally {
    await server.close()
  }
}

function withEnd(server: TestServer, env: Record<string, string>, remove: () => Promise<void>): Backend {
  return {
    ...server,
    env,
    async end() {
      try {
        await server.stop()
      } finally {
        await remove()
      }
    },
  }
}
