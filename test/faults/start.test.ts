import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join as path } from 'node:path'
import { test } from 'node:test'
import { sql } from 'kysely'
import { openDatabase } from '../../src/database/database.ts'
import { join, type Person } from '../support/people.ts'
import { useDatabase, withoutServices } from '../support/services.ts'
import { assertSound, closing, hearsText, makeGroup, say, startScene } from './scene.ts'

test('three nodes start at once on an empty database: it is migrated once, and they serve together', {
  skip: withoutServices,
}, async (t) => {
  const { nodes, database } = await startScene(t, 3)
  const applied = await database.database.query(sql<{ name: string }>`select name from mikro_orm_migrations`)
  const files = readdirSync(path(import.meta.dirname, '../../migrations')).filter((file) => file.endsWith('.ts'))
  assert.deepEqual(applied.map(({ name }) => `${name.replace(/\.ts$/, '')}.ts`).sort(), files.sort())
  assert.equal(nodes.filter((node) => node.output().includes('the database was migrated')).length, 1)

  const people = (await Promise.all(nodes.map(({ url }) => join(url, 'someone')))) as [Person, Person, Person]
  t.after(() => {
    for (const person of people) person.close()
  })
  const id = await makeGroup(...people)
  for (const person of people) {
    const { content } = await say(person, id)
    await Promise.all(people.filter((other) => other !== person).map((other) => hearsText(other, content)))
  }
  for (const node of nodes) assert.equal(await node.stop(), 0)
  assertSound()
})

test('of many who migrate at once one does it, and the others wait for it', { skip: withoutServices }, async (t) => {
  const { url } = await closing(t, useDatabase())
  const open = () => openDatabase({ dataDir: '', database: { url, pool: 2, statementTimeoutMs: 10_000 } })
  const databases = await Promise.all(Array.from({ length: 5 }, open))
  const applied = await Promise.allSettled(databases.map((database) => database.migrate()))
  await Promise.all(databases.map((database) => database.close()))
  assert.deepEqual(
    applied.map(({ status }) => status),
    databases.map(() => 'fulfilled'),
  )
  const who = applied.filter((one) => one.status === 'fulfilled' && one.value.length > 0)
  assert.equal(who.length, 1)
})
