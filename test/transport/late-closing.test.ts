import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { pino } from 'pino'
import { io as connectTo } from 'socket.io-client'
import { newId } from '../../src/kernel/ids.ts'
import { createMetrics } from '../../src/kernel/metrics.ts'
import { createExecutor } from '../../src/transport/executor.ts'
import { createRateLimits } from '../../src/transport/rate-limits.ts'
import { createRooms, type Rooms, room } from '../../src/transport/rooms.ts'
import { createSocketServer, serveSockets } from '../../src/transport/sockets.ts'

/** What becomes of a login between the look at it and the socket's place among those that its end closes. */
let meanwhile: (rooms: Rooms, sessionId: string, userId: string) => void = () => {}
const http = createServer()
const io = createSocketServer({ http, adapter: undefined, isAllowedOrigin: () => true })
const rooms = createRooms(io, {
  conversationsOf: async () => [],
  membersOf: async () => undefined,
})
const log = pino({ level: 'silent' })
const metrics = createMetrics()
const rateLimits = createRateLimits({ enabled: false, shared: undefined })
const sockets = serveSockets({
  io,
  commands: [],
  authenticator: {
    async authenticate() {
      const actor = { userId: newId(), kind: 'human' as const, sessionId: newId(), role: 'user' as const }
      meanwhile(rooms, actor.sessionId, actor.userId)
      return { actor, expiresAt: new Date(Date.now() + 60_000) }
    },
    liveSessions: async (ids) => new Set(ids),
  },
  keyAuthenticator: {
    prefix: 'kag_',
    authenticate: async () => assert.fail('nobody has a key here'),
    liveSessions: async () => new Set(),
  },
  executor: createExecutor({ rateLimits, metrics, log }),
  rateLimits,
  rooms,
  presence: { arrived() {}, departed() {}, settled: async () => [], onlineAmong: async () => new Set() },
  metrics,
  log,
  addressOf: (_headers, peer) => peer,
})
let url = ''

before(async () => {
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
})
after(async () => {
  await sockets.close()
  await io.close()
})

/** What a new socket hears first: that it is in, or that it is closed. */
async function fate(): Promise<'ready' | 'closed'> {
  const socket = connectTo(url, {
    transports: ['websocket'],
    auth: { token: 'any' },
    forceNew: true,
    reconnection: false,
  })
  try {
    return await new Promise((resolve) => {
      socket.once('session:ready', () => resolve('ready'))
      socket.once('disconnect', () => resolve('closed'))
    })
  } finally {
    socket.disconnect()
  }
}

test('a login that ends while its socket is being let in ends that socket', async () => {
  meanwhile = (its, sessionId) => its.close(room.session(sessionId))
  assert.equal(await fate(), 'closed')
})

test('a user who is banned while a socket is being let in loses that socket', async () => {
  meanwhile = (its, _sessionId, userId) => its.close(room.user(userId))
  assert.equal(await fate(), 'closed')
})

test('the end of another login concerns nobody else', async () => {
  meanwhile = (its) => its.close(room.session(newId()))
  assert.equal(await fate(), 'ready')
})
