import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, describe, test } from 'node:test'
import { brotliCompressSync, brotliDecompressSync, gunzipSync, gzipSync } from 'node:zlib'
import { createWeb } from '../../src/transport/web.ts'
import { serveHttp } from '../support/http.ts'

const html = '<!doctype html><title>Kintsugi</title><script type="module" src="/assets/main-Bx3k9a1Z.js"></script>'
const script = `console.log('${'gold '.repeat(400)}')`
const asset = '/assets/main-Bx3k9a1Z.js'
/** What a browser sends that goes to an address. */
const visit = { accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' }

const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; " +
  "font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; " +
  "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types dompurify"

const nobodyKnown = (_req: unknown, _res: unknown, next: () => void) => next()

let folder: string
let server: Awaited<ReturnType<typeof serveHttp>>

before(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'kintsugi-web-')), 'dist')
  await mkdir(join(folder, 'assets'), { recursive: true })
  const files = {
    'index.html': html,
    'icon.svg': '<svg xmlns="http://www.w3.org/2000/svg"/>',
    '.sources': 'what the page was built from',
    [asset]: script,
    [`${asset}.br`]: brotliCompressSync(script),
    [`${asset}.gz`]: gzipSync(script),
    '/assets/gone-00000000.js': script,
    '../package.json': '{ "name": "outside" }',
  }
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content)
  const deps = { routes: [], bearerAuthentication: nobodyKnown, web: createWeb(folder) }
  server = await serveHttp(deps)
})
after(async () => {
  await server?.close()
  await rm(join(folder, '..'), { recursive: true, force: true })
})

interface Answer {
  status: number | undefined
  headers: Record<string, string | string[] | undefined>
  body: string
}

/** Asks for a path to the letter: fetch would make another of some, and unpack what comes. */
function ask(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer & { bytes: Buffer }> {
  return new Promise((resolve, reject) => {
    const asking = request(server.url, { path, headers, method }, async (answer) => {
      const body = await text(answer.setEncoding('latin1'))
      const bytes = Buffer.from(body, 'latin1')
      resolve({ status: answer.statusCode, headers: answer.headers, body: bytes.toString(), bytes })
    })
    asking.once('error', reject).end()
  })
}

function assertIsPage({ status, headers, body }: Answer) {
  assert.deepEqual([status, body], [200, html])
  assert.match(String(headers['content-type']), /^text\/html;\s*charset=utf-8$/)
}

function assertIsUnknown({ status, headers, body }: Answer) {
  assert.deepEqual([status, headers['content-type']], [404, 'application/problem+json; charset=utf-8'])
  assert.equal((JSON.parse(body) as { code: string }).code, 'not_found')
}

describe('the page', () => {
  test('is at the root, for a browser and for a program', async () => {
    for (const headers of [visit, {}, { accept: '*/*' }]) assertIsPage(await ask('/', headers))
    assertIsPage(await ask('/index.html'))
    assertIsPage(await ask('/?from=mail'))
  })

  test('is at every address that it may know itself, for who goes there', async () => {
    for (const path of [
      ...['/c/0197a3c2-7d1e-7c40-9b7e-2f6d0a1b3c4d', '/invite/ada.l', '/settings/devices', '/verify-email'],
      ...['/reset-password?token=a.b', '/billing/payments/1', '/billing/subscription'],
    ]) {
      assertIsPage(await ask(path, visit))
      assertIsUnknown(await ask(path, { accept: '*/*' }))
      assertIsUnknown(await ask(path, { accept: 'application/json' }))
    }
  })

  test('is not in the place of what a program has asked for wrongly', async () => {
    for (const path of ['/v1', '/v1/unknown', '/v1/users/1/unknown', '/assets/unknown-1a2b3c4d.js'])
      assertIsUnknown(await ask(path, visit))
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
      assertIsUnknown(await ask('/', visit, method))
      assertIsUnknown(await ask('/c/1', visit, method))
    }
  })

  test('leaves the addresses of the server to the server', async () => {
    const { status, headers, body } = await ask('/healthz', visit)
    assert.deepEqual([status, JSON.parse(body)], [200, { status: 'ok' }])
    assert.notEqual(headers['content-security-policy'], policy)
  })

  test('comes with strict headers, and is compared at each visit', async () => {
    for (const path of ['/', '/c/1']) {
      const { headers } = await ask(path, visit)
      assert.equal(headers['content-security-policy'], policy)
      assert.equal(headers['referrer-policy'], 'no-referrer')
      assert.equal(headers['permissions-policy'], 'camera=(), microphone=(), geolocation=()')
      assert.equal(headers['x-content-type-options'], 'nosniff')
      assert.equal(headers['cache-control'], 'no-cache')
      const again = await ask(path, { ...visit, 'if-none-match': String(headers.etag) })
      assert.deepEqual([again.status, again.body], [304, ''])
      // a browser takes the headers of such an answer for those of the page that it has
      assert.equal(again.headers['content-security-policy'], policy)
      assert.equal(again.headers['cache-control'], 'no-cache')
    }
  })

  test('can be asked about without being sent', async () => {
    const { status, headers, body } = await ask('/c/1', visit, 'HEAD')
    assert.deepEqual([status, body, headers['content-length']], [200, '', String(Buffer.byteLength(html))])
    assert.equal(headers['content-security-policy'], policy)
    assert.equal((await ask('/v1/unknown', visit, 'HEAD')).status, 404)
  })
})

describe('its files', () => {
  test('are kept for a year where the name tells what is in them, and compared where not', async () => {
    const { status, headers, body } = await ask(asset)
    assert.deepEqual([status, body], [200, script])
    assert.equal(headers['cache-control'], 'public, max-age=31536000, immutable')
    assert.match(String(headers['content-type']), /^text\/javascript/)
    const icon = await ask('/icon.svg')
    assert.deepEqual([icon.headers['cache-control'], icon.headers['content-type']], ['no-cache', 'image/svg+xml'])
    assert.ok(icon.headers.etag)
  })

  test('come packed for who can unpack them', async () => {
    const unpack = { br: brotliDecompressSync, gzip: gunzipSync }
    for (const [accepted, encoding] of [
      ['gzip, deflate, br', 'br'],
      ['gzip', 'gzip'],
    ] as const) {
      const { headers, bytes } = await ask(asset, { 'accept-encoding': accepted })
      assert.equal(headers['content-encoding'], encoding)
      assert.equal(headers['cache-control'], 'public, max-age=31536000, immutable')
      assert.match(String(headers.vary), /Accept-Encoding/)
      assert.equal(unpack[encoding](bytes).toString(), script)
    }
    assert.equal((await ask(asset, { 'accept-encoding': 'identity' })).headers['content-encoding'], undefined)
  })

  test('come whole, whatever part is asked for', async () => {
    for (const range of ['bytes=0-9', 'bytes=500-2', 'bytes=-5', 'nonsense']) {
      const { status, body } = await ask(asset, { range })
      assert.deepEqual([status, body], [200, script])
    }
  })

  test('are those of the folder, and none that is hidden or beside it', async () => {
    for (const path of [
      ...[
        '/.sources',
        '/%2esources',
        `${asset}.br`,
        '/../package.json',
        '/..%2f..%2fpackage.json',
        '/..%2fpackage.json',
      ],
      ...[
        '/assets/../../package.json',
        '/%2e%2e/package.json',
        '/..\\package.json',
        '/assets',
        '/assets/',
        '//etc/passwd',
      ],
      ...['/%', '/%00', '/icon.svg%00.html'],
    ]) {
      const { status, body } = await ask(path)
      assert.ok(status === 404 || status === 400, `${path}: ${status}`)
      assert.doesNotMatch(body, /outside|built from/)
      const visited = await ask(path, visit)
      assert.doesNotMatch(visited.body, /outside|built from/, path)
    }
  })

  test('that are gone since end the request alone', async () => {
    const path = '/assets/gone-00000000.js'
    assert.equal((await ask(path)).body, script)
    await rm(join(folder, path))
    await assert.rejects(ask(path), { code: 'ECONNRESET' })
    assertIsPage(await ask('/'))
  })
})

test('a folder without a page gives none, and all is as without it', async () => {
  const empty = await mkdtemp(join(tmpdir(), 'kintsugi-web-'))
  try {
    assert.equal(createWeb(join(empty, 'dist')), undefined)
    assert.equal(createWeb(empty), undefined)
    const deps = { routes: [], bearerAuthentication: nobodyKnown, web: createWeb(empty) }
    const without = await serveHttp(deps)
    const response = await fetch(without.url, { headers: visit })
    assert.equal(response.status, 404)
    assert.equal(response.headers.get('content-type'), 'application/problem+json; charset=utf-8')
    await without.close()
  } finally {
    await rm(empty, { recursive: true, force: true })
  }
})
