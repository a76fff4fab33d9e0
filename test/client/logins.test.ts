import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { type Client, type ClientOptions, createClient } from '../../src/client/index.ts'
import { type FakeServer, heard, session, startFakeServer } from './fake.server.ts'
import { me } from './model.ts'

const withoutRefreshToken = (accessToken: string) => {
  const { refreshToken: _, ...rest } = session(accessToken)
  return rest
}

describe('logins of the client', () => {
  let server: FakeServer
  let clients: Client[]
  /** Which requests asked for the refresh token in a cookie. */
  let byCookie: string[]

  beforeEach(async () => {
    server = await startFakeServer()
    clients = []
    byCookie = []
    const routes: FakeServer['rest'] = {
      'POST /v1/auth/login': () => [200, withoutRefreshToken('token 1')],
      'POST /v1/auth/guest': ({ displayName }) => [201, { ...withoutRefreshToken('token g'), displayName }],
      'POST /v1/auth/refresh': () => {
        const { user: _, ...tokens } = withoutRefreshToken('token r')
        return [200, tokens]
      },
      'POST /v1/auth/logout': () => [204, undefined],
      'DELETE /v1/me': () => [204, undefined],
      'GET /v1/me': (_body, authorization) => [200, { ...session('').user, bio: authorization }],
    }
    for (const [route, answer] of Object.entries(routes)) {
      server.rest[route] = (body, authorization, headers) => {
        if (headers['x-refresh-cookie'] === '1') byCookie.push(route)
        return answer(body, authorization, headers)
      }
    }
  })
  afterEach(async () => {
    await Promise.all(clients.map((client) => client.close()))
    await server.close()
  })

  function newClient(options: Partial<ClientOptions> = {}): Client {
    const client = createClient({ url: server.url, socket: { reconnect: { minMs: 5, maxMs: 20 } }, ...options })
    clients.push(client)
    return client
  }

  it('ask for the refresh token in a cookie where they begin, go on and end, and nothing else does', async () => {
    const credentials: (string | undefined)[] = []
    const client = newClient({
      refreshCookie: true,
      fetch: (input, init) => {
        credentials.push(init?.credentials)
        return fetch(input, init)
      },
    })
    await client.login({ username: me, password: 'secret' })
    await client.rest.me()
    await client.continueLogin()
    await client.rest.request('DELETE', '/v1/me', {})
    await client.logout()
    const asked = ['POST /v1/auth/login', 'POST /v1/auth/refresh', 'DELETE /v1/me', 'POST /v1/auth/logout']
    assert.deepEqual(byCookie, asked)
    assert.deepEqual(credentials, ['include', undefined, 'include', undefined, 'include', 'include'])
  })

  it('leave the refresh token in the body unless a page wants it otherwise', async () => {
    const client = newClient()
    await client.login({ username: me, password: 'secret' })
    await client.logout()
    assert.deepEqual(byCookie, [])
  })

  it('begin as a guest, without a word about them or with a name', async () => {
    server.rest['POST /v1/auth/guest'] = (body) => [201, { ...session('token g'), body }]
    const client = newClient()
    const unnamed = await client.guest()
    assert.deepEqual((unnamed as unknown as { body: object }).body, {})
    assert.equal((await client.connect()).userId, me)
    const named = await client.guest({ displayName: 'Zoe', locale: 'fr' })
    assert.deepEqual((named as unknown as { body: object }).body, { displayName: 'Zoe', locale: 'fr' })
  })

  it('are refused as guests where the server takes none', async () => {
    server.rest['POST /v1/auth/guest'] = () => [403, { code: 'forbidden', detail: 'No guests.' }]
    await assert.rejects(newClient().guest(), { code: 'forbidden', status: 403 })
  })

  it('go on after another service led the page back: by the cookie alone', async () => {
    const client = newClient({ refreshCookie: true })
    const continued = await client.continueLogin()
    assert.deepEqual(
      [continued.user.id, continued.accessToken, (continued.user as unknown as { bio: string }).bio],
      [me, 'token r', 'Bearer token r'],
    )
    assert.equal((await client.connect()).userId, me)
    assert.deepEqual(server.requests, ['POST /v1/auth/refresh', 'GET /v1/me'])
  })

  it('do not go on where there is none in the cookie, and whoever is signed in stays so', async () => {
    const client = newClient({ refreshCookie: true })
    await client.login({ username: me, password: 'secret' })
    server.rest['POST /v1/auth/refresh'] = () => [401, { code: 'unauthenticated', detail: 'There is none.' }]
    await assert.rejects(client.continueLogin(), { code: 'unauthenticated' })
    assert.equal((await client.connect()).userId, me)
  })

  it('hear what concerns their user alone: credits, work under way, notices', async () => {
    const client = newClient()
    await client.login({ username: me, password: 'secret' })
    await client.connect()
    const news = {
      'wallet:changed': { credits: 5, plan: 'basic' },
      'job:changed': { jobId: 'j', kind: 'export', status: 'running', completed: 1, total: 3 },
      notification: { kind: 'account_deleted' },
    } as const
    for (const name of Object.keys(news) as (keyof typeof news)[]) {
      const told = heard<unknown>((handler) => client.on(name, handler))
      server.sockets.at(-1)?.emit(name, news[name])
      assert.deepEqual(await told, news[name])
    }
  })
})
