import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { startServer } from '../processes.ts'

/** The server that the chat goes through. */
export type Place = {
  description: string
  /** One for each node. */
  urls: string[]
  /** Stops what was started here and takes away what it stored; says again what it said the first time. */
  close(): Promise<void>
}

/** A server of someone else's. @throws Error where one of its nodes is not ready */
export async function visit(urls: string[]): Promise<Place> {
  for (const url of urls) {
    const answer = await fetch(new URL('readyz', url.replace(/\/?$/, '/'))).catch(() => undefined)
    if (!answer?.ok) throw new Error(`${url} ${answer ? `is not ready (${answer.status})` : 'does not answer'}.`)
  }
  return { description: `running server, ${nodes(urls.length)}`, urls, close: async () => {} }
}

/**
 * Starts a server of our own: embedded, or on a new database of the PostgreSQL server named; with Redis on two nodes. A
 * signal or a mistake takes all of it away before the process ends.
 */
export async function build(databaseUrl: string | undefined, redisUrl: string | undefined): Promise<Place> {
  const undo: (() => Promise<unknown>)[] = []
  let closing: Promise<void> | undefined
  const close = () => {
    closing ??= undoAll(undo)
    return closing
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => endAfter(close, 130))
  }
  process.once('uncaughtException', (error) => {
    console.error(error)
    endAfter(close, 2)
  })
  try {
    const environment: Record<string, string> = {
      ...(databaseUrl ? await createDatabase(databaseUrl, undo) : await createFolder()),
      ...(databaseUrl && redisUrl && { REDIS_URL: redisUrl }),
      RATE_LIMITS: 'off',
      LOG_LEVEL: 'warn',
      JWT_SECRET: randomBytes(36).toString('base64url'),
    }
    const urls: string[] = []
    for (let node = 0; node < (environment.REDIS_URL ? 2 : 1); node++) {
      const server = await startServer('kintsugi', environment)
      undo.push(() => server.stop())
      urls.push(server.url)
    }
    const parts = [databaseUrl ? 'PostgreSQL' : 'embedded database', ...(environment.REDIS_URL ? ['Redis'] : [])]
    return { description: `${parts.join(' and ')}, ${nodes(urls.length)}`, urls, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Servers that heard the same signal may have ended already, which is no failure here. */
function endAfter(close: () => Promise<void>, code: number): void {
  close().then(
    () => process.exit(code),
    () => process.exit(code),
  )
}

const nodes = (count: number): string => (count === 1 ? '1 node' : `${count} nodes`)

/** Last in, first out, and all of it: the nodes stop before their database goes. @throws the first failure */
async function undoAll(undo: (() => Promise<unknown>)[]): Promise<void> {
  const failures: unknown[] = []
  for (const step of undo.toReversed()) await step().catch((error) => failures.push(error))
  if (failures.length > 0) throw failures[0]
}

async function createFolder(): Promise<{ DATA_DIR: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'kintsugi-replay-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  return { DATA_DIR: folder }
}

async function createDatabase(serverUrl: string, undo: (() => Promise<unknown>)[]): Promise<{ DATABASE_URL: string }> {
  const name = `kintsugi_replay_${randomBytes(4).toString('hex')}`
  await onServer(serverUrl, `create database ${name}`)
  undo.push(() => onServer(serverUrl, `drop database ${name} with (force)`))
  const url = new URL(serverUrl)
  url.pathname = `/${name}`
  return { DATABASE_URL: url.href }
}

async function onServer(connectionString: string, statement: string): Promise<void> {
  const client = new Client({ connectionString })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}
