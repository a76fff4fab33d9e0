import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { MikroORM as EmbeddedORM } from '@mikro-orm/pglite'
import { MikroORM as PostgresORM } from '@mikro-orm/postgresql'
import { sql } from 'kysely'
import { openDatabase } from '../../src/database/database.ts'
import { ormOptions } from '../../src/database/options.ts'
import { createDatabase } from '../support/backend.ts'
import { openTestDatabase } from '../support/database.ts'

const { DATABASE_URL } = process.env
const withoutServer = DATABASE_URL ? false : 'DATABASE_URL names no PostgreSQL'
const settings = (url: string | undefined, dataDir = '') => ({
  dataDir,
  database: { url, pool: 5, statementTimeoutMs: 30_000 },
})

/** What entities cannot state: triggers and functions, which stand at the end of the migration. */
const unstated = /^drop (trigger|function) /
/** The comparison takes `timestamptz` of an entity for another type than that of the database; this changes nothing. */
const sameTimestamp = /^alter table "\w+" alter column ("\w+") type timestamptz using \(\1::timestamptz\);$/

/** What MikroORM would still change in a migrated database for it to be what the entities say. */
async function difference(url: string | undefined, dataDir: string): Promise<string[]> {
  const options = ormOptions(settings(url, dataDir))
  const orm = url ? await PostgresORM.init(options as never) : await EmbeddedORM.init(options as never)
  try {
    await orm.migrator.up()
    const update = await orm.schema.getUpdateSchemaSQL({ wrap: false })
    return update.split('\n').filter((line) => line !== '' && !unstated.test(line) && !sameTimestamp.test(line))
  } finally {
    await orm.close()
  }
}

test('a migrated embedded database is what the entities say', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'kintsugi-migrations-'))
  try {
    assert.deepEqual(await difference(undefined, folder), [])
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

test('a migrated PostgreSQL is what the entities say', { skip: withoutServer }, async () => {
  const { url, drop } = await createDatabase(DATABASE_URL as string)
  try {
    assert.deepEqual(await difference(url, ''), [])
  } finally {
    await drop()
  }
})

test('every time is stored with its zone', async () => {
  const { database, close } = await openTestDatabase()
  try {
    const without = await database.query(sql`
      select table_name, column_name from information_schema.columns
      where table_schema = 'public' and data_type = 'timestamp without time zone' and table_name <> 'mikro_orm_migrations'`)
    assert.deepEqual(without, [])
  } finally {
    await close()
  }
})

test('migrating again changes nothing', async () => {
  const { database, close } = await openTestDatabase()
  try {
    assert.deepEqual(await database.migrate(), [])
  } finally {
    await close()
  }
})

test('many nodes that migrate at once run each migration once', { skip: withoutServer }, async () => {
  const { url, drop } = await createDatabase(DATABASE_URL as string)
  const nodes = await Promise.all(Array.from({ length: 5 }, () => openDatabase(settings(url))))
  try {
    const names = await Promise.all(nodes.map((node) => node.migrate()))
    assert.equal(names.filter((run) => run.length > 0).length, 1)
    const rows = await nodes[0]?.query(sql<{ name: string }>`select name from mikro_orm_migrations order by id`)
    assert.deepEqual(
      rows?.map(({ name }) => name),
      names.flat(),
    )
    const [waiting] =
      (await nodes[0]?.query(sql<{ timeout: string }>`select current_setting('statement_timeout') as timeout`)) ?? []
    assert.equal(waiting?.timeout, '30s')
  } finally {
    await Promise.all(nodes.map((node) => node.close()))
    await drop()
  }
})
