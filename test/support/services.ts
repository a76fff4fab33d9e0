import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { chown, mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { sql } from 'kysely'
import { type Database, openDatabase } from '../../src/database/database.ts'
import { freePort, startServer, type TestServer } from './server.ts'

/**
 * PostgreSQL and Redis for tests. DATABASE_URL and REDIS_URL name those that are there; a test that does something to the
 * service itself, or must not be disturbed by others on it, has one of its own from the binary on this machine.
 */

const startLimitMs = 30_000

/** A service in a process, port and folder of its own; as yet not started. */
export interface OwnService {
  url: string
  start(): Promise<void>
  /** Ends the process, unless otherwise said as a crash would; the folder stays for the next start. */
  stop(signal?: NodeJS.Signals): Promise<void>
  /** Stops the process where it stands: connections stay open, and nobody answers. */
  freeze(): void
  thaw(): void
  /** Ends the process and removes its folder. */
  close(): Promise<void>
}

const redisServer = program('redis-server')
const postgres = program('postgres')
const initdb = program('initdb')
const asPostgres = unprivileged()

const noRedis = redisServer ? false : 'redis-server is not installed'
const noPostgres =
  postgres && initdb && asPostgres ? false : 'PostgreSQL is not installed, or cannot be run as another user than root'

/** In CI nothing may be missing: there the test runs all the same, and fails. */
export const orFail = (reason: string | false): string | false => (process.env.CI === 'true' ? false : reason)

/** For `skip`: why a test with a database and a Redis cannot run here. */
export const withoutServices = orFail((!process.env.DATABASE_URL && noPostgres) || (!process.env.REDIS_URL && noRedis))

/** For `skip`: why a test with a database and a Redis of its own cannot run here. */
export const withoutOwnRedis = orFail((!process.env.DATABASE_URL && noPostgres) || noRedis)

/** For `skip`: why a test with a PostgreSQL of its own cannot run here. */
export const withoutOwnPostgres = orFail(noPostgres)

/** The Redis of REDIS_URL, or else one of its own, started. */
export async function useRedis(): Promise<{ url: string; close(): Promise<void> }> {
  if (process.env.REDIS_URL) return { url: process.env.REDIS_URL, close: async () => {} }
  const redis = await ownRedis()
  await redis.start()
  return redis
}

export async function ownRedis(): Promise<OwnService> {
  assert.ok(redisServer, String(noRedis))
  const port = await freePort()
  const folder = await mkdtemp(join(tmpdir(), 'kintsugi-redis-'))
  const args = ['--bind', '127.0.0.1', '--port', String(port), '--save', '', '--appendonly', 'no', '--dir', folder]
  return service({ url: `redis://127.0.0.1:${port}`, port, folder, command: [redisServer, ...args] })
}

export async function ownPostgres(): Promise<OwnService> {
  assert.ok(postgres && initdb && asPostgres, String(noPostgres))
  const port = await freePort()
  const folder = await mkdtemp(join(tmpdir(), 'kintsugi-postgres-'))
  if (asPostgres.owner) await chown(folder, asPostgres.owner.uid, asPostgres.owner.gid)
  const data = join(folder, 'data')
  const [first = '', ...rest] = [
    ...asPostgres.prefix,
    initdb,
    '--pgdata',
    data,
    '--username',
    'postgres',
    '--auth',
    'trust',
  ]
  const made = spawnSync(first, [...rest, '--encoding', 'UTF8', '--no-sync'], { encoding: 'utf8' })
  assert.equal(made.status, 0, `initdb: ${made.stderr}`)
  const settings = ['listen_addresses=127.0.0.1', `port=${port}`, 'unix_socket_directories=', 'fsync=off']
  const command = [...asPostgres.prefix, postgres, '-D', data, ...settings.flatMap((setting) => ['-c', setting])]
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`
  // killed outright it would leave children that keep its memory; SIGQUIT is its crash, after which it recovers
  return service({ url, port, folder, command, crash: 'SIGQUIT', answers: () => onServer(url, 'select 1') })
}

export interface OwnDatabase {
  url: string
  /** For looking at the rows beside the server. */
  database: Database
  /** Removes it, and what was started for it. */
  close(): Promise<void>
}

/** A new, empty database: on `on`, or the server of DATABASE_URL, or else a server of its own. */
export async function useDatabase(on?: OwnService): Promise<OwnDatabase> {
  const given = on?.url ?? (process.env.DATABASE_URL || undefined)
  const own = given ? undefined : await ownPostgres()
  await own?.start()
  const serverUrl = given ?? own?.url ?? ''
  const name = `kintsugi_test_${randomBytes(6).toString('hex')}`
  const url = new URL(serverUrl)
  url.pathname = name
  await onServer(serverUrl, `create database ${name}`)
  const database = await open(url.href)
  return {
    url: url.href,
    database,
    async close() {
      await database.close()
      if (own) await own.close()
      else await onServer(serverUrl, `drop database if exists ${name} with (force)`)
    },
  }
}

/** Servers that share a database, and events where there is a Redis. Where one does not start, none is left. */
export async function startNodes(
  count: number,
  {
    database,
    redis,
    ...env
  }: { database: { url: string }; redis?: { url: string } | undefined } & Record<string, unknown>,
): Promise<TestServer[]> {
  const shared = { DATABASE_URL: database.url, DATABASE_POOL: '5', ...(redis && { REDIS_URL: redis.url }) }
  const starting = Array.from({ length: count }, () => startServer({ ...shared, ...(env as Record<string, string>) }))
  const started = await Promise.allSettled(starting)
  const nodes = started.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  const failure = started.find((one) => one.status === 'rejected')
  if (!failure) return nodes
  await Promise.all(nodes.map((node) => node.kill()))
  throw failure.reason
}

function service(of: {
  url: string
  port: number
  folder: string
  command: string[]
  crash?: NodeJS.Signals
  /** Throws while the service is not ready; unless given, a connection is enough. */
  answers?: () => Promise<void>
}): OwnService {
  const { url, port, folder, command, crash = 'SIGKILL', answers = () => connection(port) } = of
  let child: ChildProcess | undefined
  let printed = ''
  // a test that ends early takes its services with it
  const endWithTest = (): void => {
    child?.kill(crash)
    rmSync(folder, { recursive: true, force: true })
  }
  process.once('exit', endWithTest)

  async function stop(signal: NodeJS.Signals = crash): Promise<void> {
    const ending = child
    child = undefined
    if (!ending || ending.exitCode !== null || ending.signalCode !== null) return
    const exited = once(ending, 'exit')
    ending.kill(signal)
    ending.kill('SIGCONT')
    await exited
  }

  return {
    url,
    stop,
    async start() {
      const [first = '', ...args] = command
      const started = spawn(first, args, { stdio: ['ignore', 'pipe', 'pipe'] })
      child = started
      const keep = (chunk: Buffer): void => {
        printed += chunk
      }
      started.stdout.on('data', keep)
      started.stderr.on('data', keep)
      const deadline = Date.now() + startLimitMs
      for (;;) {
        assert.ok(started.exitCode === null && Date.now() < deadline, `${first} did not start: ${printed}`)
        if (
          await answers().then(
            () => true,
            () => false,
          )
        )
          return
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    },
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
    async close() {
      await stop()
      process.off('exit', endWithTest)
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function connection(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect').finally(() => socket.destroy())
}

async function onServer(url: string, statement: string): Promise<void> {
  const server = await open(url)
  await server.query(sql.raw(statement)).finally(() => server.close())
}

/** Its statements may wait for as long as a test holds a lock. */
const open = (url: string): Promise<Database> =>
  openDatabase({ dataDir: '', database: { url, pool: 5, statementTimeoutMs: 120_000 } })

/** The program of that name on PATH, or where Debian keeps PostgreSQL's. */
export function program(name: string): string | undefined {
  const debian = '/usr/lib/postgresql'
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : []
  const folders = [
    ...(process.env.PATH ?? '').split(delimiter),
    ...versions.map((version) => join(debian, version, 'bin')),
  ]
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path))
}

/** PostgreSQL refuses to run as root: how to run it as somebody else, if that is needed; undefined where it cannot be. */
function unprivileged(): { prefix: string[]; owner?: { uid: number; gid: number } } | undefined {
  if (process.getuid?.() !== 0) return { prefix: [] }
  const [uid, gid] = ['-u', '-g'].map((which) =>
    Number.parseInt(spawnSync('id', [which, 'postgres'], { encoding: 'utf8' }).stdout, 10),
  )
  if (!uid || !gid || !program('setpriv')) return undefined
  return { prefix: ['setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups'], owner: { uid, gid } }
}
