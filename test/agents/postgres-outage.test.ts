import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { sql } from 'kysely'
import { assertSound, closing, eventually, lasting } from '../faults/scene.ts'
import { join } from '../messenger/scene.ts'
import { type OwnService, ownPostgres, ownRedis, useDatabase, withoutOwnPostgres } from '../support/services.ts'
import {
  askModel,
  connectWriter,
  deltasOf,
  further,
  heardText,
  hearsEnd,
  hearsUpTo,
  openChat,
  openStage,
  pieces,
  standingOf,
  startWriters,
} from './nodes.ts'

interface Outage {
  begin(db: OwnService): unknown
  end(db: OwnService): unknown
  ms: number
  /** The texts come to their end while the database is away. */
  endsMeanwhile?: boolean
}

const outages: [string, Outage][] = [
  ['restarted', { begin: (db) => db.stop('SIGINT'), end: (db) => db.start(), ms: 4_000 }],
  [
    'crashed while they end',
    { begin: (db) => db.stop('SIGQUIT'), end: (db) => db.start(), ms: 4_000, endsMeanwhile: true },
  ],
  // a lease is 15 s: those that write are alive, and nobody may take their runs from them
  ['frozen for longer than a lease', { begin: (db) => db.freeze(), end: (db) => db.thaw(), ms: 19_000 }],
]

for (const count of [1, 2]) {
  test(`PostgreSQL is away while texts grow on ${count === 1 ? 'one node' : 'two nodes'}`, {
    skip: withoutOwnPostgres,
  }, async (t) => {
    const postgres = await closing(t, ownPostgres())
    await postgres.start()
    const redis = count > 1 ? await closing(t, ownRedis()) : undefined
    await redis?.start()
    const rows = await useDatabase(postgres)
    const { nodes, a, b, models } = await startWriters(t, count, { database: rows, ...(redis && { redis }) })
    const ann = await join(a, 'ann')
    const reader = await further(b, ann)
    t.after(async () => {
      for (const person of [ann, reader]) person.close()
      await rows.database.close()
    })
    const { key, conversationId } = await openStage(a, ann)
    const writer = await closing(t, connectWriter(b, key))

    const goThrough = async (context: TestContext, { begin, end, ms, endsMeanwhile = false }: Outage) => {
      const before = await standingOf(a, ann)
      const gate = Promise.withResolvers<void>()
      const parts = pieces(300)
      const text = parts.join('')
      models.script('m1', { chunks: parts, pauseMs: 12, holdAfter: 250, holdUntil: gate.promise })
      const answer = await askModel(ann, await openChat(ann, 'm1'))
      const messageId = await writer.begin(conversationId)
      let written = 0
      let offset = 0
      const write = async (upTo: number): Promise<void> => {
        for (const piece of parts.slice(written, upTo)) {
          const grown = { conversationId, messageId, offset, text: piece }
          offset = (await writer.do<{ offset: number }>('stream:append', grown)).offset
          written++
          await lasting(20)
        }
      }
      await write(20)
      await hearsUpTo(reader, answer.id, 200)

      await begin(postgres)
      const growing = write(150)
      await lasting(ms)
      if (endsMeanwhile) gate.resolve()
      await growing
      if (endsMeanwhile) await lasting(ms / 2)
      await end(postgres)
      gate.resolve()
      await write(parts.length)
      const finish = () => writer.ask('stream:finish', { conversationId, messageId })
      await eventually('the agent has finished', async () => (await finish()).ok)

      for (const id of [answer.id, messageId]) {
        for (const person of [ann, reader]) {
          const ended = await hearsEnd(person, { id })
          assert.deepEqual([ended.status, ended.content], ['sent', text])
          assert.equal(heardText(person, id), text, 'what was told is what is stored')
        }
        const [row] = await rows.database.query(sql<{ content: string }>`select content from messages where id = ${id}`)
        assert.equal(row?.content, text)
      }
      context.diagnostic(`${deltasOf(reader, answer.id).length} and ${deltasOf(reader, messageId).length} deltas`)
      const { used, held } = await standingOf(a, ann)
      assert.deepEqual([used - before.used, held], [10 + parts.length, 0])
    }

    for (const [how, outage] of outages) {
      await t.test(`${how}: they go on, whole, nothing twice and nothing missing`, (context) =>
        goThrough(context, outage),
      )
    }
    assertSound(...nodes)
  })
}
