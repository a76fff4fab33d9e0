import { join } from 'node:path'
import { Migrator } from '@mikro-orm/migrations'
import { defineConfig as definePgliteConfig } from '@mikro-orm/pglite'
import { defineConfig as definePostgresConfig } from '@mikro-orm/postgresql'
import { entities } from './entities.ts'

export interface DatabaseConfig {
  dataDir: string
  database: { url: string | undefined; pool: number; statementTimeoutMs: number }
}

/** How every connection to PostgreSQL is set, whoever opens it. */
export function connectionOptions({ statementTimeoutMs }: DatabaseConfig['database']) {
  return {
    application_name: 'kintsugi',
    // also how long a query waits for a free connection, when thousands of clients come back at once
    connectionTimeoutMillis: 15_000,
    statement_timeout: statementTimeoutMs,
    // changes to a conversation that is held up for long must not take all connections
    lock_timeout: Math.min(3_000, statementTimeoutMs),
    idle_in_transaction_session_timeout: statementTimeoutMs,
    keepAlive: true,
  }
}

/** The options of MikroORM, the same for the server, its migrations and the ORM's command line. */
export function ormOptions({ dataDir, database }: DatabaseConfig) {
  const shared = {
    entities,
    extensions: [Migrator],
    forceUtcTimezone: true,
    migrations: {
      path: join(import.meta.dirname, '../../migrations'),
      glob: '*.ts',
      emit: 'ts' as const,
      snapshot: false,
      // switching foreign keys off would need a superuser
      disableForeignKeys: false,
      // the names are returned, and logged once
      silent: true,
      transactional: true,
      allOrNothing: true,
    },
  }
  if (!database.url) return definePgliteConfig({ ...shared, dbName: join(dataDir, 'database') })
  return definePostgresConfig({
    ...shared,
    clientUrl: database.url,
    pool: { min: 0, max: database.pool },
    driverOptions: connectionOptions(database),
  })
}
