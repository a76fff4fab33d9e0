import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'
import { sql } from 'kysely'
import { AppError } from '../../src/kernel/errors.ts'
import { eventually } from '../faults/scene.ts'
import { nothing, stalled, startMedia, stores, type TestMedia } from '../support/media.ts'

const keyOf = (content: Buffer | string): string => {
  const sum = createHash('sha256').update(content).digest('hex')
  return `${sum.slice(0, 2)}/${sum}`
}

const statuses = async (answers: Promise<Response>[]): Promise<Record<number, number>> => {
  const counts: Record<number, number> = {}
  for (const { status } of await Promise.all(answers)) counts[status] = (counts[status] ?? 0) + 1
  return counts
}

describe('a quota', () => {
  let media: TestMedia
  before(async () => {
    media = await startMedia({ config: { quotaBytes: 10_000 } })
  })
  after(() => media.close())

  test('holds under 50 uploads at once, of one person as of each', async () => {
    const [ann, ben] = [await media.user(), await media.user()]
    const counts = await statuses([
      ...Array.from({ length: 50 }, () => media.send(ann, randomBytes(1_000))),
      media.send(ben, randomBytes(9_000)),
    ])
    assert.deepEqual(counts, { 201: 11, 429: 40 })
    assert.deepEqual([await media.usage(ann), await media.usage(ben)], [10_000, 9_000])
    const { stored, attachments, usage, scratch } = await media.remains()
    assert.deepEqual([stored.length, attachments, usage, scratch], [11, 11, 19_000, []])
  })

  test('says how much of it is used, and comes back with what is removed', async () => {
    const cat = await media.user()
    const { id } = await media.upload(cat, randomBytes(6_000))
    const refused = await media.refused(cat, randomBytes(5_000))
    assert.deepEqual([refused.status, refused.code], [429, 'quota_exceeded'])
    assert.deepEqual(refused, { ...refused, usedBytes: 6_000, quotaBytes: 10_000 })
    const newcomer = await media.user()
    assert.equal((await media.refused(newcomer, randomBytes(10_001))).code, 'quota_exceeded')
    assert.equal(await media.usage(newcomer), 0)
    assert.equal((await media.ask(cat, `/v1/attachments/${id}`, { method: 'DELETE' })).status, 204)
    assert.equal(await media.usage(cat), 0)
    await media.upload(cat, randomBytes(10_000))
  })
})

for (const [where, start] of Object.entries(stores)) {
  describe(`equal bytes, with media on ${where}`, () => {
    let media: TestMedia
    let ann: string
    let ben: string
    before(async () => {
      media = await startMedia({ store: await start() })
      ;[ann, ben] = [await media.user(), await media.user()]
    })
    after(() => media.close())

    test('are one object for 50 uploads at once, and each counts for whom it is of', async () => {
      const content = randomBytes(20_000)
      const attachments = await Promise.all(
        Array.from({ length: 50 }, (_, i) => media.upload(i % 2 ? ann : ben, content, `${i}.bin`)),
      )
      assert.deepEqual(await media.keys(), [keyOf(content)])
      assert.equal(new Set(attachments.map(({ id }) => id)).size, 50)
      assert.deepEqual([await media.usage(ann), await media.usage(ben)], [500_000, 500_000])

      const remove = ({ id }: { id: string }, i: number) =>
        media.ask(i % 2 ? ann : ben, `/v1/attachments/${id}`, { method: 'DELETE' })
      assert.deepEqual(await statuses(attachments.slice(1).map((one, i) => remove(one, i + 1))), { 204: 49 })
      assert.deepEqual(Buffer.from(await (await media.fetch(attachments[0]?.url)).arrayBuffer()), content)
      assert.equal((await remove(attachments[0] ?? { id: '' }, 0)).status, 204)
      assert.deepEqual(await media.remains(), nothing)
    })

    test('can be uploaded while they are being removed, again and again: what was taken is served', async () => {
      const content = randomBytes(20_000)
      for (let round = 0; round < 5; round++) {
        const had = await Promise.all(Array.from({ length: 10 }, () => media.upload(ann, content)))
        const [added] = await Promise.all([
          Promise.all(Array.from({ length: 10 }, () => media.upload(ben, content))),
          ...had.map(({ id }) => media.ask(ann, `/v1/attachments/${id}`, { method: 'DELETE' })),
        ])
        for (const { url } of added)
          assert.deepEqual(Buffer.from(await (await media.fetch(url)).arrayBuffer()), content)
        assert.deepEqual(await media.keys(), [keyOf(content)])
        await Promise.all(added.map(({ id }) => media.ask(ben, `/v1/attachments/${id}`, { method: 'DELETE' })))
        assert.deepEqual(await media.remains(), nothing)
      }
    })
  })
}

describe('an upload of bytes that are being removed', () => {
  test('waits until they have gone, and then brings them again', async (context) => {
    const removal = stalled('remove')
    const media = await startMedia(removal)
    context.after(() => media.close())
    const ann = await media.user()
    const { id } = await media.upload(ann, 'the same')
    const removed = media.ask(ann, `/v1/attachments/${id}`, { method: 'DELETE' })
    await removal.begun
    const again = media.upload(ann, 'the same')
    const [marked] = await media.database.query(
      sql<{ key: string }>`select key from media_objects where removing_at is not null`,
    )
    assert.equal(marked?.key, keyOf('the same'))
    // it has come as far as to where it would refer to them
    await eventually('it is being stored', async () =>
      (await readdir(media.scratch)).some((name) => /^made-/.test(name)),
    )
    for (let turn = 0; turn < 20; turn++) await media.database.query(sql`select 1`)
    removal.goOn()
    assert.equal((await removed).status, 204)
    const { url } = await again
    assert.equal(await (await media.fetch(url)).text(), 'the same')
  })

  test('is refused for now where nobody goes on removing them', async (context) => {
    const media = await startMedia()
    context.after(() => media.close())
    const ann = await media.user()
    await media.upload(ann, 'the same')
    await media.database.query(sql`update media_objects set removing_at = now()`)
    const refused = await media.refused(ann, 'the same')
    assert.deepEqual([refused.status, refused.code], [503, 'unavailable'])
    const { attachments, usage } = await media.remains()
    assert.deepEqual([attachments, usage], [1, 8])
  })
})

describe('a store that fails', () => {
  test('lets an upload fail, which leaves nothing, and can be tried again', async (context) => {
    let fails = true
    const media = await startMedia({
      around: (store) => ({
        ...store,
        async put(...object) {
          // as a server that took the bytes and could not say so
          await store.put(...object)
          if (fails) throw new AppError('unavailable', 'The storage of media does not answer right now.')
        },
      }),
    })
    context.after(() => media.close())
    const ann = await media.user()
    const refused = await media.refused(ann, 'some bytes')
    assert.deepEqual([refused.status, refused.code], [503, 'unavailable'])
    assert.deepEqual(await media.remains(), nothing)
    fails = false
    await media.upload(ann, 'some bytes')
  })

  test('leaves what it did not remove marked, for a later round', async (context) => {
    let fails = true
    const media = await startMedia({
      around: (store) => ({
        ...store,
        async remove(key) {
          if (fails) throw new AppError('unavailable', 'The storage of media does not answer right now.')
          await store.remove(key)
        },
      }),
    })
    context.after(() => media.close())
    const ann = await media.user()
    const { id } = await media.upload(ann, 'some bytes')
    assert.equal((await media.ask(ann, `/v1/attachments/${id}`, { method: 'DELETE' })).status, 204)
    const { attachments, objects, stored, usage } = await media.remains()
    assert.deepEqual([attachments, objects.length, stored.length, usage], [0, 1, 1, 0])
    fails = false
    await media.runJob('media-tidy')
    assert.equal((await media.remains()).stored.length, 1, 'whoever has marked it a moment ago may be at it')
    await media.age(1)
    await media.runJob('media-tidy')
    assert.deepEqual(await media.remains(), nothing)
  })
})
