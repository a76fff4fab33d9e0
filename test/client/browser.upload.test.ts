import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it, type TestContext } from 'node:test'
import { ApiError } from '../../src/client/index.ts'
import { sendFile, type UploadOptions } from '../../src/client/upload.ts'

/** As much of a browser's XMLHttpRequest as an upload uses, with answers from the test. */
class Requests {
  static sent: Requests[] = []
  readonly headers: Record<string, string> = {}
  readonly upload: { onprogress?: (event: { loaded: number; total: number }) => void } = {}
  readonly answered: Record<string, string> = {}
  onload = () => {}
  onerror = () => {}
  onabort = () => {}
  status = 0
  responseText = ''
  line = ''
  form: FormData | undefined

  open(method: string, address: string): void {
    this.line = `${method} ${address}`
  }
  setRequestHeader(name: string, value: string): void {
    this.headers[name] = value
  }
  getResponseHeader(name: string): string | null {
    return this.answered[name] ?? null
  }
  send(form: FormData): void {
    this.form = form
    Requests.sent.push(this)
  }
  abort(): void {
    this.onabort()
  }
  answer(status: number, body: unknown): void {
    this.status = status
    this.responseText = JSON.stringify(body)
    this.onload()
  }
}

describe('an upload in a browser', () => {
  beforeEach(() => {
    Requests.sent = []
    Object.assign(globalThis, { XMLHttpRequest: Requests })
  })
  afterEach(() => {
    Reflect.deleteProperty(globalThis, 'XMLHttpRequest')
  })

  const file = new File(['twelve bytes'], 'a.txt')
  const noFetch = () => assert.fail('fetch tells no progress')

  function begin(options: UploadOptions = {}): { upload: Promise<unknown>; request: Requests } {
    const upload = sendFile('https://chat.example.org/', noFetch, { file, token: 'token', ...options })
    const [request] = Requests.sent
    assert.ok(request)
    return { upload, request }
  }

  it('sends the form by a request that tells its progress, in bytes of the file', async () => {
    const told: number[][] = []
    const { upload, request } = begin({ onProgress: (...progress) => told.push(progress) })
    assert.equal(request.line, 'POST https://chat.example.org/v1/uploads')
    assert.deepEqual(request.headers, { accept: 'application/json', authorization: 'Bearer token' })
    const sent = request.form?.get('file') as File
    assert.deepEqual([sent.name, await sent.text()], ['a.txt', 'twelve bytes'])
    request.upload.onprogress?.({ loaded: 7, total: 212 })
    request.upload.onprogress?.({ loaded: 212, total: 212 })
    request.answer(201, { id: 'a' })
    assert.deepEqual(await upload, { id: 'a' })
    assert.deepEqual(told, [
      [7, 12],
      [12, 12],
    ])
  })

  it('that is refused says why, and one that gets no answer says so', async () => {
    const refused = begin()
    refused.request.answered['retry-after'] = '7'
    refused.request.answer(429, { code: 'rate_limited', detail: 'Too many.' })
    const refusal = await refused.upload.catch((error) => error)
    assert.ok(refusal instanceof ApiError)
    assert.deepEqual([refusal.status, refusal.code, refusal.retryAfter], [429, 'rate_limited', 7])
    Requests.sent = []
    const lost = begin()
    lost.request.onerror()
    await assert.rejects(lost.upload, { status: 0, code: 'unavailable' })
  })

  it('that is aborted rejects with the reason, and listens no more', async (t: TestContext) => {
    const abort = new AbortController()
    const { upload, request } = begin({ signal: abort.signal })
    const aborting = t.mock.method(request, 'abort')
    const reason = new Error('enough')
    abort.abort(reason)
    await assert.rejects(upload, reason)
    assert.equal(aborting.mock.callCount(), 1)

    Requests.sent = []
    const later = new AbortController()
    const done = begin({ signal: later.signal })
    const unneeded = t.mock.method(done.request, 'abort')
    done.request.answer(201, {})
    await done.upload
    later.abort()
    assert.equal(unneeded.mock.callCount(), 0)
  })
})
