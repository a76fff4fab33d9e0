import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import sharp from 'sharp'
import { createUrls } from '../../src/media/urls.ts'
import { startMedia, stores, type TestMedia } from '../support/media.ts'

const content = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * 31) % 251))

for (const [where, start] of Object.entries(stores)) {
  describe(`a download, with media on ${where}`, () => {
    let media: TestMedia
    let ann: string
    let url: string
    let opened = 0
    before(async () => {
      const around: Parameters<typeof startMedia>[0] = {
        store: await start(),
        around: (store) => ({
          ...store,
          open(...which) {
            opened += 1
            return store.open(...which)
          },
        }),
      }
      media = await startMedia(around)
      ann = await media.user()
      url = (await media.upload(ann, content, 'Übergröße "x".bin')).url
    })
    after(() => media.close())

    test('is the bytes, with what keeps browsers from taking them for something else', async () => {
      const response = await media.fetch(url)
      assert.equal(response.status, 200)
      const expected = {
        'content-type': 'application/octet-stream',
        'content-length': '200000',
        'x-content-type-options': 'nosniff',
        'content-security-policy': "default-src 'none'; sandbox",
        'cross-origin-resource-policy': 'cross-origin',
        'accept-ranges': 'bytes',
        etag: `"${createHash('sha256').update(content).digest('hex')}"`,
        'cache-control': 'private, max-age=600, immutable',
      }
      for (const [name, value] of Object.entries(expected)) assert.equal(response.headers.get(name), value, name)
      const disposition = response.headers.get('content-disposition') ?? ''
      assert.match(disposition, /^attachment; filename="[^"]+\\"x\\".bin"; filename\*=UTF-8''%C3%9Cbergr/)
      assert.deepEqual(Buffer.from(await response.arrayBuffer()), content)
    })

    test('gives the range that is asked for, and of several the whole', async () => {
      const etag = (await media.fetch(url, { method: 'HEAD' })).headers.get('etag') ?? ''
      const whole = [200, 0, 199_999] as const
      const ranges: [Record<string, string>, readonly [number, number, number]][] = [
        [{ range: 'bytes=0-9' }, [206, 0, 9]],
        [{ range: 'bytes=199990-' }, [206, 199_990, 199_999]],
        [{ range: 'bytes=-5' }, [206, 199_995, 199_999]],
        [{ range: 'bytes=100-999999' }, [206, 100, 199_999]],
        [{ range: 'bytes=0-9,20-29' }, whole],
        [{ range: 'bytes=0-9,5-29' }, [206, 0, 29]],
        [{ range: 'lines=0-9' }, whole],
        [{ range: 'nonsense' }, whole],
        [{ range: 'bytes=0-9', 'if-range': etag }, [206, 0, 9]],
        [{ range: 'bytes=0-9', 'if-range': '"another"' }, whole],
        [{ range: 'bytes=0-9', 'if-range': 'Sat, 21 Nov 2026 12:00:00 GMT' }, whole],
      ]
      for (const [headers, [status, from, to]] of ranges) {
        const response = await media.fetch(url, { headers })
        const said = JSON.stringify(headers)
        assert.equal(response.status, status, said)
        assert.equal(response.headers.get('content-range'), status === 206 ? `bytes ${from}-${to}/200000` : null, said)
        assert.deepEqual(Buffer.from(await response.arrayBuffer()), content.subarray(from, to + 1), said)
      }
      for (const range of ['bytes=200000-', 'bytes=-0']) {
        const response = await media.fetch(url, { headers: { range } })
        assert.deepEqual([response.status, response.headers.get('content-range')], [416, 'bytes */200000'], range)
        assert.equal((await response.arrayBuffer()).byteLength, 0)
      }
    })

    test('is not repeated for who has it, and the head alone does not open the object', async () => {
      const before = opened
      const head = await media.fetch(url, { method: 'HEAD' })
      assert.deepEqual([head.status, head.headers.get('content-length')], [200, '200000'])
      const etag = head.headers.get('etag') ?? ''
      for (const known of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
        const response = await media.fetch(url, { headers: { 'if-none-match': known, range: 'bytes=0-9' } })
        assert.equal(response.status, 304, known)
        assert.equal(response.headers.get('etag'), etag)
        assert.match(response.headers.get('cache-control') ?? '', /^private, max-age=\d+, immutable$/)
      }
      assert.equal(opened, before)
      const other = await media.fetch(url, { headers: { 'if-none-match': '"other"' } })
      assert.equal(other.status, 200)
      await other.arrayBuffer()
      assert.equal(opened, before + 1)
    })

    test('that the caller leaves ends the reading', async () => {
      const leaving = new AbortController()
      const response = await media.fetch(url, { signal: leaving.signal })
      await response.body?.getReader().read()
      leaving.abort()
      await media.sawCallerGo()
      assert.deepEqual((await (await media.fetch(url)).arrayBuffer()).byteLength, content.length)
      assert.deepEqual(
        media.logged.filter((line) => /"level":[56]0/.test(line)),
        [],
      )
    })

    test('of an empty file is empty', async () => {
      const empty = await media.upload(ann, '', 'empty.txt', 'text/plain')
      assert.deepEqual([empty.bytes, empty.kind, empty.mime], [0, 'file', 'text/plain'])
      const response = await media.fetch(empty.url)
      assert.deepEqual([response.status, response.headers.get('content-length')], [200, '0'])
      assert.equal((await media.fetch(empty.url, { headers: { range: 'bytes=0-' } })).status, 416)
    })

    test('of an object that has been lost is not found, and says nothing of the rest', async () => {
      const lost = await media.upload(ann, 'soon lost')
      await media.lose(lost.id)
      const response = await media.fetch(lost.url)
      assert.equal(response.status, 404)
      assert.equal(response.headers.get('content-disposition'), null)
      assert.equal(response.headers.get('cache-control'), 'no-store')
    })
  })
}

describe('what browsers are shown', () => {
  let media: TestMedia
  let ann: string
  before(async () => {
    media = await startMedia()
    ann = await media.user()
  })
  after(() => media.close())

  test('is images made anew, video and sound; pages, drawings and documents are downloads', async () => {
    const png = await sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } })
      .png()
      .toBuffer()
    const files: [Buffer | string, string, string, string, string][] = [
      [png, 'image/png', 'image', 'inline', 'image/png'],
      [wav(8_000), 'audio/wav', 'audio', 'inline', 'audio/wav'],
      [wav(8_000), '', 'audio', 'inline', 'audio/wav'],
      [webm('pictures'), 'video/webm', 'video', 'inline', 'video/webm'],
      [webm('sound'), 'audio/webm;codecs=opus', 'audio', 'inline', 'audio/webm'],
      [webm('sound'), 'video/webm', 'audio', 'inline', 'audio/webm'],
      ['<html><script>alert(1)</script></html>', 'text/html', 'file', 'attachment', 'text/html'],
      [
        '<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0h9" fill="url(#a)"/></svg>',
        'image/svg+xml',
        'file',
        'attachment',
        'image/svg+xml',
      ],
      ['%PDF-1.7\n%âã\n1 0 obj\n<<>>\nendobj\n', 'application/pdf', 'file', 'attachment', 'application/pdf'],
      ['just words', 'application/x-evil', 'file', 'attachment', 'application/octet-stream'],
    ]
    for (const [bytes, type, kind, disposition, mime] of files) {
      const attachment = await media.upload(ann, bytes, 'a name', type)
      assert.deepEqual([attachment.kind, attachment.mime], [kind, mime], type)
      const response = await media.fetch(attachment.url)
      const served = Buffer.from(await response.arrayBuffer())
      assert.equal(response.headers.get('content-disposition'), `${disposition}; filename="a name"`)
      assert.equal(response.headers.get('content-type'), disposition === 'inline' ? mime : 'application/octet-stream')
      assert.equal(response.headers.get('x-content-type-options'), 'nosniff')
      if (kind !== 'image') assert.deepEqual(served, Buffer.from(bytes))
    }
  })

  test('tells how long a sound or a video is', async () => {
    assert.equal((await media.upload(ann, wav(12_000), 'x.wav', 'audio/wav')).durationMs, 1500)
    assert.equal((await media.upload(ann, webm('pictures'), 'x.webm', 'video/webm')).durationMs, 2500)
  })
})

describe('an address', () => {
  let media: TestMedia
  let ann: string
  before(async () => {
    media = await startMedia({ config: { urlSeconds: 600 } })
    ann = await media.user()
  })
  after(() => media.close())

  const codeOf = async (address: string): Promise<number> => {
    const response = await media.fetch(address)
    await response.arrayBuffer()
    return response.status
  }

  test('that was forged, or given for something else, leads nowhere', async () => {
    const png = await sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } })
      .png()
      .toBuffer()
    const one = await media.upload(ann, png)
    const other = await media.upload(ann, 'another')
    const signature = new URL(one.url, media.url).searchParams.get('signature') ?? ''
    const forged = [
      one.url.replace('/original', '/thumbnail'),
      one.url.replace(one.id, other.id),
      one.url.replace(/expires=(\d+)/, (_all, expires) => `expires=${Number(expires) + 1}`),
      one.url.replace(signature, signature.split('').reverse().join('')),
      one.url.replace(signature, signature.slice(0, -4)),
      one.url.replace(signature, `${signature}AAAA`),
      one.url.replace(signature, Buffer.alloc(16).toString('base64url')),
    ]
    for (const address of forged) assert.equal(await codeOf(address), 404, address)
    assert.deepEqual([await codeOf(one.url), await codeOf(one.thumbnailUrl ?? '')], [200, 200])
    for (const address of [one.url.replace(`&signature=${signature}`, ''), one.url.replace(/expires=\d+/, 'expires=x')])
      assert.equal(await codeOf(address), 400, address)
    assert.equal(await codeOf(other.url.replace('/original', '/thumbnail')), 404)
  })

  test('is good until the second that it names, and its owner is given another', async () => {
    const { id, url } = await media.upload(ann, 'for a while')
    const expires = Number(new URL(url, media.url).searchParams.get('expires'))
    const at = (seconds: number) => media.set(new Date(seconds * 1000).toISOString())
    at(expires - 0.001)
    const last = await media.fetch(url)
    assert.deepEqual([last.status, last.headers.get('cache-control')], [200, 'private, max-age=0, immutable'])
    at(expires)
    assert.equal(await codeOf(url), 404)
    const again = (await (await media.ask(ann, `/v1/attachments/${id}`)).json()) as { url: string }
    assert.notEqual(again.url, url)
    assert.equal(await codeOf(again.url), 200)
  })

  test('stays the same for half of its life, is never good for longer than that life, and ends with what it is of', () => {
    let now = Date.parse('2026-06-01T00:00:07.300Z')
    const urls = createUrls({
      config: { publicUrl: 'https://chat.example.org/', secret: 'one', urlSeconds: 600 },
      clock: () => new Date(now),
    })
    const expiresOf = (address: string) => Number(new URL(address).searchParams.get('expires')) * 1000
    const first = urls.of('x', 'original')
    assert.ok(first.startsWith('https://chat.example.org/v1/media/x/original?'))
    let given = first
    let changes = 0
    for (const end = now + 3_600_000; now < end; now += 1_000) {
      const address = urls.of('x', 'original')
      assert.ok(expiresOf(address) - now <= 600_000 && expiresOf(address) - now >= 300_000)
      if (address !== given) changes += 1
      given = address
    }
    assert.equal(changes, 12)
    const until = new Date(now + 60_500)
    assert.equal(expiresOf(urls.of('x', 'original', until)), Math.floor(until.getTime() / 1000) * 1000)
    const other = createUrls({
      config: { publicUrl: undefined, secret: 'two', urlSeconds: 600 },
      clock: () => new Date(now),
    })
    const signature = (address: string) => address.split('signature=')[1]
    assert.notEqual(signature(other.of('x', 'original')), signature(urls.of('x', 'original')))
  })
})

describe('an attachment', () => {
  let media: TestMedia
  before(async () => {
    media = await startMedia()
  })
  after(() => media.close())

  test('is shown to its owner and to those who are shown what refers to it, and to nobody else', async () => {
    const [ann, ben, eve] = [await media.user(), await media.user(), await media.user()]
    const { id } = await media.upload(ann, 'for ben')
    await media.use(ann, id, ben)
    const statusFor = async (as: string, path = `/v1/attachments/${id}`) => (await media.ask(as, path)).status
    assert.deepEqual([await statusFor(ann), await statusFor(ben), await statusFor(eve)], [200, 200, 404])
    assert.equal(await statusFor(''), 401)
    assert.equal(await statusFor(ann, `/v1/attachments/${crypto.randomUUID()}`), 404)
    assert.equal(await statusFor(ann, '/v1/attachments/x'), 400)
    await media.unuse(id)
    assert.deepEqual([await statusFor(ann), await statusFor(ben)], [200, 404])
  })
})

/** The head of a WebM of 2.5 s with one track. */
function webm(track: 'sound' | 'pictures'): Buffer {
  const element = (id: string, content: Buffer | string): Buffer => {
    const data = Buffer.from(content)
    const length = Buffer.alloc(4)
    length.writeUInt32BE(data.length | 0x1000_0000)
    return Buffer.concat([Buffer.from(id, 'hex'), length, data])
  }
  const all = (...elements: Buffer[]): Buffer => Buffer.concat(elements)
  const byte = (value: number): Buffer => Buffer.from([value])
  const duration = Buffer.alloc(4)
  duration.writeFloatBE(2500)
  const entry =
    track === 'sound'
      ? all(element('83', byte(2)), element('86', 'A_OPUS'), element('e1', element('9f', byte(1))))
      : all(element('83', byte(1)), element('86', 'V_VP8'), element('e0', element('b0', byte(16))))
  const info = all(element('2ad7b1', Buffer.from([0x0f, 0x42, 0x40])), element('4489', duration))
  return all(
    element('1a45dfa3', all(element('4286', byte(1)), element('4282', 'webm'), element('4287', byte(4)))),
    element('18538067', all(element('1549a966', info), element('1654ae6b', element('ae', entry)))),
  )
}

/** So many samples, 8,000 a second. */
function wav(samples: number): Buffer {
  const head = Buffer.alloc(44)
  head.write('RIFF', 0, 'latin1')
  head.writeUInt32LE(36 + samples, 4)
  head.write('WAVEfmt ', 8, 'latin1')
  head.writeUInt32LE(16, 16)
  head.writeUInt16LE(1, 20)
  head.writeUInt16LE(1, 22)
  head.writeUInt32LE(8_000, 24)
  head.writeUInt32LE(8_000, 28)
  head.writeUInt16LE(1, 32)
  head.writeUInt16LE(8, 34)
  head.write('data', 36, 'latin1')
  head.writeUInt32LE(samples, 40)
  return Buffer.concat([head, Buffer.alloc(samples, 128)])
}
