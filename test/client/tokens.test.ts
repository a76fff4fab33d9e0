import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { callRest } from '../../src/client/http.ts'
import { ApiError, createRest, createTokens, memoryStorage } from '../../src/client/index.ts'
import { type FakeServer, session, startFakeServer } from './fake.server.ts'

describe('rest and tokens', () => {
  let server: FakeServer
  let refreshes: unknown[]
  let now = 0

  beforeEach(async () => {
    server = await startFakeServer()
    refreshes = []
    now = 0
    server.rest['POST /v1/auth/refresh'] = ({ refreshToken }) => {
      refreshes.push(refreshToken)
      return [200, session(`token ${refreshes.length + 1}`)]
    }
    server.rest['GET /v1/me'] = (_body, authorization) =>
      authorization === 'Bearer token 1'
        ? [401, { code: 'token_expired', detail: 'Expired.' }]
        : [200, { authorization }]
  })
  afterEach(() => server.close())

  function start(storage = memoryStorage()) {
    const { url } = server
    const refresh = (refreshToken: string | undefined) =>
      callRest(url, fetch, { method: 'POST', path: '/v1/auth/refresh', body: { refreshToken } }) as Promise<never>
    const tokens = createTokens({ storage, refresh, now: () => now })
    return { storage, tokens, rest: createRest({ url, tokens }) }
  }

  const login = { username: 'me', password: 'secret' }

  it('trades a refused token once for all the requests that met the refusal, and repeats them', async () => {
    const { rest } = start()
    await rest.login(login)
    const answers = await Promise.all(Array.from({ length: 10 }, () => rest.request('GET', '/v1/me')))
    assert.deepEqual(new Set(answers.map((answer) => (answer as { authorization: string }).authorization)).size, 1)
    assert.deepEqual(refreshes, ['refresh of token 1'])
    await rest.me()
    assert.equal(refreshes.length, 1)
  })

  it('renews the token just before it expires, without a refusal', async () => {
    const { rest, tokens } = start()
    await rest.login(login)
    now = 880_000
    assert.deepEqual(await Promise.all([tokens.access(), tokens.access()]), ['token 2', 'token 2'])
    assert.equal(refreshes.length, 1)
    assert.ok(!server.requests.includes('GET /v1/me'))
  })

  it('uses the newest refresh token each time', async () => {
    const { rest, tokens } = start()
    await rest.login(login)
    for (let i = 1; i <= 3; i++) assert.equal(await tokens.refresh(`token ${i}`), `token ${i + 1}`)
    assert.deepEqual(refreshes, ['refresh of token 1', 'refresh of token 2', 'refresh of token 3'])
  })

  it('takes over the tokens that another tab on the same storage has renewed', async () => {
    const first = start()
    await first.rest.login(login)
    const second = start(first.storage)
    assert.equal(await second.tokens.access(), 'token 1')
    await first.tokens.refresh('token 1')
    assert.equal(await second.tokens.refresh('token 1'), 'token 2')
    assert.equal(refreshes.length, 1)
  })

  it('ends the login when the server refuses the refresh token', async () => {
    server.rest['POST /v1/auth/refresh'] = () => [401, { code: 'unauthenticated', detail: 'Used before.' }]
    const { rest, tokens, storage } = start()
    await rest.login(login)
    const reasons: unknown[] = []
    tokens.on('signedOut', (reason) => reasons.push(reason))
    await assert.rejects(rest.me(), { code: 'unauthenticated', status: 401 })
    assert.deepEqual(reasons, [{ code: 'unauthenticated', message: 'Used before.' }])
    assert.equal(await tokens.access(), undefined)
    assert.equal(await start(storage).tokens.userId(), undefined)
  })

  it('keeps the login when the server is only out of order', async () => {
    server.rest['POST /v1/auth/refresh'] = () => [503, { code: 'unavailable' }]
    const { rest, tokens } = start()
    await rest.login(login)
    await assert.rejects(rest.me(), { code: 'unavailable' })
    assert.equal(await tokens.userId(), 'me')
  })

  it('signs out here even where the server cannot be told', async () => {
    const { rest, tokens } = start()
    await rest.login(login)
    server.rest['POST /v1/auth/logout'] = () => [500, { code: 'internal' }]
    await assert.rejects(rest.logout(), { code: 'internal' })
    assert.equal(await tokens.access(), undefined)
  })

  it('throws what the problem document says', async () => {
    const errors = [{ path: 'email', message: 'must be a valid address' }]
    server.rest['POST /v1/things'] = () => [
      429,
      { code: 'quota_exceeded', detail: 'Too much.', errors, resetAt: 'noon' },
    ]
    const error = await start()
      .rest.request('POST', '/v1/things', {})
      .catch((reason) => reason)
    assert.ok(error instanceof ApiError)
    const { status, code, message, details, retryAfter } = error
    assert.deepEqual(
      { status, code, message, retryAfter },
      { status: 429, code: 'quota_exceeded', message: 'Too much.', retryAfter: 7 },
    )
    assert.deepEqual(error.errors, errors)
    assert.equal(details.resetAt, 'noon')
  })

  it('says unavailable when no server answers', async () => {
    const { rest } = start()
    await server.close()
    await assert.rejects(rest.me(), { code: 'unavailable', status: 0 })
    server = await startFakeServer()
  })
})
