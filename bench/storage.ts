import { rmSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { Client } from 'pg'
import type { TargetName } from './jobs.ts'

/** Runs SQL beside the servers: for seeding and for checking rows. */
export type Connection = {
  query<T>(text: string, values?: unknown[]): Promise<T[]>
  close(): Promise<void>
}

/** The servers that store what they are sent. */
export type StoringTarget = 'naive' | 'kintsugi'

/** Where the storing servers keep their rows. */
export type Storage = {
  embedded: boolean
  /** Product and version, with what decides how much a commit costs. */
  description: string
  /** What a server must be told to use it; a folder for files in any case. */
  environment(target: TargetName): Record<string, string>
  /** Takes all rows and tables away. */
  empty(): Promise<void>
  /** On the embedded database only while the server is stopped: a second process would lose rows. */
  connect(target: StoringTarget): Promise<Connection>
  /** Leaves nothing behind; for the end of the run. */
  remove(): Promise<void>
}

const databaseName = 'kintsugi_bench'

/**
 * A database of the bench's own on the server named, which both storing servers use: `kintsugi_bench`, made anew.
 * Without a server the embedded database, in a temporary folder.
 * @throws where another bench is using the server
 */
export async function openStorage(serverUrl: string | undefined): Promise<Storage> {
  const folder = await mkdtemp(join(tmpdir(), 'kintsugi-bench-'))
  // at the end of the process, so that a run that is interrupted leaves no folder either
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  return serverUrl ? openPostgres(serverUrl, folder) : openEmbedded(folder)
}

async function emptyFolders(folder: string): Promise<void> {
  for (const target of ['bare', 'naive', 'kintsugi'] satisfies TargetName[]) {
    await rm(join(folder, target), { recursive: true, force: true })
    await mkdir(join(folder, target))
  }
}

/** Any fixed number: who holds it on the server named is the bench that runs there. */
const benchLock = 3_141_592

async function openPostgres(serverUrl: string, folder: string): Promise<Storage> {
  const url = new URL(serverUrl)
  url.pathname = `/${databaseName}`
  const drop = `drop database if exists ${databaseName} with (force)`
  const server = await connectPostgres(serverUrl)
  const [facts] = await server.query<{ version: string; fsync: string; commit: string; locked: boolean }>(
    `select current_setting('server_version') as version, current_setting('fsync') as fsync,
       current_setting('synchronous_commit') as commit, pg_try_advisory_lock(${benchLock}) as locked`,
  )
  // another would take our database away, and neither's figures would mean anything
  if (!facts?.locked) throw new Error('Another bench is running on this server.')

  return {
    embedded: false,
    description: `PostgreSQL ${facts.version}, fsync ${facts.fsync}, synchronous_commit ${facts.commit}`,
    environment: (target) => ({ DATABASE_URL: url.href, DATA_DIR: join(folder, target) }),
    async empty() {
      await emptyFolders(folder)
      await server.query(drop)
      await server.query(`create database ${databaseName}`)
    },
    connect: () => connectPostgres(url.href),
    async remove() {
      await server.query(drop)
      await server.close()
    },
  }
}

async function connectPostgres(connectionString: string): Promise<Connection> {
  const client = new Client({ connectionString })
  await client.connect()
  return {
    query: async <T>(text: string, values?: unknown[]) => (await client.query(text, values)).rows as T[],
    close: () => client.end(),
  }
}

async function openEmbedded(folder: string): Promise<Storage> {
  const database = await PGlite.create()
  const { rows } = await database.query<{ version: string }>(`select current_setting('server_version') as version`)
  await database.close()

  return {
    embedded: true,
    description: rows.map(({ version }) => `PGlite (PostgreSQL ${version}), embedded`).join(),
    environment: (target) => ({ DATA_DIR: join(folder, target) }),
    empty: () => emptyFolders(folder),
    // Kintsugi keeps a secret and a lock beside its database
    connect: (target) =>
      connectEmbedded(target === 'kintsugi' ? join(folder, target, 'database') : join(folder, target)),
    remove: async () => {},
  }
}

async function connectEmbedded(folder: string): Promise<Connection> {
  const database = await PGlite.create(folder)
  return {
    query: async <T>(text: string, values?: unknown[]) => (await database.query<T>(text, values)).rows,
    close: () => database.close(),
  }
}
