import assert from 'node:assert/strict'
import { once } from 'node:events'
import { PassThrough, Readable } from 'node:stream'
import { after, before, describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { NextFunction, Request, Response } from 'express'
import { z } from 'zod'
import { AppError } from '../../src/kernel/errors.ts'
import { newId } from '../../src/kernel/ids.ts'
import { type Context, operation, publicOperation, type Route } from '../../src/kernel/operation.ts'
import type { Authentication } from '../../src/kernel/ports.ts'
import { CookieRefusal, Reply, type ReplyCookie, type ReplyOptions } from '../../src/kernel/reply.ts'
import { type Role, roles } from '../../src/kernel/roles.ts'
import { serveHttp } from '../support/http.ts'

const limitMs = 5_000

const closing: (() => Promise<void>)[] = []
after(() => Promise.all(closing.map((close) => close())))

/** What the next request is answered with, and what its operation was given. */
let give: (context: Context) => unknown = () => ({})
let given: Context | undefined

const contract = { summary: 'made up', input: z.strictObject({}), output: z.any() }

const publicRoute = (path: string, more: Partial<Route> = {}): Route => ({
  method: 'post',
  path,
  tag: 'test',
  operation: publicOperation(
    `test:${path.slice(1)}`,
    contract,
    async (_input, context) => {
      given = context
      return give(context)
    },
    'login',
  ),
  ...more,
})

const routes: Route[] = [
  publicRoute('/plain'),
  publicRoute('/plain', { method: 'get' }),
  publicRoute('/created', { status: 201 }),
  publicRoute('/nothing', { status: 204 }),
  publicRoute('/elsewhere', { method: 'get', status: 302 }),
  publicRoute('/text', { method: 'get', produces: 'text/csv' }),
  publicRoute('/file', { method: 'get', produces: 'application/zip' }),
  publicRoute('/signed', { body: 'raw' }),
  ...roles.map(
    (role): Route => ({
      method: 'get',
      path: `/for/${role}`,
      tag: 'test',
      operation: operation(`test:${role}`, contract, async () => give({} as Context), 'staff', role),
    }),
  ),
]

/** A server of these routes alone. Whoever says `Bearer <role>` has that role. */
async function startHttp(options: { corsOrigins?: string[]; trustProxy?: number; publicUrl?: string } = {}) {
  const bearerAuthentication = (req: Request, _res: Response, next: NextFunction) => {
    const role = req.headers.authorization?.slice('Bearer '.length) as Role | undefined
    const actor = role && { userId: newId(), kind: 'human' as const, sessionId: newId(), role }
    Object.assign(req, actor && { authentication: { actor, expiresAt: new Date() } satisfies Authentication })
    next()
  }
  const server = await serveHttp({
    routes,
    bearerAuthentication,
    corsOrigins: ['https://app.example.org'],
    ...options,
  })
  closing.push(server.close)
  return {
    ...server,
    ask: (path: string, init: RequestInit = {}) =>
      fetch(`${server.url}/v1${path}`, { redirect: 'manual', signal: AbortSignal.timeout(limitMs), ...init }),
  }
}

type TestHttp = Awaited<ReturnType<typeof startHttp>>

const post = (body?: BodyInit, headers: Record<string, string> = {}): RequestInit => ({
  method: 'POST',
  headers,
  ...(body !== undefined && { body }),
})

const replyWith = (options: ReplyOptions, data: unknown = {}) => {
  give = () => new Reply(data, options)
}

async function codeOf(response: globalThis.Response): Promise<unknown> {
  assert.match(response.headers.get('content-type') ?? '', /^application\/problem\+json/)
  return ((await response.json()) as { code: unknown }).code
}

const cookie: ReplyCookie = { name: 'biscuit', value: 'a b;c', path: '/v1/x', sameSite: 'strict', maxAgeSeconds: 60 }

let http: TestHttp
before(async () => {
  http = await startHttp()
})

describe('an answer', () => {
  test('has the status of its route, or that of the reply where there is one', async () => {
    give = () => ({ a: 1 })
    const plain = await http.ask('/plain', post())
    assert.equal(plain.status, 200)
    assert.deepEqual(await plain.json(), { a: 1 })
    assert.equal((await http.ask('/created', post())).status, 201)
    replyWith({ status: 202 }, { a: 2 })
    const accepted = await http.ask('/created', post())
    assert.equal(accepted.status, 202)
    assert.deepEqual(await accepted.json(), { a: 2 })
  })

  test('has no body where its status has none', async () => {
    give = () => ({ secret: true })
    const nothing = await http.ask('/nothing', post())
    assert.equal(nothing.status, 204)
    assert.equal(await nothing.text(), '')
    replyWith({ headers: { Location: 'https://app.example.org/done?x=%20' } }, { secret: true })
    const elsewhere = await http.ask('/elsewhere')
    assert.equal(elsewhere.status, 302)
    assert.equal(elsewhere.headers.get('location'), 'https://app.example.org/done?x=%20')
    assert.equal(await elsewhere.text(), '')
  })

  test('is kept by no cache, unless the operation says otherwise', async () => {
    give = () => ({})
    assert.equal((await http.ask('/plain')).headers.get('cache-control'), 'no-store')
    replyWith({ headers: { 'Cache-Control': 'private, max-age=60', 'X-Other': 'here' } })
    const other = await http.ask('/plain')
    assert.equal(other.headers.get('cache-control'), 'private, max-age=60')
    assert.equal(other.headers.get('x-other'), 'here')
    give = () => {
      throw new AppError('gone', 'It is gone.')
    }
    assert.equal((await http.ask('/plain')).headers.get('cache-control'), 'no-store')
  })

  test('has the content type that its route says, or the reply', async () => {
    give = () => 'a,b\n'
    const text = await http.ask('/text')
    assert.equal(text.headers.get('content-type'), 'text/csv; charset=utf-8')
    assert.equal(await text.text(), 'a,b\n')
    give = () => Buffer.from([0, 255, 1])
    const file = await http.ask('/file')
    assert.equal(file.headers.get('content-type'), 'application/zip')
    assert.deepEqual(new Uint8Array(await file.arrayBuffer()), new Uint8Array([0, 255, 1]))
    replyWith({ headers: { 'Content-Type': 'image/png' } }, Buffer.from('x'))
    assert.equal((await http.ask('/file')).headers.get('content-type'), 'image/png')
  })
})

describe('a cookie', () => {
  test('is kept from scripts and bears what the operation says', async () => {
    const { name, path, value } = cookie
    replyWith({
      cookies: [cookie, { name: 'other', path: '/v1/y', sameSite: 'lax' }, { name, path, value, sameSite: 'lax' }],
    })
    const { headers } = await http.ask('/plain', post())
    assert.deepEqual(headers.getSetCookie(), [
      'biscuit=a%20b%3Bc; Max-Age=60; Path=/v1/x; HttpOnly; SameSite=Strict',
      'other=; Max-Age=0; Path=/v1/y; HttpOnly; SameSite=Lax',
      'biscuit=a%20b%3Bc; Path=/v1/x; HttpOnly; SameSite=Lax',
    ])
  })

  test('comes with a refusal that says so, which is answered like any other', async () => {
    give = () => {
      const refusal = new AppError('unauthenticated', 'No.', {
        errors: [{ path: 'x', message: 'y' }],
        details: { z: 1 },
      })
      throw new CookieRefusal(refusal, [{ name: 'biscuit', path: '/v1/x', sameSite: 'strict' }])
    }
    const response = await http.ask('/plain', post())
    assert.equal(response.status, 401)
    assert.deepEqual(response.headers.getSetCookie(), ['biscuit=; Max-Age=0; Path=/v1/x; HttpOnly; SameSite=Strict'])
    const { code, detail, errors, z } = (await response.json()) as Record<string, unknown>
    assert.deepEqual(
      { code, detail, errors, z },
      { code: 'unauthenticated', detail: 'No.', errors: [{ path: 'x', message: 'y' }], z: 1 },
    )
  })

  test('that the caller sent is read by its name', async () => {
    give = () => ({})
    await http.ask('/plain', post(undefined, { cookie: 'a=1; biscuit=x%20y; b="q"; broken=%zz; __proto__=p' }))
    const read = ['a', 'biscuit', 'b', 'broken', '__proto__', 'constructor', 'c'].map((name) =>
      given?.request?.cookie(name),
    )
    assert.deepEqual(read, ['1', 'x y', '"q"', '%zz', 'p', undefined, undefined])
    await http.ask('/plain', post())
    assert.equal(given?.request?.cookie('a'), undefined)
  })

  const secured = async (server: TestHttp, headers: Record<string, string> = {}) => {
    replyWith({ cookies: [cookie] })
    const [sent = ''] = (await server.ask('/plain', post(undefined, headers))).headers.getSetCookie()
    give = () => {
      throw new CookieRefusal(new AppError('gone', 'No.'), [cookie])
    }
    const [refused] = (await server.ask('/plain', post(undefined, headers))).headers.getSetCookie()
    assert.equal(refused, sent)
    return sent.includes('; Secure')
  }

  test('is Secure where the public address is HTTPS', async () => {
    for (const [publicUrl, expected] of [
      ['https://chat.example.org', true],
      ['http://localhost:3000', false],
    ] as const) {
      const server = await startHttp({ publicUrl })
      assert.equal(await secured(server), expected, publicUrl)
    }
  })

  test('is Secure where a trusted proxy says that the request came by HTTPS, and nobody else', async () => {
    const claimed = { 'x-forwarded-proto': 'https' }
    assert.equal(await secured(http, claimed), false, 'no proxy is trusted: the caller made it up')
    const behind = await startHttp({ trustProxy: 1 })
    assert.equal(await secured(behind, claimed), true)
    assert.equal(await secured(behind, { 'x-forwarded-proto': 'http' }), false)
    assert.equal(await secured(behind), false)
  })
})

describe('a stream', () => {
  const brokenOff = () => http.logged.filter((line) => line.includes('an answer broke off'))
  const closed = (stream: Readable) =>
    stream.closed ? undefined : once(stream, 'close', { signal: AbortSignal.timeout(limitMs) })

  test('is sent in place of data, with headers and cookies', async () => {
    const parts = Array.from({ length: 300 }, (_, i) => Buffer.alloc(10_000, i))
    replyWith({ stream: Readable.from(parts), headers: { 'X-Name': 'parts' }, cookies: [cookie] })
    const response = await http.ask('/file')
    assert.equal(response.status, 200)
    assert.equal(response.headers.get('content-type'), 'application/zip')
    assert.equal(response.headers.get('x-name'), 'parts')
    assert.equal(response.headers.getSetCookie().length, 1)
    assert.ok(Buffer.concat(parts).equals(Buffer.from(await response.arrayBuffer())))
  })

  test('that is empty is an answer without content', async () => {
    replyWith({ stream: Readable.from([]) })
    const response = await http.ask('/file')
    assert.equal(response.status, 200)
    assert.equal(await response.text(), '')
  })

  test('that fails before its first byte is answered as a problem, with nothing of what was meant to come', async () => {
    const failures: [() => Readable, number, string][] = [
      [() => failing(new AppError('unavailable', 'Not now.')), 503, 'unavailable'],
      [() => failing(new Error('a bug')), 500, 'internal'],
      [() => new PassThrough().destroy(new AppError('gone', 'Gone.')), 410, 'gone'],
      [() => new PassThrough().destroy(), 500, 'internal'],
    ]
    for (const [stream, status, code] of failures) {
      const headers = { 'Content-Length': '5', 'Content-Disposition': 'attachment' }
      give = () => new Reply({}, { stream: stream(), headers, cookies: [cookie] })
      const response = await http.ask('/file')
      assert.equal(response.status, status)
      assert.equal(await codeOf(response), code)
      assert.equal(response.headers.get('content-disposition'), null)
      assert.deepEqual(response.headers.getSetCookie(), [])
    }
    assert.deepEqual(brokenOff(), [])
  })

  test('that fails later closes the connection and is logged, and the server goes on', async () => {
    const ends: ((stream: PassThrough) => void)[] = [
      (stream) => stream.destroy(new Error('the disk broke')),
      (stream) => stream.destroy(),
    ]
    for (const end of ends) {
      const stream = new PassThrough()
      stream.write('a part')
      replyWith({ stream })
      const before = brokenOff().length
      const response = await http.ask('/file')
      assert.equal(response.status, 200)
      end(stream)
      await assert.rejects(response.text())
      const line = brokenOff()[before] ?? assert.fail('nothing was logged')
      assert.equal(JSON.parse(line).requestId, response.headers.get('x-request-id'))
      give = () => ({ well: true })
      assert.deepEqual(await (await http.ask('/plain')).json(), { well: true })
    }
  })

  test('stops when the caller goes away, in the middle or before the first byte, and that is no failure', async () => {
    const before = http.logged.length
    let made = 0
    const endless = Readable.from(
      (function* () {
        for (;;) {
          made += 1
          yield Buffer.alloc(64 * 1024)
        }
      })(),
    )
    const leaving = new AbortController()
    replyWith({ stream: endless })
    const response = await http.ask('/file', { signal: leaving.signal })
    await response.body?.getReader().read()
    leaving.abort()
    await closed(endless)
    assert.ok(made < 1_000, 'no more was made than fits on the way')

    const silent = new PassThrough()
    const asked = Promise.withResolvers<void>()
    give = () => {
      asked.resolve()
      return new Reply({}, { stream: silent })
    }
    const impatient = new AbortController()
    const waiting = assert.rejects(http.ask('/file', { signal: impatient.signal }))
    await asked.promise
    impatient.abort()
    await waiting
    await closed(silent)

    const late = new PassThrough()
    const gone = Promise.withResolvers<void>()
    const running = Promise.withResolvers<void>()
    give = async () => {
      running.resolve()
      await gone.promise
      return new Reply({}, { stream: late })
    }
    const hasty = new AbortController()
    const leftAlready = assert.rejects(http.ask('/file', { signal: hasty.signal }))
    await running.promise
    hasty.abort()
    await leftAlready
    await http.sawCallerGo()
    gone.resolve()
    late.write('too late')
    await closed(late)
    assert.deepEqual(http.logged.slice(before), [])
  })
})

const failing = (error: Error): Readable =>
  Readable.from(
    (async function* (): AsyncGenerator<string> {
      await new Promise((resolve) => setImmediate(resolve))
      throw error
    })(),
  )

describe('a raw body', () => {
  test('reaches the operation byte for byte, whatever it says it is', async () => {
    give = () => ({})
    const bodies: [Uint8Array, Record<string, string>][] = [
      [Buffer.from([0, 255, 13, 10, 195, 40]), { 'content-type': 'application/octet-stream' }],
      [Buffer.from('{ "a":1,  "a":2 }\n'), { 'content-type': 'application/json' }],
      [Buffer.from('{"broken"'), { 'content-type': 'application/json; charset=klingon' }],
      [Buffer.from('a=1&a=2'), {}],
    ]
    for (const [body, headers] of bodies) {
      assert.equal((await http.ask('/signed', post(body as BodyInit, headers))).status, 200)
      assert.deepEqual(given?.request?.rawBody, body)
    }
    await http.ask('/signed', post())
    assert.deepEqual(given?.request?.rawBody, Buffer.alloc(0))
    await http.ask('/plain', post('{}', { 'content-type': 'application/json' }))
    assert.equal(given?.request?.rawBody, undefined, 'other routes keep no second copy')
  })

  test('that is too large or packed is refused', async () => {
    given = undefined
    const large = await http.ask('/signed', post(new Uint8Array(300_000)))
    assert.equal(large.status, 413)
    assert.equal(await codeOf(large), 'payload_too_large')
    const packed = await http.ask('/signed', post(gzipSync('x') as BodyInit, { 'content-encoding': 'gzip' }))
    assert.equal(packed.status, 415)
    assert.equal(await codeOf(packed), 'unsupported_media')
    assert.equal(given, undefined)
  })
})

describe('a role', () => {
  test('lets in who stands as high or higher, and nobody else', async () => {
    let runs = 0
    give = () => ({ run: ++runs })
    for (const [needed, role] of roles.entries()) {
      for (const [has, actual] of roles.entries()) {
        const before = runs
        const response = await http.ask(`/for/${role}`, { headers: { authorization: `Bearer ${actual}` } })
        const expected = has >= needed
        assert.equal(response.status, expected ? 200 : 403, `${actual} at ${role}`)
        if (!expected) assert.equal(await codeOf(response), 'forbidden')
        assert.equal(runs - before, expected ? 1 : 0)
      }
      const nobody = await http.ask(`/for/${role}`)
      assert.equal(nobody.status, 401)
      assert.equal(await codeOf(nobody), 'unauthenticated')
    }
  })
})

describe('a page of another origin', () => {
  const preflight = (server: TestHttp, origin: string) =>
    server.ask('/plain', {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'content-type,x-refresh-cookie',
      },
    })
  const granted = ({ headers }: globalThis.Response) => ({
    origin: headers.get('access-control-allow-origin'),
    credentials: headers.get('access-control-allow-credentials'),
  })

  test('is let in with credentials where it is listed, and else not at all', async () => {
    given = undefined
    const allowed = await preflight(http, 'https://app.example.org')
    assert.deepEqual(granted(allowed), { origin: 'https://app.example.org', credentials: 'true' })
    assert.match(allowed.headers.get('access-control-allow-headers') ?? '', /x-refresh-cookie/)
    assert.match(allowed.headers.get('vary') ?? '', /Origin/)
    for (const origin of [
      'https://evil.example',
      'http://app.example.org',
      'https://app.example.org.evil.example',
      'null',
    ])
      assert.equal(granted(await preflight(http, origin)).origin, null, origin)
    assert.equal(given, undefined, 'a preflight runs nothing')
  })

  test('is never let in with credentials where all are let in, even if it is listed as well', async () => {
    for (const corsOrigins of [['*'], ['https://app.example.org', '*']]) {
      const open = await startHttp({ corsOrigins })
      for (const origin of ['https://evil.example', 'https://app.example.org']) {
        assert.deepEqual(granted(await preflight(open, origin)), { origin: '*', credentials: null })
        const response = await open.ask('/plain', post(undefined, { origin }))
        assert.deepEqual(granted(response), { origin: '*', credentials: null })
      }
    }
  })
})
