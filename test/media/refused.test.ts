import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { deflateSync } from 'node:zlib'
import sharp from 'sharp'
import { eventually } from '../faults/scene.ts'
import { filesIn, nothing, startMedia, stores, type TestMedia } from '../support/media.ts'

const megabyte = 1024 * 1024

const paint = (width: number, height: number) =>
  sharp({ create: { width, height, channels: 3, background: { r: 200, g: 30, b: 90 } } })

/** A PNG of one colour, whose few bytes are very many pixels. */
function bomb(side: number): Buffer {
  const rows = deflateSync(Buffer.alloc((side / 8 + 1) * side), { level: 9 })
  const chunk = (type: string, data: Buffer): Buffer => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
    const whole = Buffer.alloc(body.length + 8)
    whole.writeUInt32BE(data.length)
    body.copy(whole, 4)
    whole.writeUInt32BE(crc32(body), body.length + 4)
    return whole
  }
  const head = Buffer.alloc(13)
  head.writeUInt32BE(side)
  head.writeUInt32BE(side, 4)
  // one bit a pixel, grey
  head[8] = 1
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
  return Buffer.concat([signature, chunk('IHDR', head), chunk('IDAT', rows), chunk('IEND', Buffer.alloc(0))])
}

const svg = (inside: string, attributes = '') =>
  `<?xml version="1.0"?>\n<!-- a drawing -->\n<svg xmlns="http://www.w3.org/2000/svg"${attributes}>${inside}</svg>`

const hostileDrawings: Record<string, string | Buffer> = {
  'a script': svg('<script>alert(1)</script>'),
  'a script of another prefix': `<x:svg xmlns:x="http://www.w3.org/2000/svg"><x:script>alert(1)</x:script></x:svg>`,
  'a script behind a byte order mark': Buffer.from(`\ufeff${svg('<script/>')}`, 'utf16le'),
  'a handler': svg('<path d="M0 0"/>', ' onload="alert(1)"'),
  'a handler in capitals': svg('<path d="M0 0" ONCLICK="alert(1)"/>'),
  'a link with a script': svg('<a href="javascript:alert(1)"><text>x</text></a>'),
  'a link with numbers for letters': svg('<use href="&#106;avascript:alert(1)"/>'),
  'a page in it': svg('<foreignObject><body xmlns="http://www.w3.org/1999/xhtml"/></foreignObject>'),
  'an image from elsewhere': svg('<image href="https://elsewhere.example/x.png"/>'),
  'a style from elsewhere': svg('<style>@import "https://elsewhere.example/x.css";</style>'),
  'a style from elsewhere between elements': svg('<style><title/>@import "https://elsewhere.example/x.css";</style>'),
  'a paint from elsewhere': svg('<path fill="url(https://elsewhere.example/x)"/>'),
  'an animation of a link': svg('<set attributeName="href" to="javascript:alert(1)"/>'),
  'an entity from elsewhere': `<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>${svg('<text>&x;</text>')}`,
  'a style sheet from elsewhere': `<?xml-stylesheet href="https://elsewhere.example/x.css"?>${svg('')}`,
  'what is no XML at all': '<svg><path d=M0></svg',
}

interface Case {
  status: number
  code: string
  content: Buffer | string
  name?: string
  type?: string
}

async function cases(): Promise<Record<string, Case>> {
  const png = await paint(64, 64).png().toBuffer()
  const jpeg = await sharp(Buffer.from(Array.from({ length: 64 * 64 * 3 }, (_, i) => (i * 7919) % 251)), {
    raw: { width: 64, height: 64, channels: 3 },
  })
    .jpeg()
    .toBuffer()
  const unsupported = { status: 415, code: 'unsupported_media' }
  const tooLarge = { status: 413, code: 'payload_too_large' }
  const invalid = { status: 400, code: 'invalid_request' }
  const drawings = Object.entries(hostileDrawings).flatMap(([what, content]) =>
    [undefined, 'image/svg+xml', 'text/html', 'image/png'].map((type) => [
      `a drawing with ${what}, as ${type}`,
      { ...unsupported, content, type, name: 'drawing.svg' },
    ]),
  )
  const names = [
    '../../etc/passwd',
    '/etc/passwd',
    'C:\\boot.ini',
    '..',
    '.',
    'a\tb',
    'a\u202egnp.exe',
    'é'.repeat(128),
  ]
  return {
    ...Object.fromEntries(drawings),
    ...Object.fromEntries(
      names.map((name) => [`the name ${JSON.stringify(name)}`, { ...invalid, content: png, name }]),
    ),
    'a GIF that is a script': {
      ...unsupported,
      content: 'GIF89a/*<script>*/=1;alert(1)//</script>',
      type: 'image/gif',
    },
    'a GIF that is a script, and does not say so': { ...unsupported, content: 'GIF89a/*\0\0\0\0*/=1;alert(1)' },
    'a PDF that says it is an image': {
      ...unsupported,
      content: '%PDF-1.7\n1 0 obj\n',
      name: 'a.png',
      type: 'image/png',
    },
    'an image that says it is a video': { ...unsupported, content: png, type: 'video/mp4' },
    'a page that says it is a sound': { ...unsupported, content: '<html><script>1</script>', type: 'audio/mpeg' },
    'a TIFF that says so': { ...unsupported, content: await paint(8, 8).tiff().toBuffer(), type: 'image/tiff' },
    'a truncated JPEG': { ...unsupported, content: jpeg.subarray(0, jpeg.length / 2), type: 'image/jpeg' },
    'a truncated PNG, which says nothing': { ...unsupported, content: png.subarray(0, png.length - 30) },
    'a JPEG of which nothing but the head is one': {
      ...{ ...unsupported, content: Buffer.concat([jpeg.subarray(0, 180), Buffer.alloc(5000, 7)]), type: 'image/jpeg' },
    },
    'a pixel bomb': { ...tooLarge, content: bomb(30_000), type: 'image/png' },
    'a pixel bomb that says nothing': { ...tooLarge, content: bomb(30_000) },
    'a GIF of too many frames': {
      ...{ ...tooLarge, type: 'image/gif' },
      content: await sharp(
        await Promise.all(
          [1, 2, 3, 4, 5].map((i) =>
            paint(1000, 900 + i - i)
              .png()
              .toBuffer(),
          ),
        ),
        {
          join: { animated: true },
        },
      )
        .gif({ keepDuplicateFrames: true })
        .toBuffer(),
    },
    'an image over its limit': {
      ...tooLarge,
      content: Buffer.concat([png, Buffer.alloc(2 * megabyte)]),
      type: 'image/png',
    },
    'a file over every limit': { ...tooLarge, content: Buffer.alloc(3 * megabyte + 1) },
    'a file far over every limit': { ...tooLarge, content: Buffer.alloc(20 * megabyte) },
  }
}

for (const [where, start] of Object.entries(stores)) {
  describe(`an upload that is refused, with media on ${where}`, () => {
    let media: TestMedia
    let ann: string
    before(async () => {
      media = await startMedia({ store: await start() })
      ann = await media.user()
    })
    after(() => media.close())

    test('is told why by its code, and leaves nothing', async () => {
      for (const [what, { status, code, content, name, type }] of Object.entries(await cases())) {
        const refused = await media.refused(ann, content, name, type)
        assert.deepEqual({ status: refused.status, code: refused.code }, { status, code }, `${what}: ${refused.detail}`)
        assert.deepEqual(await media.remains(), nothing, what)
      }
    })

    test('for its form leaves nothing, either', async () => {
      const multipart = 'multipart/form-data; boundary=x'
      const forms: [number, string, string | undefined, string][] = [
        [415, 'unsupported_media', 'application/json', '{}'],
        [415, 'unsupported_media', undefined, 'bytes'],
        [400, 'invalid_request', 'multipart/form-data', 'no boundary'],
        [400, 'invalid_request', multipart, 'no form'],
        [400, 'invalid_request', multipart, form()],
        [400, 'invalid_request', multipart, form(part('other', 'a.txt'))],
        [400, 'invalid_request', multipart, form(part('file'))],
        [400, 'invalid_request', multipart, form(part('file', 'a'), part('file', 'b'))],
        [400, 'invalid_request', multipart, form(part('file', 'a'), part('more'))],
        [400, 'invalid_request', multipart, part('file', 'a')],
        [400, 'invalid_request', multipart, form(part('__proto__', 'a'))],
      ]
      for (const [status, code, type, body] of forms) {
        const headers = type ? { 'content-type': type } : undefined
        const response = await media.ask(ann, '/v1/uploads', { method: 'POST', body: Buffer.from(body), headers })
        const said = `${type} ${JSON.stringify(body)}`
        assert.equal(response.status, status, said)
        assert.equal(((await response.json()) as { code: string }).code, code, said)
        assert.deepEqual(await media.remains(), nothing, said)
      }
    })

    test('that breaks off in the middle leaves nothing', async () => {
      for (const length of [0, 1, 100_000]) {
        const sending = request(`${media.url}/v1/uploads`, {
          method: 'POST',
          headers: {
            'authentication-of': ann,
            'content-type': 'multipart/form-data; boundary=x',
            'content-length': 200_000,
          },
        })
        const failed = once(sending, 'error')
        sending.write(`${part('file', 'a').slice(0, -5)}${'x'.repeat(length)}`)
        // it has begun to be received
        await eventually('it is being received', async () => (await filesIn(media.scratch)).length > 0)
        sending.destroy(new Error('gone'))
        await failed
        await media.sawCallerGo()
        await eventually('nothing is left of it', async () => (await filesIn(media.scratch)).length === 0)
        assert.deepEqual(await media.remains(), nothing)
      }
    })

    test('without a caller is not read at all', async () => {
      const response = await fetch(`${media.url}/v1/uploads`, {
        method: 'POST',
        headers: { 'content-type': 'multipart/form-data; boundary=x' },
        body: Buffer.from(form(part('file', 'a'))),
      })
      assert.equal(response.status, 401)
      assert.deepEqual(await media.remains(), nothing)
    })
  })
}

const part = (field: string, filename?: string): string =>
  `--x\r\nContent-Disposition: form-data; name="${field}"${filename ? `; filename="${filename}"` : ''}\r\n\r\nhello\r\n`

const form = (...parts: string[]): string => `${parts.join('')}--x--\r\n`

function crc32(bytes: Buffer): number {
  let sum = 0xffffffff
  for (const byte of bytes) {
    sum ^= byte
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1
  }
  return (sum ^ 0xffffffff) >>> 0
}
