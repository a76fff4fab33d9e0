import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { io } from 'socket.io-client'
import { limits } from '../../src/kernel/limits.ts'
import { api } from '../messenger/scene.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import { join } from '../support/people.ts'

let server: Backend
before(async () => {
  server = await startBackend({ RATE_LIMITS: 'on' })
})
after(() => server.end())

test('a limited route says where one stands, and past the limit when to come again', async () => {
  const [ann, ben] = [await join(server.url, 'ann'), await join(server.url, 'ben')]
  const call = api(server.url, ann)
  const { points } = limits.conversation_create
  for (let left = points - 1; left >= 0; left--) {
    const { status, headers } = await call('POST', '/conversations', { type: 'group', title: `${left}` })
    assert.equal(status, 201)
    assert.equal(headers.get('ratelimit-limit'), String(points))
    assert.equal(headers.get('ratelimit-remaining'), String(left))
    const reset = Number(headers.get('ratelimit-reset'))
    assert.ok(reset >= 1 && reset <= 60)
  }
  const { status, headers, body } = await call('POST', '/conversations', { type: 'group' })
  assert.deepEqual([status, body.code, headers.get('ratelimit-remaining')], [429, 'rate_limited', '0'])
  assert.match(headers.get('content-type') ?? '', /^application\/problem\+json/)
  const retryAfter = Number(headers.get('retry-after'))
  assert.ok(retryAfter >= 1 && retryAfter <= 60)

  const bySocket = await ann.refused('conversation:create', { type: 'group' })
  assert.deepEqual([bySocket.code, bySocket.retryable], ['rate_limited', true])
  assert.ok(Number(bySocket.details?.retryAfterSeconds) >= 1)
  assert.equal((await ann.do('conversation:list', { limit: 100 })).conversations.length, points)
  assert.equal((await ann.ask('sync', {})).ok, true, 'other operations go on')
  assert.equal((await ben.ask('conversation:create', { type: 'group' })).ok, true, 'others go on')
})

test('handshakes of one address are limited', async () => {
  const knock = (): Promise<string> =>
    new Promise((resolve) => {
      const socket = io(server.url, {
        transports: ['websocket'],
        auth: { token: 'x' },
        forceNew: true,
        reconnection: false,
      })
      socket.once('connect_error', (error: Error & { data?: { code: string } }) => {
        socket.disconnect()
        resolve(error.data?.code ?? error.message)
      })
    })
  const codes: string[] = []
  for (let i = 0; i <= limits.connect.points; i++) codes.push(await knock())
  assert.deepEqual(new Set(codes), new Set(['unauthenticated', 'rate_limited']))
  assert.equal(codes.at(-1), 'rate_limited')
})
