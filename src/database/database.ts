import { MikroORM as EmbeddedORM } from '@mikro-orm/pglite'
import { MikroORM as PostgresORM } from '@mikro-orm/postgresql'
import type { SqlEntityManager } from '@mikro-orm/sql'
import { CompiledQuery, type Kysely, type RawBuilder, sql } from 'kysely'
import { Pool } from 'pg'
import { AppError } from '../kernel/errors.ts'
import type { Connection } from '../kernel/ports.ts'
import { isUnavailable } from './failures.ts'
import { lockFolder } from './folder-lock.ts'
import { connectionOptions, type DatabaseConfig, ormOptions } from './options.ts'

export type { Connection } from '../kernel/ports.ts'

/**
 * The database as the features see it. Work that belongs together runs in `transact`, with the `em` that it is given and
 * no other: on the embedded database, which has one connection, any other would wait for ever.
 */
export interface Database {
  /** Whether this is the embedded database: one connection, one process. */
  embedded: boolean
  /** A fresh entity manager for reading outside of a transaction. */
  em(): SqlEntityManager
  /** One transaction: committed when `work` returns, rolled back when it throws. No network call belongs inside. */
  transact<T>(work: (em: SqlEntityManager) => Promise<T>): Promise<T>
  /** One parametrised statement outside of a transaction. */
  query<T>(statement: RawBuilder<T>): Promise<T[]>
  /**
   * A statement that is sent so often that its way counts: parsed once a connection, on connections of its
   * own, so that it never waits behind others. Each call is a transaction of its own.
   * @param name tells it from the other prepared statements
   */
  prepare<T>(name: string, text: string): (values: unknown[]) => Promise<T[]>
  /** Where the job queue keeps its jobs: in this database, by connections of its own where there can be others. */
  jobStore: JobStore
  /** Runs the migrations that the database does not have yet; many nodes may call it at once. Returns their names. */
  migrate(): Promise<string[]>
  close(): Promise<void>
}

/** PostgreSQL by its address, or statements on the embedded database: one with values, or several in one text without. */
export type JobStore = { url: string } | { executeText(text: string, values?: unknown[]): Promise<{ rows: unknown[] }> }

/** What a node has open beside the pool, for prepared statements. */
const preparedConnections = 2

/** Any fixed number: nodes that migrate the same database wait for each other on it. */
const migrationLock = 7_205_931

/**
 * Opens PostgreSQL where the configuration names one, else the embedded database in the data folder.
 * @throws FolderInUseError where another process has the folder
 */
export async function openDatabase(config: DatabaseConfig): Promise<Database> {
  const embedded = !config.database.url
  const unlock = embedded ? lockFolder(config.dataDir) : () => {}
  const orm = await initialise(config).catch((error: unknown) => {
    unlock()
    throw error
  })

  const withoutLock = async () => (await orm.migrator.up()).map(({ name }) => name)
  /** Nothing gathers statistics there by itself, and without any the planner takes one index for as good as another. */
  const embeddedMigrations = async () => {
    const names = await withoutLock()
    await sql`analyze`.execute(connection)
    return names
  }
  const connection = orm.em.getConnection().getClient() as Kysely<unknown>
  const direct = config.database.url ? openDirect(config.database.url, config.database) : undefined

  /** On the one connection that there is, while nothing else runs on it. */
  async function executeText(text: string, values: unknown[] = []): Promise<{ rows: unknown[] }> {
    if (values.length > 0) {
      const { rows } = await connection.executeQuery<unknown>(CompiledQuery.raw(text, values))
      return { rows }
    }
    // several statements in one text, which the dialect would not take
    const native = await (orm.em.getConnection() as unknown as { getNativeClient(): Promise<Pglite> }).getNativeClient()
    return connection.connection().execute(async () => {
      try {
        return { rows: (await native.exec(text)).flatMap(({ rows = [] }) => rows) }
      } catch (error) {
        // a transaction that failed half-way must not stay open for those who come after
        await native.exec('rollback').catch(() => undefined)
        throw error
      }
    })
  }

  return {
    embedded,
    jobStore: config.database.url ? { url: config.database.url } : { executeText },
    em: () => orm.em.fork(),
    transact: (work) => translated(() => orm.em.fork().transactional(work)),
    query: (statement) => translated(async () => (await statement.execute(connection)).rows),
    prepare: <T>(name: string, text: string) =>
      direct
        ? (values) => translated(async () => (await direct.query({ name, text, values })).rows as T[])
        : (values) => translated(async () => (await connection.executeQuery<T>(CompiledQuery.raw(text, values))).rows),
    migrate: () =>
      // the embedded database has one connection and one process: a lock on it could only wait for itself
      embedded ? embeddedMigrations() : connection.connection().execute((held) => underLock(held, withoutLock)),
    async close() {
      await direct?.end()
      await orm.close()
      unlock()
    },
  }
}

function openDirect(url: string, config: DatabaseConfig['database']): Pool {
  const pool = new Pool({ ...connectionOptions(config), connectionString: url, max: preparedConnections })
  // a connection that breaks while nobody uses it is replaced by the next call, which tells if that fails too
  pool.on('error', () => {})
  return pool
}

/** Runs one parametrised statement in the transaction of `em`. */
export async function run<T>(em: Connection, statement: RawBuilder<T>): Promise<T[]> {
  return (await statement.execute(em.getKysely() as unknown as Kysely<unknown>)).rows
}

type Pglite = { exec(text: string): Promise<{ rows?: unknown[] }[]> }

type Orm = { em: SqlEntityManager; migrator: { up(): Promise<{ name: string }[]> }; close(): Promise<void> }

async function initialise(config: DatabaseConfig): Promise<Orm> {
  const options = ormOptions(config)
  const orm = config.database.url ? await PostgresORM.init(options as never) : await EmbeddedORM.init(options as never)
  await orm.em.getConnection().connect()
  return orm as unknown as Orm
}

async function underLock<T>(held: Kysely<unknown>, work: () => Promise<T>): Promise<T> {
  await sql`set statement_timeout = 0`.execute(held)
  await sql`set lock_timeout = 0`.execute(held)
  await sql`select pg_advisory_lock(${migrationLock})`.execute(held)
  try {
    return await work()
  } finally {
    await sql`select pg_advisory_unlock(${migrationLock})`.execute(held)
    await sql`reset statement_timeout`.execute(held)
    await sql`reset lock_timeout`.execute(held)
  }
}

/** A database that is away or overloaded is the caller's to retry; what else it says is a bug of ours and stays as it is. */
async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (isUnavailable(error))
      throw new AppError('unavailable', 'The database does not answer right now.', { cause: error })
    throw error
  }
}
