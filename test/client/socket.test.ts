import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { CommandFailed, type KintsugiSocket, openSocket, type SocketOptions } from '../../src/client/index.ts'
import { type FakeServer, heard, startFakeServer } from './fake.server.ts'

describe('socket', () => {
  let server: FakeServer
  let socket: KintsugiSocket | undefined

  beforeEach(async () => {
    server = await startFakeServer()
  })
  afterEach(async () => {
    socket?.close()
    await server.close()
  })

  function open(options: Partial<SocketOptions> = {}): KintsugiSocket {
    const reconnect = { minMs: 5, maxMs: 20 }
    socket = openSocket({ url: server.url, auth: { token: 'good' }, reconnect, ...options })
    return socket
  }

  const list = { conversationId: 'c' }

  it('resolves a command with its data and rejects it with its error', async () => {
    server.on['conversation:get'] = () => ({ data: { id: 'c' } })
    server.on['participant:list'] = () => ({ error: { code: 'not_found', message: 'No.', retryable: false } })
    const { ready, command } = open()
    await ready
    assert.deepEqual(await command('conversation:get', list), { id: 'c' })
    const error = await command('participant:list', list).catch((reason) => reason)
    assert.ok(error instanceof CommandFailed)
    assert.deepEqual([error.code, error.message, error.retryable], ['not_found', 'No.', false])
  })

  it('rejects as unavailable what is not acknowledged in time, and what is sent without a connection', async () => {
    server.on['conversation:get'] = () => 'silence'
    const { ready, command } = open()
    await assert.rejects(command('conversation:get', list), { code: 'unavailable', retryable: true })
    await ready
    await assert.rejects(command('conversation:get', list, { timeoutMs: 20 }), { code: 'unavailable', retryable: true })
  })

  it('rejects what waits at the loss of the connection, comes back, and does not send it again', async () => {
    server.on['conversation:get'] = (_input, from) => {
      from.conn.close()
      return 'silence'
    }
    const { ready, command, on } = open()
    await ready
    const back = heard((handler) => on('session:ready', handler))
    await assert.rejects(command('conversation:get', list), { code: 'unavailable', retryable: true })
    await back
    assert.equal(server.commands.length, 1)
  })

  it('says when it tries next, and tries at once where asked to', async () => {
    server.on['conversation:get'] = (_input, from) => {
      from.conn.close()
      return 'silence'
    }
    const { ready, command, on, retryNow } = open({ reconnect: { minMs: 600_000, maxMs: 600_000 } })
    await ready
    const next = heard<{ inMs: number }>((handler) => on('retrying', handler))
    await assert.rejects(command('conversation:get', list), { code: 'unavailable' })
    const { inMs } = await next
    assert.ok(inMs > 50_000 && inMs <= 600_000, `in ${inMs} ms`)
    const back = heard((handler) => on('session:ready', handler))
    retryNow()
    retryNow()
    await back
  })

  it('does not send later what Socket.IO kept back since the pings were overdue', async (t) => {
    const { ready, command, on } = open()
    await ready
    const back = heard((handler) => on('session:ready', handler))
    const tomorrow = Date.now() + 86_400_000
    const clock = t.mock.method(Date, 'now', () => tomorrow)
    const kept = command('conversation:get', list)
    clock.mock.restore()
    await assert.rejects(kept, { code: 'unavailable', retryable: true })
    await back
    await command('conversation:list', {})
    assert.deepEqual(
      server.commands.map(({ name }) => name),
      ['conversation:list'],
    )
  })

  it('comes back after the server has closed the socket', async () => {
    const { ready, on } = open()
    await ready
    const back = heard((handler) => on('session:ready', handler))
    server.sockets[0]?.disconnect(true)
    await back
    assert.equal(server.sockets.length, 2)
  })

  it('asks for a newer token when its own has expired, and comes back with it', async () => {
    server.refusal = (token) => (token === 'old' ? { code: 'token_expired', message: '' } : undefined)
    const asked: boolean[] = []
    await open({
      auth: (isTokenExpired) => {
        asked.push(isTokenExpired)
        return { token: isTokenExpired ? 'new' : 'old' }
      },
    }).ready
    assert.deepEqual(asked, [false, true])
  })

  it('tries again when the server is draining or limits it', async () => {
    const refusals = ['draining', 'rate_limited', 'unavailable']
    server.refusal = () => {
      const code = refusals.shift()
      return code ? { code, message: '' } : undefined
    }
    await open().ready
    assert.deepEqual(refusals, [])
  })

  for (const code of ['unauthenticated', 'banned']) {
    it(`gives up when the server says ${code}, and says so`, async () => {
      let handshakes = 0
      server.refusal = () => {
        handshakes++
        return { code, message: 'Go.' }
      }
      const { ready, on } = open()
      const refused = heard((handler) => on('refused', handler))
      await assert.rejects(ready, { code, retryable: false })
      assert.deepEqual(await refused, { code, message: 'Go.' })
      assert.equal(handshakes, 1)
    })
  }

  it('gives up when there is no login to present', async () => {
    const auth = () => Promise.reject(Object.assign(new Error('Signed out.'), { code: 'unauthenticated' }))
    await assert.rejects(open({ auth }).ready, { code: 'unauthenticated' })
    assert.equal(server.sockets.length, 0)
  })

  it('hears events until told to stop', async () => {
    const { ready, on } = open()
    const heardOf: unknown[] = []
    const stop = on('typing', (payload) => heardOf.push(payload))
    await ready
    const first = heard((handler) => on('typing', handler))
    server.sockets[0]?.emit('typing', 1)
    await first
    stop()
    const second = heard((handler) => on('typing', handler))
    server.sockets[0]?.emit('typing', 2)
    await second
    assert.deepEqual(heardOf, [1])
  })

  it('rejects whoever waits for the first session when it is closed before', async () => {
    const { ready, close } = open({ auth: () => new Promise(() => {}) })
    close()
    await assert.rejects(ready, { code: 'unavailable' })
  })
})
