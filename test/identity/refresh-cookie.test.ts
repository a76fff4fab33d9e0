import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { droppingRefusedCookie } from '../../src/identity/refresh-cookie.ts'
import type { LoginSession } from '../../src/identity/sessions.contract.ts'
import { AppError } from '../../src/kernel/errors.ts'
import { serveHttp } from '../support/http.ts'
import { password, startIdentity, type TestIdentity } from '../support/identity.ts'

let identity: TestIdentity
let http: Awaited<ReturnType<typeof serveHttp>>
before(async () => {
  identity = await startIdentity()
  http = await serveHttp({ ...identity, corsOrigins: ['https://app.example.org'], trustProxy: 1 })
})
after(async () => {
  await http?.close()
  await identity?.close()
})

const name = 'kintsugi_refresh'
const attributes = 'Path=/v1/auth; HttpOnly; SameSite=Strict'
const cleared = `${name}=; Max-Age=0; ${attributes}`
const sevenDays = 7 * 24 * 3600
const afterGrace = 11

interface Body {
  user: { id: string }
  accessToken: string
  refreshToken?: string
  code?: string
}

interface Answer {
  status: number
  body: Body
  /** Every cookie that it sets, as it stands in the header. */
  setCookies: string[]
  /** The refresh token that it sets as a cookie. */
  token: string
  headers: Headers
}

interface Asking {
  body?: object | undefined
  cookie?: string | undefined
  /** Whether the refresh token is to travel in the cookie; a text is sent as the header's value. */
  byCookie?: boolean | string
  as?: Body
  headers?: Record<string, string>
  method?: string
}

/** Asks as a browser would that has the cookie. */
async function ask(path: string, { body, cookie, byCookie = true, as, headers, method = 'POST' }: Asking = {}) {
  const response = await fetch(`${http.url}/v1/auth${path}`, {
    method,
    headers: {
      ...(body && { 'content-type': 'application/json' }),
      ...(cookie !== undefined && { cookie: `theme=dark; ${name}=${cookie}` }),
      ...(byCookie !== false && { 'x-refresh-cookie': byCookie === true ? '1' : byCookie }),
      ...(as && { authorization: `Bearer ${as.accessToken}` }),
      ...headers,
    },
    ...(body && { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  const setCookies = response.headers.getSetCookie()
  const answer: Answer = {
    status: response.status,
    headers: response.headers,
    body: (text ? JSON.parse(text) : {}) as Body,
    setCookies,
    token: /=([^;]*);/.exec(setCookies[0] ?? '')?.[1] ?? '',
  }
  return answer
}

const register = (username: string, more: Asking = {}) =>
  ask('/register', { body: { username, email: `${username}@example.org`, password }, ...more })

function assertByCookie({ setCookies, body, headers }: Answer) {
  assert.equal(setCookies.length, 1)
  const pattern = new RegExp(`^${name}=[\\w-]{43}; Max-Age=${sevenDays}; ${attributes}$`)
  assert.match(setCookies[0] ?? '', pattern)
  assert.ok(!('refreshToken' in body), 'scripts do not get at it')
  assert.ok(body.accessToken.length > 0)
  assert.equal(headers.get('cache-control'), 'no-store')
}

/** The token is one that nobody has traded yet: it has the rights of the login, and trading it does not end that. */
async function assertUntraded(token: string) {
  await identity.age(afterGrace)
  const answer = await ask('/refresh', { cookie: token })
  assert.equal(answer.status, 200, 'it was traded before')
  return answer
}

describe('with X-Refresh-Cookie: 1 the refresh token', () => {
  test('travels in a cookie out of reach of scripts, from registration and login through refreshes', async () => {
    const registered = await register('baker')
    assert.equal(registered.status, 201)
    assertByCookie(registered)
    const loggedIn = await ask('/login', { body: { username: 'baker', password } })
    assert.equal(loggedIn.status, 200)
    assertByCookie(loggedIn)
    const first = await ask('/refresh', { cookie: loggedIn.token })
    const second = await ask('/refresh', { cookie: first.token, body: {} })
    for (const answer of [first, second]) {
      assert.equal(answer.status, 200)
      assertByCookie(answer)
    }
    assert.equal(new Set([registered, loggedIn, first, second].map(({ token }) => token)).size, 4)
    assert.deepEqual(await identity.actorOf(second.body), await identity.actorOf(loggedIn.body))
  })

  test('goes by HTTPS alone where the request came by HTTPS', async () => {
    const { setCookies } = await register('sealed', { headers: { 'x-forwarded-proto': 'https' } })
    assert.match(setCookies[0] ?? '', /; Secure/)
  })

  test('is taken away by logging out, here or everywhere, and by ending this login from the list', async () => {
    for (const path of ['/logout', '/logout-all']) {
      const { body, token } = await register(`leaver${path.length}`)
      const answer = await ask(path, { as: body, cookie: token })
      assert.equal(answer.status, 204)
      assert.deepEqual(answer.setCookies, [cleared])
      assert.equal((await ask('/refresh', { cookie: token })).status, 401)
    }
    const here = await register('chooser')
    await ask('/login', { body: { username: 'chooser', password } })
    const list = (await ask('/sessions', { as: here.body, method: 'GET' })).body as unknown as { items: LoginSession[] }
    for (const { id, isCurrent } of list.items) {
      const answer = await ask(`/sessions/${id}`, { as: here.body, method: 'DELETE' })
      assert.equal(answer.status, 204)
      assert.deepEqual(answer.setCookies, isCurrent ? [cleared] : [])
    }
    assert.equal(list.items.length, 2)
  })

  test('is taken away where a refresh is refused, and kept where the request was only wrong', async () => {
    const refused = async (cookie: string | undefined, status: number, code: string) => {
      const answer = await ask('/refresh', { cookie })
      assert.deepEqual([answer.status, answer.body.code, answer.setCookies], [status, code, [cleared]])
    }
    await refused('garbage', 401, 'unauthenticated')
    await refused('', 401, 'unauthenticated')
    await refused(undefined, 401, 'unauthenticated')
    await refused('x'.repeat(5_000), 401, 'unauthenticated')
    await refused('%00%ff', 401, 'unauthenticated')

    const robbed = await register('robbed')
    await ask('/refresh', { cookie: robbed.token })
    await identity.age(afterGrace)
    await refused(robbed.token, 401, 'unauthenticated')

    const bad = await register('bad')
    await identity.ban(bad.body.user.id)
    await refused(bad.token, 403, 'banned')

    const fine = await register('fine')
    const wrong = await ask('/refresh', { cookie: fine.token, body: { nonsense: 1 } })
    assert.deepEqual([wrong.status, wrong.setCookies], [400, []])
    await assertUntraded(fine.token)
  })

  test('is kept where the database is away: the refresh may succeed later', async () => {
    const context = { requestId: 'x', ip: '', userAgent: '', request: { header: () => '1', cookie: () => undefined } }
    const away = new AppError('unavailable', 'Not now.')
    await assert.rejects(
      droppingRefusedCookie(context, () => Promise.reject(away)),
      (error) => error === away,
    )
  })

  test('of the body comes before that of the cookie, and moves into it', async () => {
    const inCookie = await register('first')
    const inBody = await register('second', { byCookie: false })
    const { refreshToken } = inBody.body
    const answer = await ask('/refresh', { cookie: inCookie.token, body: { refreshToken } })
    assert.equal(answer.status, 200)
    assertByCookie(answer)
    assert.deepEqual(await identity.actorOf(answer.body), await identity.actorOf(inBody.body))
    await assertUntraded(inCookie.token)
    // what is in the body is meant: a wrong one is not made good by the cookie
    const wrong = await ask('/refresh', { cookie: inCookie.token, body: { refreshToken: 'wrong' } })
    assert.equal(wrong.status, 401)
  })
})

describe('without that header', () => {
  test('the token is in the body, and no cookie is set, read or taken away', async () => {
    for (const [i, byCookie] of [false, '0', 'true', '', '1, 1'].entries()) {
      const { body, setCookies } = await register(`plain${i}`, { byCookie })
      assert.deepEqual(setCookies, [])
      assert.ok(body.refreshToken)
      const refused = await ask('/refresh', { cookie: body.refreshToken, byCookie })
      assert.deepEqual([refused.status, refused.body.code, refused.setCookies], [400, 'invalid_request', []])
      const wrong = await ask('/refresh', { body: { refreshToken: 'wrong' }, byCookie })
      assert.deepEqual([wrong.status, wrong.setCookies], [401, []])
      const again = await assertUntraded(body.refreshToken)
      const out = await ask('/logout', { as: again.body, byCookie })
      assert.deepEqual([out.status, out.setCookies], [204, []])
    }
  })
})

/** What a browser sends when a page of another site posts a form, had it the cookie in spite of SameSite=Strict. */
async function postForm(path: string, cookie: string, type: string, body: string) {
  const headers = { cookie: `${name}=${cookie}`, origin: 'https://evil.example', 'content-type': type }
  const response = await fetch(`${http.url}/v1/auth${path}`, { method: 'POST', headers, body })
  await response.text()
  return response
}

describe('a foreign page', () => {
  test('does nothing by posting a form, even if the browser sent the cookie along', async () => {
    const victim = await register('victim')
    const { sessionId } = await identity.actorOf(victim.body)
    const forms: [string, string][] = [
      ['application/x-www-form-urlencoded', ''],
      ['application/x-www-form-urlencoded', 'X-Refresh-Cookie=1&x-refresh-cookie=1'],
      ['text/plain', '{"refreshToken":"x"}='],
      ['multipart/form-data; boundary=b', '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--b--'],
    ]
    const before = identity.closedSessions.length
    for (const path of ['/refresh', '/logout', '/logout-all', '/login', '/register', '/refresh?x-refresh-cookie=1']) {
      for (const [type, body] of forms) {
        const response = await postForm(path, victim.token, type, body)
        assert.ok([400, 401, 415].includes(response.status), `${path} by ${type}: ${response.status}`)
        assert.deepEqual(response.headers.getSetCookie(), [])
        assert.equal(response.headers.get('access-control-allow-origin'), null)
      }
    }
    const byLink = await fetch(`${http.url}/v1/auth/refresh`, { headers: { cookie: `${name}=${victim.token}` } })
    assert.equal(byLink.status, 404)
    await byLink.text()
    assert.deepEqual(identity.closedSessions.slice(before), [])
    const goesOn = await assertUntraded(victim.token)
    assert.equal((await identity.actorOf(goesOn.body)).sessionId, sessionId)
  })

  const preflight = async (origin: string) => {
    const { headers, status } = await fetch(`${http.url}/v1/auth/refresh`, {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'content-type,x-refresh-cookie',
      },
    })
    assert.equal(status, 204)
    return headers
  }

  test('is not allowed to send the header, while a page of an allowed origin is, with cookies', async () => {
    assert.equal((await preflight('https://evil.example')).get('access-control-allow-origin'), null)
    const allowed = await preflight('https://app.example.org')
    assert.equal(allowed.get('access-control-allow-origin'), 'https://app.example.org')
    assert.equal(allowed.get('access-control-allow-credentials'), 'true')
    assert.match(allowed.get('access-control-allow-headers') ?? '', /(^|,)x-refresh-cookie(,|$)/)
    const { token } = await register('guest')
    const origin = { origin: 'https://app.example.org' }
    const answer = await ask('/refresh', { cookie: token, headers: origin })
    assertByCookie(answer)
    assert.equal(answer.headers.get('access-control-allow-origin'), 'https://app.example.org')
    assert.equal(answer.headers.get('access-control-allow-credentials'), 'true')
  })
})
