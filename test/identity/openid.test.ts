import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, afterEach, before, mock, test } from 'node:test'
import { createOpenIdClient } from '../../src/adapters/openid.ts'
import type { Identity } from '../../src/identity/external-logins.contract.ts'
import type { Me, Session, Tokens } from '../../src/identity/identity.contract.ts'
import { createFlowCookies } from '../../src/identity/openid-flow.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import { withCode } from '../support/identity.ts'
import {
  type Browser,
  createBrowser,
  type Distortion,
  refuser,
  startProvider,
  type TestProvider,
} from '../support/openid.ts'
import { register } from '../support/people.ts'
import { freePort } from '../support/server.ts'

const page = 'http://app.test/welcome?from=login'
/** The password of people that `register` makes. */
const password = 'correct horse'

let server: Backend
let publicUrl: string
let host: string
let alpha: TestProvider
/** Says what it says in the user info alone. */
let beta: TestProvider
/** Comes and goes. */
let gamma: TestProvider

before(async () => {
  const port = await freePort()
  publicUrl = `http://127.0.0.1:${port}`
  host = new URL(publicUrl).host
  alpha = await startProvider({ name: 'alpha', publicUrl })
  beta = await startProvider({ name: 'beta', publicUrl, terse: true })
  gamma = await startProvider({ name: 'gamma', publicUrl })
  server = await startBackend({
    PORT: String(port),
    PUBLIC_URL: publicUrl,
    CORS_ORIGINS: 'http://app.test',
    OPENID_PROVIDERS: 'alpha,beta,gamma',
    ...alpha.env,
    ...beta.env,
    ...gamma.env,
    GUESTS: 'off',
  })
})
after(async () => {
  await server?.end()
  await Promise.all([alpha, beta, gamma].map((provider) => provider?.close()))
})
afterEach(() => alpha.distort(undefined))

const beginUrl = (name: string, redirectTo?: string): string =>
  `${publicUrl}/v1/auth/oauth/${name}${redirectTo === undefined ? '' : `?redirectTo=${encodeURIComponent(redirectTo)}`}`

const callbackUrl = (name: string): string => `${publicUrl}/v1/auth/oauth/${name}/callback`

/** Goes through a login up to the address that the provider leads back to. */
const goThrough = (browser: Browser, name: string, person: string, redirectTo?: string): Promise<string> =>
  browser.followTo(callbackUrl(name), beginUrl(name, redirectTo), person)

async function login(name: string, person: string, browser = createBrowser()): Promise<Session> {
  const response = await browser.request(await goThrough(browser, name, person))
  const body = (await response.json()) as Session
  assert.equal(response.status, 200, JSON.stringify(body))
  return body
}

/** A person of both providers whom nobody knows yet. */
function somebody(told: { email?: string; verified?: boolean; name?: string } = {}): string {
  const person = `p${randomUUID().slice(0, 8)}`
  const { email, verified, name = person } = told
  const claims = { name, ...(email !== undefined && { email, email_verified: verified }) }
  for (const { people } of [alpha, beta, gamma]) people.set(person, claims)
  return person
}

const newAddress = (): string => `${randomUUID()}@example.org`

const as = ({ accessToken }: { accessToken: string }): RequestInit => ({
  headers: { authorization: `Bearer ${accessToken}` },
})

/** A request with a body, of someone who is signed in. */
const saying = (body: object, { accessToken }: { accessToken: string }): RequestInit => ({
  headers: { authorization: `Bearer ${accessToken}`, 'content-type': 'application/json' },
  body: JSON.stringify(body),
})

/** Begins to link an identity, with the password as the proof unless told otherwise. */
const beginLink = (browser: Browser, name: string, session: Session, more: object = {}): Promise<Response> =>
  browser.request(`${publicUrl}/v1/auth/oauth/${name}/link`, {
    method: 'POST',
    ...saying({ password, ...more }, session),
  })

async function get<T>(path: string, session: Session): Promise<T> {
  const response = await fetch(publicUrl + path, as(session))
  assert.equal(response.status, 200)
  return (await response.json()) as T
}

const identitiesOf = async (session: Session): Promise<string[]> =>
  (await get<{ items: Identity[] }>('/v1/me/identities', session)).items.map(({ provider }) => provider)

async function refused(response: Response, status: number, code: string): Promise<Record<string, unknown>> {
  const text = await response.text()
  assert.equal(response.status, status, text)
  const problem = JSON.parse(text) as Record<string, unknown>
  assert.equal(problem.code, code, text)
  return problem
}

const flowCookies = (browser: Browser): string[] =>
  [...browser.cookies(host).keys()].filter((name) => name.startsWith('kintsugi_openid_'))

test('a client is told what it can offer', async () => {
  const response = await fetch(`${publicUrl}/v1/auth/providers`)
  assert.deepEqual(await response.json(), {
    items: [alpha, beta, gamma].map(({ provider: { name, label } }) => ({ name, label })),
    telegram: false,
    guests: false,
  })
})

test('a login begins with state, nonce and PKCE, and is kept in a cookie that says nothing to its bearer', async () => {
  const browser = createBrowser()
  const response = await browser.request(beginUrl('alpha', page))
  assert.equal(response.status, 302)
  assert.equal(response.headers.get('cache-control'), 'no-store')
  const url = new URL(response.headers.get('location') ?? '')
  assert.equal(url.origin, alpha.provider.issuer)
  const { state, nonce, code_challenge, ...rest } = Object.fromEntries(url.searchParams)
  assert.deepEqual(rest, {
    client_id: 'kintsugi',
    redirect_uri: callbackUrl('alpha'),
    response_type: 'code',
    scope: 'openid email profile',
    code_challenge_method: 'S256',
  })
  assert.equal(new Set([state, nonce, code_challenge]).size, 3)
  for (const value of [state, nonce, code_challenge]) assert.match(value ?? '', /^[\w-]{43}$/)

  const [cookie = '', ...others] = response.headers.getSetCookie()
  assert.deepEqual(others, [])
  assert.match(
    cookie,
    /^kintsugi_openid_[\w-]{16}=[\w-]+; Max-Age=600; Path=\/v1\/auth\/oauth; HttpOnly; SameSite=Lax$/,
  )
  assert.ok(cookie.startsWith(`kintsugi_openid_${state?.slice(0, 16)}=`))
  const sealed = Buffer.from(cookie.split(/[=;]/)[1] ?? '', 'base64url').toString('latin1')
  for (const secret of [state ?? '', nonce ?? '', 'alpha', 'app.test']) assert.ok(!sealed.includes(secret), secret)
  const next = await browser.request(beginUrl('alpha'))
  assert.notEqual(new URL(next.headers.get('location') ?? '').searchParams.get('state'), state)
})

test('whom nobody knows gets an account with what the provider vouches for, and finds it again', async () => {
  const email = newAddress()
  const person = somebody({ email: email.toUpperCase(), verified: true })
  const picture = 'https://pictures.example.org/1.png'
  alpha.people.set(person, {
    ...alpha.people.get(person),
    name: '김민지',
    preferred_username: `${person}@corp`,
    picture,
    locale: 'ko_KR',
  })
  const browser = createBrowser()
  const response = await browser.request(await goThrough(browser, 'alpha', person))
  assert.equal(response.status, 200)
  assert.equal(response.headers.get('cache-control'), 'no-store')
  const session = (await response.json()) as Session
  assert.equal(session.expiresIn, 900)
  assert.ok(session.refreshToken)
  const { id, createdAt, ...me } = await get<Me>('/v1/me', session)
  assert.deepEqual(session.user, { id, createdAt, ...me })
  assert.deepEqual(me, {
    kind: 'human',
    username: person,
    displayName: '김민지',
    email,
    emailVerified: true,
    locale: 'ko-KR',
    role: 'user',
  })
  assert.deepEqual(flowCookies(browser), [], 'the flow goes with its end')
  const { items } = await get<{ items: Identity[] }>('/v1/me/identities', session)
  assert.deepEqual(items, [{ provider: 'alpha', name: '김민지', picture, linkedAt: items[0]?.linkedAt }])

  const again = await login('alpha', person)
  assert.equal(again.user.id, id)
  assert.notEqual(again.refreshToken, session.refreshToken)
})

test('what a provider says in its user info alone counts as well', async () => {
  const email = newAddress()
  const { user } = await login('beta', somebody({ email, verified: true, name: 'Told Late' }))
  assert.deepEqual([user.email, user.emailVerified, user.displayName], [email, true, 'Told Late'])
})

test('an address that the provider does not vouch for is not taken over', async () => {
  for (const name of ['alpha', 'beta']) {
    for (const told of [{ email: newAddress(), verified: false }, { email: newAddress() }, {}]) {
      const { user } = await login(name, somebody(told))
      assert.deepEqual([user.email, user.emailVerified], [undefined, false])
    }
  }
})

test('an address that is proved on both sides links the identity to the account that has it', async () => {
  const email = newAddress()
  const person = somebody({ email, verified: true })
  const first = await login('alpha', person)
  const second = await login('beta', person)
  assert.equal(second.user.id, first.user.id)
  assert.deepEqual(await identitiesOf(second), ['alpha', 'beta'])
  const stranger = await login('beta', somebody({ email, verified: false }))
  assert.notEqual(stranger.user.id, first.user.id, 'not by an address that is only claimed')
})

test('an account whose address is not proved is neither linked nor copied', async () => {
  const local = await register(server.url, 'unproved')
  const person = somebody({ email: local.user.email ?? '', verified: true })
  const browser = createBrowser()
  const problem = await refused(await browser.request(await goThrough(browser, 'alpha', person)), 409, 'conflict')
  assert.match(String(problem.detail), /Log in to it, or set a new password by mail; then link alpha of the test/)
  assert.deepEqual(await identitiesOf(local), [])
  assert.deepEqual(flowCookies(browser), [], 'the flow goes with a failure, too')
  const unclaimed = await login('alpha', somebody({ email: local.user.email ?? '', verified: false }))
  assert.notEqual(unclaimed.user.id, local.user.id)
})

test('a browser is led back to a page of ours with the refresh token in its cookie', async () => {
  const browser = createBrowser()
  const person = somebody()
  const response = await browser.request(await goThrough(browser, 'alpha', person, page))
  assert.equal(response.status, 302)
  assert.equal(response.headers.get('location'), page)
  assert.equal(response.headers.get('cache-control'), 'no-store')
  assert.equal(await response.text(), '')
  const [cookie = ''] = response.headers.getSetCookie()
  assert.match(cookie, /^kintsugi_refresh=[\w-]{43}; Max-Age=604800; Path=\/v1\/auth; HttpOnly; SameSite=Strict$/)
  assert.deepEqual([...browser.cookies(host).keys()], ['kintsugi_refresh'])

  const refreshed = await browser.request(`${publicUrl}/v1/auth/refresh`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-refresh-cookie': '1', origin: 'http://app.test' },
    body: '{}',
  })
  const tokens = (await refreshed.json()) as Tokens
  assert.equal(refreshed.status, 200, JSON.stringify(tokens))
  const me = await get<Me>('/v1/me', tokens as Session)
  assert.equal(me.username, person)
})

test('a program that asks for the cookie gets the token in it', async () => {
  const browser = createBrowser()
  const url = await goThrough(browser, 'alpha', somebody())
  const response = await browser.request(url, { headers: { 'x-refresh-cookie': '1' } })
  const session = (await response.json()) as Session
  assert.equal(session.refreshToken, undefined)
  assert.ok(session.accessToken)
  assert.deepEqual([...browser.cookies(host).keys()], ['kintsugi_refresh'])
})

test('no login leads to a page that is not ours', async () => {
  const foreign = [
    'https://evil.test/',
    'http://app.test.evil.test/',
    'http://app.test@evil.test/',
    'http://user:secret@app.test/',
    'https://app.test/',
    'http://app.test:81/',
    '//evil.test/',
    '/welcome',
    'javascript:alert(1)//http://app.test',
    'data:text/html,x',
    'null',
    '*',
    '',
    `http://app.test/${'é'.repeat(400)}`,
    `http://app.test/${'x'.repeat(1000)}`,
  ]
  const session = await register(server.url, 'lured')
  for (const redirectTo of foreign) {
    const response = await fetch(beginUrl('alpha', redirectTo), { redirect: 'manual' })
    assert.deepEqual(response.headers.getSetCookie(), [], redirectTo)
    const { errors } = await refused(response, 400, 'invalid_request')
    assert.equal((errors as { path: string }[])[0]?.path, 'redirectTo')
    await refused(await beginLink(createBrowser(), 'alpha', session, { redirectTo }), 400, 'invalid_request')
  }
  const own = await fetch(beginUrl('alpha', `${publicUrl}/somewhere`), { redirect: 'manual' })
  assert.equal(own.status, 302)
})

test('who refuses at the provider is not logged in, and the page is told', async () => {
  const browser = createBrowser()
  const problem = await refused(await browser.request(await goThrough(browser, 'alpha', refuser)), 403, 'forbidden')
  assert.equal(problem.reason, 'access_denied')
  const response = await browser.request(await goThrough(browser, 'alpha', refuser, page))
  assert.equal(response.status, 302)
  assert.equal(response.headers.get('location'), `${page}&error=access_denied`)
  assert.deepEqual([...browser.cookies(host).keys()], [])
})

const secondsAgo = (seconds: number): number => Math.floor(Date.now() / 1000) - seconds

const fakes: [what: string, reason: string, distortion: () => Distortion][] = [
  ['another nonce', 'unexpected ID Token "nonce"', () => ({ claims: { nonce: 'bm90LXRoZS1ub25jZQ' } })],
  ['no nonce', '"nonce" (nonce) claim missing', () => ({ claims: { nonce: undefined } })],
  ['another audience', '(audience) claim value', () => ({ claims: { aud: 'somebody-else' } })],
  ['another issuer', '(issuer) claim value', () => ({ claims: { iss: beta.provider.issuer } })],
  ['an expired ID token', 'is past', () => ({ claims: { iat: secondsAgo(7200), exp: secondsAgo(3600) } })],
  ['an ID token that is not signed', '"alg" header parameter', () => ({ signedBy: 'none' })],
  ["an ID token by somebody else's key", 'signature verification failed', () => ({ signedBy: 'foreign' })],
  ['no subject', 'no usable subject', () => ({ claims: { sub: '' } })],
  ['a subject of 256 characters', 'no usable subject', () => ({ claims: { sub: 'x'.repeat(256) } })],
]

for (const [what, reason, distortion] of fakes) {
  test(`${what} logs nobody in`, async () => {
    const person = somebody()
    const from = server.output().length
    alpha.distort(distortion())
    const browser = createBrowser()
    await refused(await browser.request(await goThrough(browser, 'alpha', person)), 401, 'unauthenticated')
    const led = await browser.request(await goThrough(browser, 'alpha', person, page))
    assert.equal(led.headers.get('location'), `${page}&error=unauthenticated`)
    assert.deepEqual([...browser.cookies(host).keys()], [])
    alpha.distort(undefined)
    assert.equal((await login('alpha', person, browser)).user.username, person, 'the name was still free')
    await said(reason, 2, from)
  })
}

/** Waits until the server has logged that so often since then. */
async function said(words: string, times: number, from: number): Promise<void> {
  const found = () => server.output().slice(from).split(JSON.stringify(words).slice(1, -1)).length - 1
  const deadline = Date.now() + 5_000
  while (found() < 2 * times && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10))
  // the message stands in the stack, too
  assert.equal(found(), 2 * times, server.output().slice(from))
}

test('only the browser that began a login can finish it, once, and at that provider', async () => {
  const browser = createBrowser()
  const victim = createBrowser()
  const url = await goThrough(browser, 'alpha', somebody())
  const [name = ''] = flowCookies(browser)
  const value = browser.cookies(host).get(name) ?? ''
  const state = new URL(url).searchParams.get('state') ?? ''

  await refused(await victim.request(url), 401, 'unauthenticated')
  const otherState = url.replace(state, `${state.slice(0, 16)}${'x'.repeat(27)}`)
  await refused(await browser.request(otherState), 401, 'unauthenticated')
  const noState = new URL(url)
  noState.searchParams.delete('state')
  await refused(await browser.request(noState.href), 401, 'unauthenticated')
  await refused(await browser.request(url.replace('/alpha/', '/beta/')), 401, 'unauthenticated')
  const flipped = `${value.slice(0, -2)}${value.endsWith('AA') ? 'BB' : 'AA'}`
  for (const forged of [flipped, value.slice(0, 40), 'x', '', Buffer.from('{}').toString('base64url')]) {
    const forger = createBrowser()
    forger.plant(host, '/v1/auth/oauth', name, forged)
    await refused(await forger.request(url), 401, 'unauthenticated')
  }
  // of another flow of the same browser, under the name of this one
  const other = createBrowser()
  await other.request(beginUrl('alpha'))
  const [otherName = ''] = flowCookies(other)
  const swapped = createBrowser()
  swapped.plant(host, '/v1/auth/oauth', name, other.cookies(host).get(otherName) ?? '')
  await refused(await swapped.request(url), 401, 'unauthenticated')

  assert.equal((await browser.request(url)).status, 200, 'none of these has used it up')
  await refused(await browser.request(url), 401, 'unauthenticated')
  browser.plant(host, '/v1/auth/oauth', name, value)
  await refused(await browser.request(url), 401, 'unauthenticated')
})

test('a login that was begun can be finished for ten minutes, and by servers of the same secret', () => {
  const flows = createFlowCookies('x'.repeat(32))
  const checks = { state: 's'.repeat(43), nonce: 'n', codeVerifier: 'v' }
  const link = { userId: 'u', sessionId: 's', proof: { passwordDigest: 'd' } }
  const flow = { provider: 'alpha', checks, redirectTo: page, link }
  const context = { requestId: 'test', ip: '192.0.2.1', userAgent: undefined }
  const [cookie] = flows.keep(flow, context)
  const bearing = {
    ...context,
    request: { header: () => undefined, cookie: (name: string) => (name === cookie?.name ? cookie?.value : undefined) },
  }
  assert.deepEqual(createFlowCookies('x'.repeat(32)).find(checks.state, bearing), flow)
  assert.equal(createFlowCookies('y'.repeat(32)).find(checks.state, bearing), undefined)
  assert.equal(flows.find(`${'s'.repeat(16)}${'t'.repeat(27)}`, bearing), undefined)
  const bytes = Buffer.from(cookie?.value ?? '', 'base64url')
  for (let at = 0; at < bytes.length; at++) {
    const flipped = Buffer.from(bytes)
    flipped[at]! ^= 1
    const forged = { ...context, request: { ...bearing.request, cookie: () => flipped.toString('base64url') } }
    assert.equal(flows.find(checks.state, forged), undefined, `byte ${at}`)
  }
  mock.timers.enable({ apis: ['Date'], now: Date.now() + 599_000 })
  try {
    assert.deepEqual(flows.find(checks.state, bearing), flow)
    mock.timers.tick(2_000)
    assert.equal(flows.find(checks.state, bearing), undefined)
  } finally {
    mock.timers.reset()
  }
})

test("another person's code does not fit into one's own login", async () => {
  const thief = createBrowser()
  const stolen = new URL(await goThrough(createBrowser(), 'alpha', somebody())).searchParams.get('code') ?? ''
  const own = new URL(await goThrough(thief, 'alpha', somebody()))
  own.searchParams.set('code', stolen)
  await refused(await thief.request(own.href), 401, 'unauthenticated')
})

test('two tabs log in at once; of many logins that were begun the last three can be finished', async () => {
  const browser = createBrowser()
  const urls: string[] = []
  for (let tab = 0; tab < 5; tab++) urls.push(await goThrough(browser, 'alpha', somebody()))
  assert.equal(flowCookies(browser).length, 3)
  const statuses: number[] = []
  for (const url of urls) statuses.push((await browser.request(url)).status)
  assert.deepEqual(statuses, [401, 401, 200, 200, 200])
})

test('who is signed in links an identity, logs in by it, and unlinks it, but not the last way to log in', async () => {
  const local = await register(server.url, 'linker')
  const person = somebody({ email: newAddress(), verified: true })
  const browser = createBrowser()
  const linkAt = (name: string, session: Session, more: object = {}) => beginLink(browser, name, session, more)
  const begun = await linkAt('alpha', local)
  assert.equal(begun.status, 200)
  assert.equal(begun.headers.get('cache-control'), 'no-store')
  const { url } = (await begun.json()) as { url: string }
  const linked = await browser.request(await browser.followTo(callbackUrl('alpha'), url, person))
  const identity = (await linked.json()) as Identity
  assert.equal(linked.status, 200, JSON.stringify(identity))
  assert.deepEqual(identity, { provider: 'alpha', name: person, linkedAt: identity.linkedAt })
  assert.equal((await login('alpha', person)).user.id, local.user.id)
  assert.equal((await get<Me>('/v1/me', local)).email, local.user.email, 'the address stays')

  // through a page, without a word of tokens
  const { url: again } = (await (await linkAt('beta', local, { redirectTo: page })).json()) as { url: string }
  const led = await browser.request(await browser.followTo(callbackUrl('beta'), again, person))
  assert.equal(led.headers.get('location'), page)
  assert.deepEqual([...browser.cookies(host).keys()], [])
  assert.deepEqual(await identitiesOf(local), ['alpha', 'beta'])

  const stranger = await login('alpha', somebody())
  const { url: taken } = (await (await linkAt('beta', stranger)).json()) as { url: string }
  const problem = await refused(
    await browser.request(await browser.followTo(callbackUrl('beta'), taken, person)),
    409,
    'conflict',
  )
  assert.match(String(problem.detail), /belongs to another user/)
  const { url: second } = (await (await linkAt('alpha', local)).json()) as { url: string }
  const other = createBrowser()
  for (const [name, value] of browser.cookies(host)) other.plant(host, '/v1/auth/oauth', name, value)
  await refused(await other.request(await other.followTo(callbackUrl('alpha'), second, somebody())), 409, 'conflict')

  const unlink = (name: string, session: Session) =>
    fetch(`${publicUrl}/v1/me/identities/${name}`, { method: 'DELETE', ...saying({ password }, session) })
  assert.equal((await unlink('alpha', local)).status, 204)
  await refused(await unlink('alpha', local), 404, 'not_found')
  await refused(await unlink('nowhere', local), 404, 'not_found')
  assert.deepEqual(await identitiesOf(local), ['beta'])
  assert.equal((await unlink('beta', local)).status, 204, 'a password is left')
  await refused(await unlink('alpha', stranger), 422, 'unprocessable')
  assert.deepEqual(await identitiesOf(stranger), ['alpha'])
  assert.notEqual((await login('alpha', person)).user.id, local.user.id, 'nobody is known by it any more')
})

test('an identity is not linked to a login that has ended meanwhile', async () => {
  const local = await register(server.url, 'leaver')
  const browser = createBrowser()
  const { url } = (await (await beginLink(browser, 'alpha', local)).json()) as { url: string }
  const person = somebody()
  const back = await browser.followTo(callbackUrl('alpha'), url, person)
  await fetch(`${publicUrl}/v1/auth/logout`, { method: 'POST', ...as(local) })
  await refused(await browser.request(back), 401, 'unauthenticated')
  assert.equal((await login('alpha', person)).user.username, person)
})

test('linking begins with the password, and without it nothing begins', async () => {
  const local = await register(server.url, 'robbed')
  const browser = createBrowser()
  for (const proof of [undefined, 'wrong password', '']) {
    const problem = await refused(await beginLink(browser, 'alpha', local, { password: proof }), 401, 'unauthenticated')
    assert.equal(problem.url, undefined)
  }
  assert.deepEqual([...browser.cookies(host).keys()], [])
  const { url } = (await (await beginLink(browser, 'alpha', local)).json()) as { url: string }
  const [name = ''] = flowCookies(browser)
  const sealed = Buffer.from(browser.cookies(host).get(name) ?? '', 'base64url').toString('latin1')
  for (const secret of [password, local.user.id, 'passwordDigest']) assert.ok(!sealed.includes(secret), secret)
  assert.ok(!url.includes(encodeURIComponent(password)))
  for (const body of [{}, { password: 'wrong password' }])
    await refused(
      await fetch(`${publicUrl}/v1/me/identities/alpha`, { method: 'DELETE', ...saying(body, local) }),
      401,
      'unauthenticated',
    )
})

test('what was proved by the old password links nothing once there is a new one, in the same login either', async () => {
  const local = await register(server.url, 'changer')
  const browser = createBrowser()
  const person = somebody()
  const { url } = (await (await beginLink(browser, 'alpha', local)).json()) as { url: string }
  const { url: toPage } = (await (await beginLink(browser, 'beta', local, { redirectTo: page })).json()) as {
    url: string
  }
  const back = await browser.followTo(callbackUrl('alpha'), url, person)
  const backToPage = await browser.followTo(callbackUrl('beta'), toPage, person)
  const newPassword = 'violet tram over lisbon'
  const changed = await fetch(`${publicUrl}/v1/auth/change-password`, {
    method: 'POST',
    ...saying({ currentPassword: password, newPassword }, local),
  })
  assert.equal(changed.status, 204)
  await refused(await browser.request(back), 401, 'unauthenticated')
  const led = await browser.request(backToPage)
  assert.equal(led.headers.get('location'), `${page}&error=unauthenticated`)
  assert.deepEqual(await identitiesOf(local), [], 'the login goes on, and has no identity')

  // an account that had no password when it was proved, and has one now
  const fresh = await login('beta', somebody())
  const { url: first } = (await (await beginLink(browser, 'alpha', fresh)).json()) as { url: string }
  const late = await browser.followTo(callbackUrl('alpha'), first, somebody())
  await fetch(`${publicUrl}/v1/auth/change-password`, { method: 'POST', ...saying({ newPassword }, fresh) })
  await refused(await browser.request(late), 401, 'unauthenticated')
  assert.deepEqual(await identitiesOf(fresh), ['beta'])
})

test('identities are for who is signed in', async () => {
  for (const [method, path] of [
    ['POST', '/v1/auth/oauth/alpha/link'],
    ['GET', '/v1/me/identities'],
    ['POST', '/v1/me/identities/telegram'],
    ['DELETE', '/v1/me/identities/alpha'],
  ] as const) {
    await refused(await fetch(publicUrl + path, { method }), 401, 'unauthenticated')
  }
})

test('a provider that is not configured is not there', async () => {
  const session = await register(server.url, 'asker')
  for (const name of ['google', 'telegram', '__proto__', 'constructor', 'ALPHA']) {
    await refused(await fetch(beginUrl(name), { redirect: 'manual' }), 404, 'not_found')
    await refused(await fetch(callbackUrl(name)), 404, 'not_found')
    await refused(await beginLink(createBrowser(), name, session), 404, 'not_found')
  }
})

test('input that no provider and no client sends is refused in words', async () => {
  const bad = [
    'state=a&state=b',
    'code=a&code=b',
    `state=${'x'.repeat(201)}`,
    `code=${'x'.repeat(4097)}`,
    'iss=a&iss=b',
  ]
  for (const query of bad) await refused(await fetch(`${callbackUrl('alpha')}?${query}`), 400, 'invalid_request')
  for (const query of ['', 'state=%00', 'state[x]=1', `state=${'x'.repeat(43)}&code=a&hd=example.org`, '__proto__=1'])
    await refused(await fetch(`${callbackUrl('alpha')}?${query}`), 401, 'unauthenticated')
  await refused(await fetch(`${beginUrl('alpha')}?unknown=1`), 400, 'invalid_request')
  const session = await register(server.url, 'typist')
  for (const name of ['%00', 'x'.repeat(65)]) {
    await refused(await fetch(beginUrl(name)), 400, 'invalid_request')
    await refused(await fetch(callbackUrl(name)), 400, 'invalid_request')
    await refused(await beginLink(createBrowser(), name, session), 400, 'invalid_request')
    await refused(
      await fetch(`${publicUrl}/v1/me/identities/${name}`, { method: 'DELETE', ...saying({ password }, session) }),
      400,
      'invalid_request',
    )
  }
})

test('a provider that is away or silent is said to be so, and asked again by the next login', async () => {
  await gamma.stop()
  await refused(await fetch(beginUrl('gamma'), { redirect: 'manual' }), 502, 'upstream_failed')
  const led = await fetch(beginUrl('gamma', page), { redirect: 'manual' })
  assert.equal(led.headers.get('location'), `${page}&error=upstream_failed`)
  await gamma.resume()
  const person = somebody()
  const browser = createBrowser()
  const url = await goThrough(browser, 'gamma', person)
  await gamma.stop()
  await refused(await browser.request(url), 502, 'upstream_failed')
  await gamma.resume()
  const [stalled, led2] = [await goThrough(browser, 'gamma', person), await goThrough(browser, 'gamma', person, page)]
  gamma.stall()
  const begun = Date.now()
  const answers = await Promise.all([browser.request(stalled), browser.request(led2)])
  assert.ok(Date.now() - begun < 15_000)
  await refused(answers[0], 502, 'upstream_failed')
  assert.equal(answers[1].headers.get('location'), `${page}&error=upstream_failed`)
  await gamma.resume()
  assert.equal((await login('gamma', person)).user.username, person)
})

test('no secret travels to a provider unencrypted, but on this machine', async () => {
  const client = createOpenIdClient()
  for (const issuer of ['http://login.example.org', 'http://127.example.org', 'http://10.0.0.1']) {
    await assert.rejects(client.begin({ ...alpha.provider, issuer }, callbackUrl('alpha')), (error: Error) => {
      assert.ok(withCode('upstream_failed')(error))
      assert.match(String((error.cause as Error).message), /only requests to HTTPS are allowed/)
      return true
    })
  }
})

test('twenty first logins at once make one account', async () => {
  const person = somebody({ email: newAddress(), verified: true })
  const browsers = Array.from({ length: 20 }, () => createBrowser())
  const urls = await Promise.all(browsers.map((browser) => goThrough(browser, 'alpha', person)))
  const responses = await Promise.all(browsers.map((browser, at) => browser.request(urls[at] ?? '')))
  const sessions = (await Promise.all(responses.map((response) => response.json()))) as Session[]
  assert.deepEqual(
    responses.map(({ status }) => status),
    Array(20).fill(200),
    JSON.stringify(sessions.filter((_session, at) => responses[at]?.status !== 200)),
  )
  assert.equal(new Set(sessions.map(({ user }) => user.id)).size, 1)
  assert.equal(sessions[0]?.user.username, person)
})

test('no secret of anyone is in the log', () => {
  const output = server.output()
  for (const { provider } of [alpha, beta, gamma]) assert.ok(!output.includes(provider.clientSecret))
  assert.doesNotMatch(output, /@example\.org|eyJ|code=|[?&]state=|error_description/)
})
