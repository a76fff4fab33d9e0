import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { after, before, describe, test } from 'node:test'
import { sql } from 'kysely'
import sharp from 'sharp'
import { createDiskStore } from '../../src/adapters/disk.ts'
import { openDatabase } from '../../src/database/database.ts'
import { eventually } from '../faults/scene.ts'
import { createDatabase } from '../support/backend.ts'
import { withCode } from '../support/identity.ts'
import { filesIn, nothing, stalled, startMedia, stores, type TestMedia } from '../support/media.ts'
import { register } from '../support/people.ts'
import { startServer } from '../support/server.ts'
import { migratedFolder } from '../support/template.ts'

for (const [where, start] of Object.entries(stores)) {
  describe(`an attachment, with media on ${where}`, () => {
    let media: TestMedia
    let ann: string
    let ben: string
    before(async () => {
      media = await startMedia({ store: await start() })
      ;[ann, ben] = [await media.user(), await media.user()]
    })
    after(() => media.close())

    const isThere = async (url: string): Promise<boolean> => (await media.fetch(url)).ok

    test('that nothing refers to is removed a day after the upload, and not before', async () => {
      const image = await sharp({ create: { width: 40, height: 40, channels: 3, background: 'red' } })
        .png()
        .toBuffer()
      const [used, unused] = [await media.upload(ann, image), await media.upload(ann, 'some bytes')]
      await media.use(ann, used.id)
      await media.age(23)
      await media.runJob('media-tidy')
      assert.deepEqual([await isThere(used.url), await isThere(unused.url)], [true, true])
      await media.age(2)
      await media.runJob('media-tidy')
      assert.deepEqual([await isThere(used.url), await isThere(unused.url)], [true, false])
      await media.age(1000)
      await media.runJob('media-tidy')
      assert.equal(await isThere(used.url), true)
      await media.unuse(used.id)
      await media.runJob('media-released')
      assert.deepEqual(await media.remains(), nothing)
    })

    test('goes with the last that refers to it, and its objects with the last attachment that has them', async () => {
      const [one, other] = [await media.upload(ann, 'shared bytes'), await media.upload(ben, 'shared bytes')]
      await media.use(ann, one.id)
      await media.use(ann, one.id)
      await media.use(ben, other.id)
      await media.database.query(sql`
        delete from test_uses where ctid = (select ctid from test_uses where attachment_id = ${one.id} limit 1)`)
      await (await media.database.transact((em) => media.media.attachments.release(em, [one.id])))()
      await media.runJob('media-released')
      assert.equal(await isThere(one.url), true)
      await media.unuse(one.id)
      await media.runJob('media-released')
      assert.deepEqual([await isThere(one.url), await isThere(other.url)], [false, true])
      assert.deepEqual([await media.usage(ann), await media.usage(ben)], [0, 12])
      await media.unuse(other.id)
      await media.runJob('media-released')
      assert.deepEqual(await media.remains(), nothing)
    })

    test('can be removed by its owner while nothing refers to it, and by nobody else', async () => {
      const { id } = await media.upload(ann, 'mine')
      const removed = async (as: string) => (await media.ask(as, `/v1/attachments/${id}`, { method: 'DELETE' })).status
      assert.deepEqual([await removed(ben), await removed('')], [404, 401])
      await media.use(ann, id, ben)
      assert.deepEqual([await removed(ben), await removed(ann)], [404, 409])
      await media.unuse(id)
      assert.deepEqual([await removed(ann), await removed(ann)], [204, 404])
      assert.deepEqual(await media.remains(), nothing)
    })

    test('is left by a deleted account where others see it, as nobody’s, and else goes at once', async () => {
      const cat = await media.user()
      const [seen, unseen] = [await media.upload(cat, 'for others'), await media.upload(cat, 'for nobody')]
      await media.use(cat, seen.id, ben)
      const mine = await media.upload(ann, 'of another')
      const after = await media.database.transact((em) => media.events.publish(em, 'user.deleting', { userId: cat }))
      await media.database.query(sql`update users set deleted_at = now() where id = ${cat}`)
      await after()
      await media.runJob('media-of-deleted', { userId: cat })
      const statuses = [(await media.ask(cat, `/v1/attachments/${seen.id}`)).status]
      for (const as of [ben, ann]) statuses.push((await media.ask(as, `/v1/attachments/${seen.id}`)).status)
      assert.deepEqual(statuses, [404, 200, 404])
      assert.deepEqual(
        [await isThere(seen.url), await isThere(unseen.url), await isThere(mine.url)],
        [true, false, true],
      )
      const { attachments, usage } = await media.remains()
      assert.deepEqual([attachments, usage], [2, 10], 'what is nobody’s is on nobody’s quota')
      await media.unuse(seen.id)
      await media.runJob('media-released')
      await media.ask(ann, `/v1/attachments/${mine.id}`, { method: 'DELETE' })
      assert.deepEqual(await media.remains(), nothing)
    })
  })
}

describe('whoever begins to refer to an attachment', () => {
  let media: TestMedia
  let ann: string
  before(async () => {
    media = await startMedia()
    ann = await media.user()
  })
  after(() => media.close())

  test('must own it, and may ask for kinds', async () => {
    const { id } = await media.upload(ann, 'a file')
    const ben = await media.user()
    const hold = (owner: string, which: string, wanted?: 'image'[]) =>
      media.database.transact((em) => media.media.attachments.hold(em, owner, which, wanted))
    assert.equal(await hold(ann, id), 'file')
    await assert.rejects(hold(ann, id, ['image']), withCode('unprocessable'))
    await assert.rejects(hold(ben, id), withCode('unprocessable'))
    await assert.rejects(hold(ann, crypto.randomUUID()), withCode('unprocessable'))
    await media.database.query(sql`update attachments set status = 'pending' where id = ${id}`)
    await assert.rejects(hold(ann, id), withCode('unprocessable'))
    await media.database.query(sql`update attachments set status = 'ready' where id = ${id}`)
    await media.ask(ann, `/v1/attachments/${id}`, { method: 'DELETE' })
  })

  test('keeps it from a round that would remove it, or else is told that it has gone: 30 of each at once', async () => {
    const uploads = await Promise.all(Array.from({ length: 30 }, () => media.upload(ann, randomBytes(100))))
    await media.age(25)
    const [used] = await Promise.all([
      Promise.allSettled(uploads.map(({ id }) => media.use(ann, id))),
      ...Array.from({ length: 5 }, () => media.runJob('media-tidy')),
    ])
    await media.age(25)
    await media.runJob('media-tidy')
    for (const [i, outcome] of used.entries()) {
      const { ok } = await media.fetch(uploads[i]?.url)
      assert.equal(ok, outcome.status === 'fulfilled')
      if (outcome.status === 'rejected') assert.ok(withCode('unprocessable')(outcome.reason), String(outcome.reason))
    }
    for (const { id } of uploads) await media.unuse(id)
    await media.runJob('media-released')
    assert.deepEqual(await media.remains(), nothing)
  })
})

describe('an upload whose account is deleted meanwhile', () => {
  test('fails and leaves nothing', async (context) => {
    const putting = stalled('put')
    const media = await startMedia(putting)
    context.after(() => media.close())
    const ann = await media.user()
    const sent = media.refused(ann, 'some bytes')
    await putting.begun
    await media.database.transact((em) => media.events.publish(em, 'user.deleting', { userId: ann }))
    await media.database.query(sql`update users set deleted_at = now() where id = ${ann}`)
    await media.runJob('media-of-deleted', { userId: ann })
    putting.goOn()
    assert.equal((await sent).code, 'unavailable')
    assert.deepEqual(await media.remains(), nothing)
    assert.equal((await media.refused(ann, 'more bytes')).code, 'unauthenticated')
    assert.deepEqual(await media.remains(), nothing)
  })
})

describe('what a process that dies has begun', () => {
  for (const [where, start] of Object.entries(stores))
    test(`is removed after an hour, with media on ${where}`, async (context) => {
      const store = await start()
      const begun = Promise.withResolvers<void>()
      const media = await startMedia({
        store,
        around: ({ put, ...rest }) => ({
          ...rest,
          // the object is there, and nobody is left to say so
          async put(...object) {
            await put(...object)
            begun.resolve()
            await new Promise(() => {})
          },
        }),
      })
      context.after(() => media.close())
      const ann = await media.user()
      void media.send(ann, 'some bytes').catch(() => {})
      await begun.promise
      await media.runJob('media-tidy')
      assert.deepEqual([(await media.remains()).attachments, (await media.keys()).length], [1, 1])
      await media.age(2)
      await media.runJob('media-tidy')
      const { scratch, ...remains } = await media.remains()
      assert.deepEqual(remains, { attachments: 0, objects: [], usage: 0, stored: [] })
      assert.equal(scratch.length, 1, 'which the next start removes')
    })

  test('by kill -9 in the middle of 40 uploads is gone after a round: what is left was answered, or can be', async (context) => {
    const folder = await (process.env.DATABASE_URL ? mkdtemp(join(tmpdir(), 'kintsugi-killed-')) : migratedFolder())
    const own = process.env.DATABASE_URL ? await createDatabase(process.env.DATABASE_URL) : undefined
    const endings = [() => own?.drop(), () => rm(folder, { recursive: true, force: true })]
    context.after(async () => {
      for (const end of endings) await end()
    })
    const server = await startServer({ DATA_DIR: folder, ...(own && { DATABASE_URL: own.url }) })
    endings.unshift(() => server.kill())
    const { accessToken } = await register(server.url)
    const answered: { id: string; sent: Buffer }[] = []
    const sendings = Array.from({ length: 40 }, async (_, i) => {
      const sent = randomBytes(100_000 + i * 10_000)
      const body = new FormData()
      body.append('file', new Blob([sent]), 'noise')
      const headers = { authorization: `Bearer ${accessToken}` }
      const response = await fetch(`${server.url}/v1/uploads`, { method: 'POST', headers, body })
      answered.push({ id: ((await response.json()) as { id: string }).id, sent })
    })
    const settled = Promise.allSettled(sendings)
    await eventually('some are stored', () => answered.length >= 5)
    await server.kill()
    await settled
    assert.ok(answered.length < 40, 'all were through before the end')

    const database = await openDatabase({
      dataDir: folder,
      database: { url: own?.url, pool: 5, statementTimeoutMs: 30_000 },
    })
    const store = createDiskStore(join(folder, 'media'))
    const keys = () => filesIn(join(folder, 'media'))
    const media = await startMedia({
      on: { database, url: own?.url, close: () => database.close() },
      store: { store, keys, close: async () => {} },
    })
    endings.unshift(() => media.close())
    await media.database.query(sql`update attachments set check_at = now() where status = 'pending'`)
    await media.runJob('media-tidy')
    const rows = await media.database.query(
      sql<{ id: string; key: string; bytes: number }>`
        select id, storage_key as key, bytes::float8 as bytes from attachments where status = 'ready'`,
    )
    assert.deepEqual(rows.map(({ key }) => key).sort(), await keys())
    const { attachments, objects, usage } = await media.remains()
    assert.deepEqual([attachments, objects], [rows.length, await keys()])
    assert.equal(
      usage,
      rows.reduce((sum, { bytes }) => sum + bytes, 0),
    )
    for (const { id, sent } of answered) {
      const row = rows.find((one) => one.id === id)
      assert.ok(row, 'what was answered is stored')
      assert.deepEqual(await buffer(await store.open(row.key)), sent)
    }
  })
})
