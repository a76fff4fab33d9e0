import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { sql } from 'kysely'
import type { Wallet } from '../../src/billing/billing.contract.ts'
import { loadConfig } from '../../src/config.ts'
import type { Me, Session } from '../../src/identity/identity.contract.ts'
import { limits } from '../../src/kernel/limits.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import { password, startIdentity, withCode } from '../support/identity.ts'
import { codeIn, mailBy } from '../support/mail.ts'
import { connect, join } from '../support/people.ts'
import { jwtSecret } from '../support/server.ts'

describe('on a server that takes guests', () => {
  let server: Backend
  before(async () => {
    server = await startBackend({ GUESTS: 'on', RATE_LIMITS: 'on', SIGNUP_CREDITS: '700' })
  })
  after(() => server?.end())

  const post = (path: string, body: object, headers: Record<string, string> = {}) =>
    fetch(`${server.url}/v1${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    })

  async function begin(input: object = {}): Promise<Session & { refreshToken: string }> {
    const response = await post('/auth/guest', input)
    const text = await response.text()
    assert.equal(response.status, 201, text)
    return JSON.parse(text)
  }

  const get = async <T>(path: string, { accessToken }: Session): Promise<T> => {
    const response = await fetch(`${server.url}/v1${path}`, { headers: { authorization: `Bearer ${accessToken}` } })
    assert.equal(response.status, 200)
    return (await response.json()) as T
  }

  test('one begins at once, without an email and a password', async () => {
    const { user, ...tokens } = await begin()
    assert.match(user.username, /^guest-[b-df-hj-np-tv-z2-9]{8}$/)
    const { id, username, createdAt } = user
    assert.deepEqual(user, {
      ...{ id, username, createdAt, kind: 'human', locale: 'en', role: 'user', emailVerified: false },
      displayName: `Guest ${username.slice('guest-'.length, 'guest-'.length + 4)}`,
    })
    assert.deepEqual(await get<Me>('/me', { user, ...tokens }), user)
  })

  test('one may say what to be called, and in which language to be written to', async () => {
    const { user } = await begin({ displayName: 'Zoë', locale: 'fr-CA' })
    assert.deepEqual([user.displayName, user.locale], ['Zoë', 'fr-CA'])
    for (const wrong of [{ displayName: ' ' }, { locale: '?' }, { username: 'ada' }, { password }]) {
      const response = await post('/auth/guest', wrong)
      assert.equal(response.status, 400, JSON.stringify(wrong))
    }
  })

  test('two guests are two people', async () => {
    const [one, other] = await Promise.all([begin(), begin()])
    assert.notEqual(one.user.id, other.user.id)
    assert.notEqual(one.user.username, other.user.username)
  })

  test('a guest has what any new account has, and can talk to others', async () => {
    const guest = await connect(server.url, await begin())
    const ann = await join(server.url, 'ann')
    const wallet = await get<Wallet>('/me/wallet', guest.session)
    assert.deepEqual([wallet.credits, wallet.plan], [700, (await get<Wallet>('/me/wallet', ann.session)).plan])
    const { id } = await guest.do('conversation:create', { type: 'direct', participantIds: [ann.id] })
    await guest.do('message:send', { conversationId: id, clientId: '1', content: 'Hello from nobody' })
    await ann.hears('messages:created', ({ conversationId }) => (conversationId as unknown) === id)
    guest.close()
    ann.close()
  })

  test('the refresh token goes on with the login, in a cookie where a page wants that', async () => {
    const response = await post('/auth/guest', {}, { 'x-refresh-cookie': '1' })
    assert.equal('refreshToken' in ((await response.json()) as object), false)
    const [cookie = ''] = response.headers.getSetCookie()
    assert.match(cookie, /^kintsugi_refresh=.+; HttpOnly; SameSite=Strict/)
    const refreshed = await post(
      '/auth/refresh',
      {},
      { 'x-refresh-cookie': '1', cookie: cookie.split(';', 1)[0] ?? '' },
    )
    assert.equal(refreshed.status, 200)
  })

  test('the server says that it takes guests', async () => {
    const response = await fetch(`${server.url}/v1/auth/providers`)
    assert.deepEqual(await response.json(), { items: [], telegram: false, guests: true })
  })

  test('guests count as registrations: past the limit there are neither', async () => {
    let response = await post('/auth/guest', {})
    assert.equal(response.headers.get('ratelimit-limit'), String(limits.register.points))
    for (let left = Number(response.headers.get('ratelimit-remaining')); left > 0; left--)
      response = await post('/auth/guest', {})
    assert.equal(response.status, 201)
    for (const path of ['/auth/guest', '/auth/register']) {
      const refused = await post(path, {})
      assert.deepEqual([refused.status, ((await refused.json()) as { code: string }).code], [429, 'rate_limited'])
    }
  })
})

test('a server that takes no guests says so, and how its operator can change that', async () => {
  const identity = await startIdentity()
  try {
    await assert.rejects(identity.call('auth:guest', {}), (error: { code: string; message: string }) => {
      assert.equal(error.code, 'forbidden')
      assert.match(error.message, /GUESTS=on/)
      return true
    })
    assert.equal((await identity.call<{ guests: boolean }>('auth:providers', {})).guests, false)
  } finally {
    await identity.close()
  }
})

test('a guest keeps the account by giving it an address and a password', async () => {
  const identity = await startIdentity({ guests: true })
  try {
    const guest = await identity.call<Session>('auth:guest', {})
    const actor = await identity.actorOf(guest)
    // a guest cannot log in again: any login does until there is another way in
    const age = () =>
      identity.database.query(sql`update refresh_tokens set logged_in_at = now() - interval '11 minutes'`)
    await age()
    const mail = await mailBy(identity.mails, 'zoe@example.org', () =>
      identity.call('auth:change-email', { newEmail: 'zoe@example.org' }, actor),
    )
    await identity.call('auth:confirm-email', { code: codeIn(mail) }, actor)
    await assert.rejects(
      identity.call('auth:change-password', { newPassword: password }, actor),
      withCode('unauthenticated'),
      'with an address it is an account like others',
    )
    await identity.database.query(sql`update refresh_tokens set logged_in_at = now()`)
    await identity.call('auth:change-password', { newPassword: password }, actor)
    const back = await identity.call<Session>('auth:login', { email: 'zoe@example.org', password })
    assert.equal(back.user.id, guest.user.id)
    assert.equal((await identity.actorOf(guest)).userId, guest.user.id, 'the login in which that was done goes on')
    const named = { username: guest.user.username, password: 'violet tram over lisbon' }
    await assert.rejects(identity.call('auth:login', named), withCode('unauthenticated'))
  } finally {
    await identity.close()
  }
})

test('guests come in unless the server has a database for many, or its operator says otherwise', () => {
  const guestsBy = (env: Record<string, string>): boolean => loadConfig({ JWT_SECRET: jwtSecret, ...env }).guests
  const many = { DATABASE_URL: 'postgres://localhost/kintsugi' }
  assert.deepEqual([guestsBy({}), guestsBy({ GUESTS: '' }), guestsBy({ GUESTS: 'off' })], [true, true, false])
  assert.deepEqual([guestsBy(many), guestsBy({ ...many, GUESTS: 'on' })], [false, true])
})
