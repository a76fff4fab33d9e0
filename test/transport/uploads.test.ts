import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { type IncomingMessage, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { json } from 'node:stream/consumers'
import { after, before, describe, test } from 'node:test'
import type { RequestHandler } from 'express'
import { z } from 'zod'
import { AppError } from '../../src/kernel/errors.ts'
import { operation, type ReceivedFile, type Route } from '../../src/kernel/operation.ts'
import { eventually } from '../faults/scene.ts'
import { serveHttp } from '../support/http.ts'
import { filesIn } from '../support/media.ts'

const maxBytes = 100_000
const isLetIn = { authorization: 'somebody' }

let scratch: string
let http: Awaited<ReturnType<typeof serveHttp>>
/** What the operation was given, and what was in it then. */
let given: (ReceivedFile & { content: Buffer }) | undefined
let fails: Error | undefined

const bearerAuthentication: RequestHandler = (req, _res, next) => {
  const actor = { userId: 'somebody', kind: 'human', sessionId: 'one', role: 'user' }
  if (req.get('authorization')) Object.assign(req, { authentication: { actor } })
  next()
}

const route: Route = {
  method: 'post',
  path: '/files',
  tag: 'test',
  body: { file: { maxBytes } },
  operation: operation(
    'file:take',
    { summary: 'Takes a file', input: z.strictObject({}), output: z.unknown() },
    async (_input, { request }) => {
      const file = await request?.file?.()
      assert.ok(file)
      given = { ...file, content: await readFile(file.path) }
      if (fails) throw fails
      return { taken: file.bytes }
    },
  ),
}

/** It makes up its mind before it asks for the file. */
const unwilling: Route = {
  ...route,
  path: '/unwanted',
  operation: operation(
    'file:refuse',
    { summary: 'Takes no file', input: z.strictObject({}), output: z.unknown() },
    async () => {
      throw new AppError('quota_exceeded', 'No.')
    },
  ),
}

before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'kintsugi-uploads-'))
  http = await serveHttp({ routes: [route, unwilling], bearerAuthentication, scratch })
})
after(async () => {
  await http.close()
  await rm(scratch, { recursive: true, force: true })
})

async function send(content: Uint8Array, name = 'a.bin', type = 'text/plain') {
  given = undefined
  const form = new FormData()
  form.append('file', new Blob([content as BlobPart], { type }), name)
  const response = await fetch(`${http.url}/v1/files`, { method: 'POST', headers: isLetIn, body: form })
  return { status: response.status, body: (await response.json()) as { code?: string; taken?: number } }
}

/** Sends a head and no more, and waits for an answer. */
async function beginWith(headers: Record<string, string | number>, path = '/files') {
  const sending = request(`${http.url}/v1${path}`, { method: 'POST', headers })
  sending.on('error', () => {})
  sending.flushHeaders()
  const [response] = (await once(sending, 'response', { signal: AbortSignal.timeout(5_000) })) as [IncomingMessage]
  return { sending, response, status: response.statusCode, code: ((await json(response)) as { code: string }).code }
}

describe('a file', () => {
  test('reaches the operation as it was sent, with what it was said to be', async () => {
    const content = Buffer.from(Array.from({ length: 70_000 }, (_, i) => i % 256))
    for (const name of ['a.bin', 'Übergröße — 写真.jpg', 'with "quotes"', '../up.txt']) {
      assert.deepEqual(await send(content, name, 'image/png'), { status: 200, body: { taken: 70_000 } })
      assert.ok(given)
      assert.deepEqual(
        { name: given.name, mime: given.mime, bytes: given.bytes },
        { name, mime: 'image/png', bytes: 70_000 },
      )
      assert.deepEqual(given.content, content)
      assert.match(given.path.slice(scratch.length), /^(\/[0-9a-f]+){2}$/, 'nothing is derived from the name')
    }
  })

  test('is gone once the request has been answered, whatever the answer', async () => {
    for (const failure of [undefined, new AppError('conflict', 'No.'), new Error('a bug')]) {
      fails = failure
      const { status } = await send(Buffer.alloc(10))
      assert.equal(status, failure ? (failure as AppError).status || 500 : 200)
      assert.ok(given)
      assert.deepEqual(await readdir(scratch), [])
    }
    fails = undefined
  })

  test('may be as large as its route says, and no larger', async () => {
    assert.equal((await send(Buffer.alloc(maxBytes))).status, 200)
    for (const more of [1, 1_000, 65_536, 5_000_000]) {
      const { status, body } = await send(Buffer.alloc(maxBytes + more))
      assert.deepEqual({ status, code: body.code }, { status: 413, code: 'payload_too_large' }, String(more))
      assert.equal(given, undefined)
      await eventually('nothing is left', async () => (await readdir(scratch)).length === 0)
    }
  })
})

describe('a request whose body has not come yet', () => {
  const form = { 'content-type': 'multipart/form-data; boundary=x' }

  test('is refused at once where that is clear, and its connection ends', async () => {
    const refusals: [number, string, Record<string, string | number>][] = [
      [401, 'unauthenticated', { ...form, 'content-length': 50_000 }],
      [413, 'payload_too_large', { ...form, ...isLetIn, 'content-length': 5_000_000_000 }],
      [415, 'unsupported_media', { ...isLetIn, 'content-type': 'application/json', 'content-length': 50_000 }],
      [400, 'invalid_request', { ...isLetIn, 'content-type': 'multipart/form-data', 'content-length': 50_000 }],
    ]
    for (const [status, code, headers] of refusals) {
      const answered = await beginWith(headers)
      assert.deepEqual({ status: answered.status, code: answered.code }, { status, code })
      assert.equal(answered.response.headers.connection, 'close')
      answered.sending.destroy()
    }
    await eventually('nothing is left', async () => (await readdir(scratch)).length === 0)
  })

  test('is not read where the operation refuses before it asks for it', async () => {
    const { status, code, sending } = await beginWith({ ...form, ...isLetIn, 'content-length': 50_000 }, '/unwanted')
    assert.deepEqual({ status, code }, { status: 429, code: 'quota_exceeded' })
    assert.deepEqual(await readdir(scratch), [])
    sending.destroy()
  })

  test('is refused in the middle where nobody has said that it is too long', async () => {
    let sent = 0
    const endless = Readable.from(
      (function* () {
        yield Buffer.from('--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n')
        for (;;) {
          sent += 10_000
          yield Buffer.alloc(10_000)
        }
      })(),
    )
    const sending = request(`${http.url}/v1/files`, { method: 'POST', headers: { ...form, ...isLetIn } })
    const closed = once(sending, 'close')
    sending.on('error', () => {})
    endless.pipe(sending)
    const [response] = (await once(sending, 'response')) as [IncomingMessage]
    assert.equal(response.statusCode, 413)
    assert.equal(((await json(response)) as { code: string }).code, 'payload_too_large')
    sending.destroy()
    endless.destroy()
    await closed
    assert.ok(sent > maxBytes)
    await http.sawCallerGo()
    await eventually('nothing is left', async () => (await readdir(scratch)).length === 0)
  })
})

test('forms that stand still hold up nobody, and leave nothing when they break off, before their turn or in it', async () => {
  const headers = { ...isLetIn, 'content-type': 'multipart/form-data; boundary=x' }
  const still = Array.from({ length: 60 }, () => {
    const sending = request(`${http.url}/v1/files`, { method: 'POST', headers })
    sending.on('error', () => {})
    sending.write('--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nthe beginning')
    return sending
  })
  await eventually('their folders are there', async () => (await readdir(scratch)).length === still.length)
  assert.equal((await send(Buffer.alloc(50_000))).status, 200)
  const more = Array.from({ length: 30 }, () => {
    const sending = request(`${http.url}/v1/files`, { method: 'POST', headers })
    sending.on('error', () => {})
    sending.flushHeaders()
    return sending
  })
  await eventually('theirs, too', async () => (await readdir(scratch)).length === still.length + more.length)
  for (const sending of [...more, ...still]) sending.destroy()
  await eventually('nothing is left', async () => (await readdir(scratch)).length === 0)
  assert.equal((await send(Buffer.alloc(50_000))).status, 200)
})

test('what a process has left behind is removed at the next start, and what others receive now is not', async () => {
  const left = await mkdtemp(join(tmpdir(), 'kintsugi-left-'))
  for (const name of ['old', 'new']) {
    await mkdir(join(left, name))
    await writeFile(join(left, name, 'file'), name)
  }
  const twoHoursAgo = Date.now() / 1000 - 7_200
  await utimes(join(left, 'old'), twoHoursAgo, twoHoursAgo)
  const other = await serveHttp({ routes: [route], bearerAuthentication, scratch: left })
  await eventually('the old one is gone', async () => (await readdir(left)).length === 1)
  assert.deepEqual(await filesIn(left), ['new/file'])
  await other.close()
  await rm(left, { recursive: true, force: true })
})
