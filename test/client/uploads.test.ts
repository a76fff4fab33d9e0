import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it, type TestContext } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import jwt from 'jsonwebtoken'
import { ApiError, type Client, type ClientOptions, createClient, memoryStorage } from '../../src/client/index.ts'
import { tokenKey } from '../../src/identity/access-token.ts'
import type { ErrorCode } from '../../src/kernel/errors.ts'
import { openWay } from '../faults/way.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import { register } from '../support/people.ts'
import { jwtSecret } from '../support/server.ts'
import { heard } from './fake.server.ts'

const password = 'correct horse'
const reconnect = { minMs: 20, maxMs: 100 }
const megabyte = 1024 * 1024
/** A file that is nothing but bytes: kept as it is. */
const fileOf = (bytes: number, name = 'notes.bin') => new File([randomBytes(bytes)], name)

const isRefusal = (status: number, code: ErrorCode) => (error: unknown) => {
  assert.ok(error instanceof ApiError, String(error))
  assert.deepEqual([error.status, error.code], [status, code])
  return true
}

describe('files of the client', () => {
  let server: Backend

  before(async () => {
    server = await startBackend({
      MEDIA_URL_SECONDS: '2',
      ...{ MEDIA_MAX_IMAGE_MB: '10', MEDIA_MAX_VIDEO_MB: '10', MEDIA_MAX_AUDIO_MB: '10', MEDIA_MAX_FILE_MB: '10' },
    })
  })
  after(() => server?.end())

  async function person(t: TestContext, name: string, options: Partial<ClientOptions> = {}) {
    const { user } = await register(server.url, name)
    const client = createClient({ url: server.url, socket: { reconnect }, ...options })
    t.after(() => client.close())
    await client.login({ username: user.username, password })
    return Object.assign(client, { userId: user.id })
  }

  const usedBytes = async (client: Client): Promise<number> =>
    (await client.rest.request<{ usedBytes: number }>('GET', '/v1/me/storage')).usedBytes

  const downloaded = async (url: string): Promise<Buffer> => {
    const response = await fetch(url)
    assert.equal(response.status, 200, url)
    return Buffer.from(await response.arrayBuffer())
  }

  describe('an upload', () => {
    it('arrives whole, under its name, and its progress is told to the end', async (t: TestContext) => {
      const ann = await person(t, 'ann')
      const file = fileOf(3 * megabyte, 'Übersicht “2026” 🌍.bin')
      const told: number[] = []
      const onProgress = (sent: number, total: number) => {
        assert.equal(total, file.size)
        told.push(sent)
      }
      const { kind, bytes, name, url } = await ann.upload(file, { onProgress })
      assert.deepEqual({ kind, bytes, name }, { kind: 'file', bytes: file.size, name: file.name })
      assert.ok(told.length > 2, 'it was told on the way, too')
      assert.deepEqual(
        told,
        told.toSorted((a, b) => a - b),
      )
      assert.equal(told.at(-1), file.size)
      assert.deepEqual(await downloaded(await ann.mediaUrl(url)), Buffer.from(await file.arrayBuffer()))
      const quiet = await ann.upload(new Blob([randomBytes(10)]), { name: 'ten' })
      assert.deepEqual([quiet.bytes, quiet.name], [10, 'ten'])
    })

    it('that is aborted rejects with the reason, and leaves nothing', async (t: TestContext) => {
      const ben = await person(t, 'ben')
      const abort = new AbortController()
      const reason = new Error('Ben has changed his mind.')
      const uploading = ben.upload(fileOf(8 * megabyte), {
        signal: abort.signal,
        onProgress: (sent) => sent > megabyte && abort.abort(reason),
      })
      await assert.rejects(uploading, reason)
      await assert.rejects(ben.upload(fileOf(10), { signal: abort.signal }), reason)
      assert.equal(await usedBytes(ben), 0)
      const { bytes } = await ben.upload(fileOf(100))
      assert.equal(await usedBytes(ben), bytes)
    })

    it('goes again with another token where the first one has expired, once', async (t: TestContext) => {
      const storage = memoryStorage()
      const cleo = await person(t, 'cleo', { storage })
      const login = JSON.parse(String(await storage.get('kintsugi.login')))
      const expiring = jwt.decode(login.accessToken) as jwt.JwtPayload
      const expired = jwt.sign({ ...expiring, exp: Math.floor(Date.now() / 1000) - 60 }, tokenKey(jwtSecret))
      await storage.set('kintsugi.login', JSON.stringify({ ...login, accessToken: expired }))
      const calls: string[] = []
      const again = createClient({
        url: server.url,
        storage,
        fetch(input, init) {
          calls.push(new URL(String(input)).pathname)
          return fetch(input, init)
        },
      })
      t.after(() => again.close())
      const file = fileOf(megabyte)
      const told: number[] = []
      const { bytes } = await again.upload(file, { onProgress: (sent) => told.push(sent) })
      assert.equal(bytes, file.size)
      assert.deepEqual(calls, ['/v1/uploads', '/v1/auth/refresh', '/v1/uploads'])
      assert.ok(told[0] !== undefined && told[0] < file.size)
      assert.equal(await usedBytes(cleo), file.size)
    })

    it('that is refused says why, as other requests do, however much of it is still to be sent', async (t: TestContext) => {
      const dan = await person(t, 'dan')
      const noImage = new File([randomBytes(1000)], 'a.png', { type: 'image/png' })
      const tooLong = fileOf(40 * megabyte)
      for (const how of [{}, { onProgress: () => {} }]) {
        await assert.rejects(dan.upload(noImage, how), isRefusal(415, 'unsupported_media'))
        await assert.rejects(dan.upload(tooLong, how), isRefusal(413, 'payload_too_large'))
      }
      const lost = createClient({ url: 'http://127.0.0.1:1' })
      t.after(() => lost.close())
      await assert.rejects(lost.upload(fileOf(10)), isRefusal(0, 'unavailable'))
      assert.equal(await usedBytes(dan), 0)
    })
  })

  it('sends with attachments outlive an outage and a restart: shown at once, stored once, in order', async (t: TestContext) => {
    const way = await openWay(server.url)
    t.after(way.close)
    const storage = memoryStorage()
    const [eve, finn] = [await person(t, 'eve', { url: way.url, storage }), await person(t, 'finn')]
    await Promise.all([eve.connect(), finn.connect()])
    const { id } = await eve.command('conversation:create', { type: 'direct', participantIds: [finn.userId] })
    const uploads = []
    for (let i = 0; i < 4; i++) uploads.push(await eve.upload(fileOf(100 + i, `${i}.bin`)))
    const [first, second, third, fourth] = uploads as [(typeof uploads)[0], ...typeof uploads] & { length: 4 }
    assert.ok(second && third && fourth)

    // stored, and nobody has told Eve
    const arrived = heard((handler) => finn.on('messages:created', handler))
    way.hold()
    eve.send(id, 'two of them', { attachments: [second, first] })
    await arrived
    const lost = heard((handler) => eve.on('disconnected', handler))
    way.sever()
    await lost
    eve.send(id, '', { attachments: [third] })
    eve.send(id, 'by its id', { attachmentIds: [fourth.id] })
    assert.deepEqual(
      eve.pending(id).map(({ attachments }) => attachments?.map(({ name }) => name)),
      [['1.bin', '0.bin'], ['2.bin'], undefined],
    )
    await eve.close()
    way.release()
    way.mend()

    const back = createClient({ url: way.url, storage, socket: { reconnect } })
    t.after(() => back.close())
    await back.connect()
    await back.synced()
    const rows = () => (finn.store.get(id)?.messages ?? []).filter(({ type }) => type !== 'system')
    if (rows().length < 3) {
      await heard<string>(
        (handler) => finn.on('changed', handler),
        () => rows().length >= 3,
      )
    }
    const all = [
      ['two of them', ['1.bin', '0.bin']],
      ['', ['2.bin']],
      ['by its id', ['3.bin']],
    ]
    const shown = (client: Client) =>
      client.store.get(id)?.messages.map(({ content, attachments }) => [content, attachments?.map(({ name }) => name)])
    assert.deepEqual(shown(finn), all)
    assert.deepEqual(shown(back), all)
    assert.deepEqual(back.pending(id), [])
  })

  it('the sender sees the stored message with its attachments without another sync', async (t: TestContext) => {
    const [gus, hana] = [await person(t, 'gus'), await person(t, 'hana')]
    await gus.connect()
    const { id } = await gus.command('conversation:create', { type: 'direct', participantIds: [hana.userId] })
    const attachment = await gus.upload(fileOf(50))
    const { acknowledged } = gus.send(id, 'here', { attachments: [attachment] })
    const { message } = await acknowledged
    assert.deepEqual(
      message?.attachments?.map((one) => one.id),
      [attachment.id],
    )
    assert.deepEqual(gus.store.get(id)?.messages, [message])
  })

  describe('an address', () => {
    it('that has expired is exchanged for a new one, by one request however many ask', async (t: TestContext) => {
      const asked: string[] = []
      const ian = await person(t, 'ian', {
        fetch(input, init) {
          asked.push(new URL(String(input)).pathname)
          return fetch(input, init)
        },
      })
      const file = fileOf(200)
      const { id, url } = await ian.upload(file)
      const whole = new URL(url, server.url).href
      while ((await fetch(whole, { method: 'HEAD' })).status !== 404) await setTimeout(100)
      asked.length = 0
      const renewed = await Promise.all([url, url, whole].map(ian.mediaUrl))
      assert.deepEqual(asked, [`/v1/attachments/${id}`])
      assert.equal(new Set(renewed).size, 1)
      assert.notEqual(renewed[0], whole)
      assert.deepEqual(await downloaded(String(renewed[0])), Buffer.from(await file.arrayBuffer()))
    })

    it('that has expired is exchanged for those alone who may see the file', async (t: TestContext) => {
      const [jo, kim] = [await person(t, 'jo'), await person(t, 'kim')]
      const { url } = await jo.upload(fileOf(20))
      await downloaded(await jo.mediaUrl(url))
      // addresses of two seconds are as good as expired
      for (let times = 0; times < 2; times++) await assert.rejects(kim.mediaUrl(url), isRefusal(404, 'not_found'))
    })
  })
})
