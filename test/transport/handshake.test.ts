import assert from 'node:assert/strict'
import { createHmac, randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { io, type Socket } from 'socket.io-client'
import type { SessionReady } from '../../src/transport/session.contract.ts'
import { api, heardDuring, nextEvent, openDirect } from '../messenger/scene.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import { connect, join, type Person, register } from '../support/people.ts'
import { jwtSecret } from '../support/server.ts'

interface Refusal extends Error {
  data?: { code: string; message: string }
}

/** Knocks with this `auth` and gives the error that comes back. */
async function refusal(url: string, auth: object, headers: Record<string, string> = {}): Promise<Refusal> {
  const options = { transports: ['websocket'], auth, forceNew: true, reconnection: false, extraHeaders: headers }
  const socket = io(url, options)
  try {
    return await new Promise<Refusal>((resolve, reject) => {
      socket.once('connect_error', resolve)
      socket.once('connect', () => reject(new Error('the handshake was not refused')))
    })
  } finally {
    socket.disconnect()
  }
}

const closed = (socket: Socket) => nextEvent(socket, 'disconnect')

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

function token(header: object, claims: object, secret = jwtSecret): string {
  const body = `${part(header)}.${part(claims)}`
  return `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`
}

describe('a handshake', () => {
  let server: Backend
  before(async () => {
    server = await startBackend({ CORS_ORIGINS: 'https://app.example.org', PUBLIC_URL: 'https://chat.example.org' })
  })
  after(() => server.end())

  test('with a good token is answered by session:ready', async () => {
    const session = await register(server.url)
    const socket = io(server.url, { transports: ['websocket'], auth: { token: session.accessToken }, forceNew: true })
    const ready = await nextEvent<SessionReady>(socket, 'session:ready')
    socket.disconnect()
    const { serverTime, sessionId, ...rest } = ready
    assert.deepEqual(rest, { userId: session.user.id, protocol: 1 })
    assert.match(sessionId, /^[0-9a-f-]{36}$/)
    assert.ok(Math.abs(Date.parse(serverTime) - Date.now()) < 60_000)
  })

  test('without a token that is good is refused, and says no more than that', async () => {
    const { user, accessToken } = await register(server.url)
    const exp = Math.floor(Date.now() / 1000) + 600
    const claims = { sub: user.id, sid: randomUUID(), exp, iss: 'kintsugi' }
    const [head, body] = accessToken.split('.')
    const bad: object[] = [
      {},
      { token: '' },
      { token: 'garbage' },
      { token: 5 },
      { token: null },
      { token: { toString: 'x' } },
      { token: [accessToken] },
      { agentKey: 'ak_123' },
      { token: `${head}.${body}.` },
      { token: `${head}.${body}.AAAA` },
      { token: `${part({ alg: 'none', typ: 'JWT' })}.${body}.` },
      { token: token({ alg: 'HS256', typ: 'JWT' }, claims) },
      { token: token({ alg: 'HS256', typ: 'JWT' }, claims, 'another secret of enough characters') },
      { token: 'a'.repeat(100_000) },
    ]
    for (const auth of bad) {
      const error = await refusal(server.url, auth)
      assert.equal(error.data?.code, 'unauthenticated', JSON.stringify(auth).slice(0, 100))
      assert.deepEqual(Object.keys(error.data ?? {}), ['code', 'message'])
      assert.equal(error.message, error.data?.message)
    }
  })

  test('from a page of another origin is refused; from allowed pages, the server’s own and no page it is not', async () => {
    const session = await register(server.url)
    const evil = ['https://evil.example', 'null', 'https://app.example.org.evil.example', 'http://app.example.org']
    for (const origin of evil) {
      const error = await refusal(server.url, { token: session.accessToken }, { origin })
      assert.equal(error.data, undefined, 'the request itself is refused')
    }
    for (const origin of ['https://app.example.org', 'https://chat.example.org', server.url, undefined]) {
      const options = { transports: ['websocket'], auth: { token: session.accessToken }, forceNew: true }
      const socket = io(server.url, { ...options, ...(origin && { extraHeaders: { origin } }) })
      await nextEvent(socket, 'session:ready')
      socket.disconnect()
    }
  })

  test('by long polling is not offered', async () => {
    const response = await fetch(`${server.url}/socket.io/?EIO=4&transport=polling`)
    assert.equal(response.status, 400)
    await response.text()
  })

  test('of a login that has ended is refused', async () => {
    const session = await register(server.url)
    const person = await connect(server.url, session)
    assert.equal((await logout(person, 'logout')).status, 204)
    await refusal(server.url, { token: session.accessToken }).then(({ data }) =>
      assert.equal(data?.code, 'unauthenticated'),
    )
  })

  test('logging out closes the sockets of that login at once, and of no other', async () => {
    const desk = await join(server.url, 'ann')
    const beside = await connect(server.url, desk.session)
    const friend = await join(server.url, 'ben')
    const { body } = await api(server.url)('POST', '/auth/login', {
      username: desk.username,
      password: 'correct horse',
    })
    const phone = await connect(server.url, body as unknown as Person['session'])
    const ends = [closed(desk.socket), closed(beside.socket)]
    await logout(desk, 'logout')
    await Promise.all(ends)
    const conversationId = await openDirect(phone, friend)
    const [heard] = await heardDuring([phone], () => friend.do('typing', { conversationId, isTyping: true }))
    assert.deepEqual(
      heard?.map(({ event }) => event),
      ['typing'],
    )
    const end = closed(phone.socket)
    await logout(phone, 'logout-all')
    await end
    assert.ok(friend.socket.connected)
  })

  const logout = (person: Person, how: string) =>
    fetch(`${server.url}/v1/auth/${how}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${person.session.accessToken}` },
    })
})

describe('where tokens live for three seconds', () => {
  let server: Backend
  before(async () => {
    server = await startBackend({ ACCESS_TOKEN_SECONDS: '3' })
  })
  after(() => server.end())

  test('a socket is closed when its token expires, but not one that has given a newer one', async () => {
    const idle = await join(server.url, 'idle')
    const keen = await connect(server.url, idle.session)
    const end = closed(idle.socket)
    const claims = JSON.parse(Buffer.from(idle.session.accessToken.split('.')[1] ?? '', 'base64url').toString())
    const newer = token({ alg: 'HS256', typ: 'JWT' }, { ...claims, exp: claims.exp + 2 })
    const ack = await keen.ask('session:refresh', { token: newer })
    assert.deepEqual(ack, { ok: true, data: { expiresAt: new Date((claims.exp + 2) * 1000).toISOString() } })
    await end
    assert.equal((await keen.ask('conversation:list', {})).ok, true)
    const { data: refused } = await refusal(server.url, { token: idle.session.accessToken })
    assert.equal(refused?.code, 'token_expired')
    await closed(keen.socket)
    assert.ok(Date.now() >= (claims.exp + 2) * 1000)
  })

  test('a socket takes no token of someone else, none that is garbage and none that has expired', async () => {
    const old = await join(server.url, 'old')
    await closed(old.socket)
    const [ann, ben] = [await join(server.url, 'ann'), await join(server.url, 'ben')]
    const refused = async (given: unknown) => (await ann.refused('session:refresh', given)).code
    assert.equal(await refused({ token: ben.session.accessToken }), 'forbidden')
    assert.equal(await refused({ token: 'garbage' }), 'unauthenticated')
    assert.equal(await refused({ token: old.session.accessToken }), 'token_expired')
    assert.equal(await refused({}), 'invalid_request')
    await closed(ann.socket)
  })
})
