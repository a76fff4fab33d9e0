import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { after, afterEach, before, test } from 'node:test'
import { cast, heardDuring, hearsMessage, historyOf, nextEvent, openDirect, send } from '../messenger/scene.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import { connect, type Person } from '../support/people.ts'
import { openRawSocket } from './raw-socket.ts'

let server: Backend
let ann: Person
let ben: Person
let mallory: Person
let conversationId: string
before(async () => {
  server = await startBackend()
  ;[ann, ben, mallory] = await cast(server.url, 'ann', 'ben', 'mallory')
  conversationId = await openDirect(ann, ben)
})
after(() => server.end())

/** Whatever went before, the others talk on and the server has neither failed unexpectedly nor started anew. */
afterEach(async () => {
  const { id } = await send(ann, conversationId, 'still there?')
  await hearsMessage(ben, id)
  assert.ok(ann.socket.connected && ben.socket.connected)
  assert.equal(server.process.exitCode, null)
  assert.doesNotMatch(server.output(), /unexpectedly|"level":(50|60)/)
})

const packets = [
  ...[
    '',
    'x',
    '4',
    '42',
    '42[',
    '42{}',
    '42[]',
    '42null',
    '42"x"',
    '42["message:send"',
    '42[[]]',
    '42[{}]',
    '42[null]',
  ],
  ...[
    '42["disconnect"]',
    '42["connect"]',
    '42["error"]',
    '42["newListener"]',
    '49',
    '4999',
    '4-1',
    '40',
    '40{',
    '40/other,',
    '41/other,',
  ],
  ...[
    '42/other,["x"]',
    '43[]',
    '430["x"]',
    '43999999999999999999[]',
    '44"x"',
    '42999999999999999999["x",{}]',
    '421e9["x"]',
  ],
  ...[
    '450-["x"]',
    '451-["x",{"_placeholder":true,"num":0}]',
    '451-["x",{"_placeholder":true,"num":9}]',
    '4599999999-["x"]',
    '45-["x"]',
  ],
  ...[
    '1',
    '2',
    '3',
    '5',
    '6',
    '7',
    '9',
    '\u0000',
    '42\u0000',
    '42["\\ud800",{}]',
    `42${'['.repeat(100_000)}`,
    `42["${'n'.repeat(100_000)}",{}]`,
  ],
]

test('a packet that is none closes the socket that sent it or is ignored, and does nothing else', async () => {
  for (const packet of packets) {
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`)
    const closed = once(socket, 'close', { signal: AbortSignal.timeout(10_000) }).then(() => 'closed')
    const answered = new Promise((resolve) => {
      socket.addEventListener('message', ({ data }) => {
        if (String(data).startsWith('0{')) socket.send(`40${JSON.stringify({ token: mallory.session.accessToken })}`)
        else if (String(data).includes('session:ready')) {
          socket.send(packet)
          socket.send(new Uint8Array([1, 2, 3]))
          socket.send('427["conversation:list",{}]')
        } else if (String(data).startsWith('437[')) resolve('answered')
      })
    })
    const outcome = await Promise.race([closed, answered])
    assert.ok(outcome === 'closed' || outcome === 'answered', packet.slice(0, 50))
    socket.close()
    await closed
  }
})

test('bytes that are no WebSocket frames close that connection', async () => {
  for (const bytes of [
    Buffer.alloc(64, 0xff),
    Buffer.from([0x81, 0x05, 1, 2, 3, 4, 5]),
    Buffer.from([0x83, 0x80, 0, 0, 0, 0]),
  ]) {
    const raw = await openRawSocket(server.url, mallory.session.accessToken)
    raw.socket.write(bytes)
    await raw.closed
  }
})

test('a payload of 10 MB closes the socket that sent it', async () => {
  const sender = await connect(server.url, mallory.session)
  const closed = nextEvent(sender.socket, 'disconnect')
  sender.socket.emit('message:send', { conversationId, clientId: 'c', content: 'x'.repeat(10_000_000) })
  await closed
  assert.ok(mallory.socket.connected, 'the user’s other sockets go on')
})

test('a command of 10,000 levels is refused', async () => {
  const arrays = `${'['.repeat(10_000)}${']'.repeat(10_000)}`
  const objects = `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`
  // as bytes: the client library itself does not get this deep
  const raw = await openRawSocket(server.url, mallory.session.accessToken)
  for (const [i, input] of [arrays, objects, `{"content":${objects}}`, `{"positions":${objects}}`].entries()) {
    for (const [j, name] of ['message:send', 'sync'].entries()) {
      const ack = 10 * i + j
      raw.send(`42${ack}["${name}",${input}]`)
      await raw.receives(`43${ack}[{"ok":false,"error":{"code":"invalid_request"`)
    }
  }
  raw.socket.destroy()
})

test('a command without an acknowledgment callback is executed all the same, and its failure does no harm', async () => {
  ann.socket.emit('message:send', { conversationId, clientId: 'no-ack', content: 'no callback' })
  const news = await ben.hears('messages:created', (it) => JSON.stringify(it).includes('no callback'))
  assert.equal(news.conversationId, conversationId)
  mallory.socket.emit('message:send', { conversationId, clientId: 'no-ack', content: 'no right either' })
  mallory.socket.emit('message:send')
  mallory.socket.emit('no such thing', 5)
  await mallory.do('conversation:list', {})
  assert.ok(!JSON.stringify(await historyOf(ben, conversationId)).includes('no right either'))
})

test('a command that there is not is refused, also by the names of Object’s prototype', async () => {
  const names = [
    'nothing',
    '',
    'toString',
    '__proto__',
    'constructor',
    'hasOwnProperty',
    'message',
    'message:',
    'MESSAGE:SEND',
    'n'.repeat(10_000),
  ]
  for (const name of names) assert.equal((await mallory.refused(name, {})).code, 'invalid_request', name)
})

test('several arguments, and binary ones, are refused', async () => {
  const input = { conversationId, clientId: randomUUID(), content: 'x' }
  const [heard] = await heardDuring([ben], async () => {
    for (const args of [
      [input, input],
      [input, null],
      [Buffer.from('binary')],
      [{ ...input, content: Buffer.from('binary') }],
      [{ ...input, conversationId: new Uint8Array(16) }],
      [input, Buffer.from('x')],
    ]) {
      const ack = await ann.ask('message:send', ...args)
      assert.equal(ack.ok ? 'stored' : ack.error.code, 'invalid_request')
    }
  })
  assert.deepEqual(heard, [])
})

test('a thousand commands at once are all answered', async () => {
  const acks = await Promise.all(
    Array.from({ length: 1_100 }, () => mallory.ask('conversation:get', { conversationId })),
  )
  const codes = new Set(acks.map((ack) => (ack.ok ? 'ok' : ack.error.code)))
  assert.deepEqual(
    [...codes].filter((code) => !['not_found', 'rate_limited'].includes(code)),
    [],
  )
})
