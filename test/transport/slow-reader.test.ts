import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cast, hearsMessage, openGroup, send } from '../messenger/scene.ts'
import { startBackend } from '../support/backend.ts'
import { openRawSocket } from './raw-socket.ts'

test('a client that stops reading is cut off, while the others hear everything', async () => {
  const server = await startBackend()
  try {
    const [ann, ben, slow] = await cast(server.url, 'ann', 'ben', 'slow')
    const conversationId = await openGroup(ann, ben, slow)
    await ben.do('presence:watch', { userIds: [slow.id] })
    const raw = await openRawSocket(server.url, slow.session.accessToken)
    slow.close()
    raw.socket.pause()

    // each is 96 KB as JSON; together more than the kernel's buffers and the server's cap hold
    const large = '\u0001'.repeat(16_000)
    const cut = ben.hears('presence:changed', (it) => it.userId === slow.id && it.status === 'offline')
    for (let i = 0; i < 50; i++) {
      const sent = await Promise.all(Array.from({ length: 10 }, () => send(ann, conversationId, large)))
      for (const { id } of sent) await hearsMessage(ben, id)
      if (ben.heard.some(({ event }) => event === 'presence:changed')) break
    }
    await cut
    const metrics = await (await fetch(`${server.url}/metrics`)).text()
    assert.match(metrics, /^kintsugi_socket_evictions_total 1$/m)
    await hearsMessage(ben, (await send(ann, conversationId, 'goes on')).id)
    raw.socket.destroy()
  } finally {
    await server.end()
  }
})
