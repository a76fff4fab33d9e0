import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import type { ErrorCode } from '../../src/kernel/errors.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import { api, cast, heardDuring, messageOf, openGroup, type Person, refuses, send, stateOf } from './scene.ts'

let server: Backend
let ann: Person
let ben: Person
let conversationId: string
let messageId: string
before(async () => {
  server = await startBackend()
  ;[ann, ben] = await cast(server.url, 'ann', 'ben')
  conversationId = await openGroup(ann, ben)
  messageId = (await send(ann, conversationId, 'a message')).id
})
after(() => server.end())

type Refused = [code: ErrorCode, name: string, input: unknown]

/** Each is refused with that code; nobody hears anything and nothing is stored. */
async function allRefused(cases: Refused[]): Promise<void> {
  const earlier = await stateOf(ann, conversationId)
  const heard = await heardDuring([ann, ben], async () => {
    for (const [code, name, input] of cases) await refuses(ann, code, name, input)
  })
  assert.deepEqual(heard, [[], []])
  assert.deepEqual(await stateOf(ann, conversationId), earlier)
}

const sendInput = (more: object) => ({ conversationId, clientId: randomUUID(), content: 'x', ...more })
const lone = 'half a pair \ud83d'

test('a text has at most 16,000 UTF-16 units, however wide its letters', async () => {
  for (const content of ['a'.repeat(16_000), '글'.repeat(16_000), '👍'.repeat(8_000), '\u0001"\\'.repeat(5_333)]) {
    const { id } = await send(ann, conversationId, content)
    assert.equal((await messageOf(ben, conversationId, id)).content, content)
    await ann.do('message:edit', { conversationId, messageId: id, content: `${content.slice(2)}ok` })
  }
  const tooLong = ['a'.repeat(16_001), '👍'.repeat(8_001), 'a'.repeat(100_000)]
  await allRefused([
    ...tooLong.map((content): Refused => ['payload_too_large', 'message:send', sendInput({ content })]),
    ['payload_too_large', 'message:edit', { conversationId, messageId, content: 'a'.repeat(16_001) }],
  ])
})

test('a message has a text, and one that can be stored', async () => {
  const bad: unknown[] = [
    '',
    undefined,
    null,
    5,
    true,
    {},
    ['x'],
    { toString: 'x' },
    'nul \0',
    lone,
    '\udc4d',
    `${lone} and more`,
  ]
  await allRefused([
    ...bad.map((content): Refused => ['invalid_request', 'message:send', sendInput({ content })]),
    ...bad.map((content): Refused => ['invalid_request', 'message:edit', { conversationId, messageId, content }]),
  ])
})

test('attachments that are not there are unprocessable, and a type without any is no request', async () => {
  await allRefused([
    ['invalid_request', 'message:send', sendInput({ type: 'image' })],
    ['unprocessable', 'message:send', sendInput({ type: 'file', attachmentIds: [randomUUID()] })],
    ['unprocessable', 'message:send', sendInput({ attachmentIds: [randomUUID()] })],
    ['invalid_request', 'message:send', sendInput({ type: 'system' })],
    ['invalid_request', 'message:send', sendInput({ attachmentIds: Array.from({ length: 11 }, () => randomUUID()) })],
  ])
})

test('a clientId has 1 to 64 characters that can be stored', async () => {
  await send(ann, conversationId, 'x', { clientId: 'c'.repeat(64) })
  const bad = ['', 'c'.repeat(65), 'c\0', lone, 5, null, {}, []]
  await allRefused(bad.map((clientId) => ['invalid_request', 'message:send', sendInput({ clientId })]))
  await refuses(ann, 'invalid_request', 'message:send', { conversationId, content: 'x' })
})

test('a title has up to 255 characters and is not blank', async () => {
  for (const title of ['t'.repeat(255), '글'.repeat(255), '<script>alert(1)</script>', `'; drop table users; --`]) {
    assert.equal((await ann.do('conversation:update', { conversationId, title })).title, title)
    const created = await ann.do('conversation:create', { type: 'group', title })
    assert.equal(created.title, title)
  }
  const bad = ['', ' \t\n', 't'.repeat(256), 'nul\0', lone, 5, null, {}, ['t']]
  await allRefused([
    ...bad.map((title): Refused => ['invalid_request', 'conversation:update', { conversationId, title }]),
    ...bad.map((title): Refused => ['invalid_request', 'conversation:create', { type: 'group', title }]),
  ])
})

test('ids are UUIDs', async () => {
  const bad: unknown[] = [
    '',
    'x',
    5,
    null,
    {},
    [],
    `${conversationId} `,
    conversationId.slice(1),
    `{${conversationId}}`,
    "' or 1=1 --",
    '\0',
  ]
  await allRefused([
    ...bad.map((id): Refused => ['invalid_request', 'conversation:get', { conversationId: id }]),
    ...bad.map((id): Refused => ['invalid_request', 'message:send', sendInput({ conversationId: id })]),
    ...bad.map((id): Refused => ['invalid_request', 'message:send', sendInput({ replyToId: id })]),
    ...bad.map((id): Refused => ['invalid_request', 'message:delete', { conversationId, messageId: id }]),
    ...bad.map((id): Refused => ['invalid_request', 'conversation:create', { type: 'group', participantIds: [id] }]),
    ...bad.map((id): Refused => ['invalid_request', 'presence:watch', { userIds: [id] }]),
    ...bad.map((id): Refused => ['invalid_request', 'sync', { positions: { [String(id)]: 0 } }]),
  ])
})

test('unknown fields are refused by name, those of Object’s prototype as well', async () => {
  const raw = (extra: string) =>
    JSON.parse(`{"conversationId":"${conversationId}","clientId":"c","content":"x",${extra}}`)
  for (const field of ['extra', 'senderId', 'constructor', '__proto__', 'toString', 'hasOwnProperty']) {
    const error = await refuses(ann, 'invalid_request', 'message:send', raw(`"${field}":{"admin":true}`))
    assert.deepEqual(error.details?.errors, [{ path: field, message: 'is not known here' }])
  }
  const call = api(server.url, ann)
  const overRest = await call(
    'POST',
    `/conversations/${conversationId}/messages`,
    JSON.parse('{"clientId":"c","content":"x","__proto__":{"a":1}}'),
  )
  assert.equal(overRest.status, 400)
  assert.equal(Reflect.get({}, 'admin'), undefined)
})

test('a command takes one object', async () => {
  for (const input of [5, 'text', true, [], [{ conversationId }]]) {
    await refuses(ann, 'invalid_request', 'conversation:get', input)
    await refuses(ann, 'invalid_request', 'message:send', input)
  }
  const ack = await ann.ask('conversation:get', { conversationId }, { conversationId })
  assert.equal(ack.ok ? undefined : ack.error.code, 'invalid_request')
})

test('a reaction is one emoji', async () => {
  const one = ['👍', '👍🏽', '❤', '❤️', '👩‍👩‍👧‍👦', '🇰🇷', '1️⃣', '🏴󠁧󠁢󠁥󠁮󠁧󠁿', '©']
  for (const emoji of one) await ann.do('reaction:add', { conversationId, messageId, emoji })
  const { reactions } = await messageOf(ben, conversationId, messageId)
  assert.deepEqual(
    reactions?.map(({ emoji }) => emoji),
    one,
  )
  const none = [
    '',
    'a',
    '1',
    '#',
    '👍👍',
    '👍 ',
    ' 👍',
    ':+1:',
    '\u200d',
    '\ufe0f',
    '🏽👍🏽',
    '글',
    '<b>',
    '\0',
    lone,
    5,
    null,
    {},
    '👍'.repeat(50),
  ]
  await allRefused(none.map((emoji) => ['invalid_request', 'reaction:add', { conversationId, messageId, emoji }]))
})

test('positions are whole numbers from 0 on', async () => {
  const bad = [-1, 1.5, '1', null, 2_147_483_648, 1e300, {}, []]
  await allRefused([
    ...bad.map((seq): Refused => ['invalid_request', 'receipt:read', { conversationId, seq }]),
    ...bad.map((seq): Refused => ['invalid_request', 'receipt:delivered', { conversationId, seq }]),
    ...bad.map((seq): Refused => ['invalid_request', 'sync', { positions: { [conversationId]: seq } }]),
  ])
})

test('sync takes times of the calendar and positions by id', async () => {
  const bad: unknown[] = [
    '',
    'yesterday',
    '2026-02-30T00:00:00Z',
    '0000-01-01T00:00:00Z',
    5,
    null,
    '2026-01-01',
    'infinity',
    '2026-01-01T00:00:00+09:00',
  ]
  await allRefused(bad.map((since) => ['invalid_request', 'sync', { since }]))
  await ann.do('sync', { since: '1900-01-01T00:00:00Z' })
  await ann.do('sync', { since: '2199-12-31T23:59:59.999Z' })
  await allRefused([
    ['invalid_request', 'sync', { positions: { constructor: 1 } }],
    ['invalid_request', 'sync', { positions: [1] }],
    ...[501, 0].map((limit): Refused => ['invalid_request', 'sync', { limit }]),
  ])
})

test('flags are booleans', async () => {
  for (const flag of ['true', 1, 0, null, {}]) {
    await refuses(ann, 'invalid_request', 'typing', { conversationId, isTyping: flag })
    await refuses(ann, 'invalid_request', 'conversation:settings', { conversationId, isPinned: flag })
    await refuses(ann, 'invalid_request', 'conversation:list', { archived: flag })
  }
  await refuses(ann, 'invalid_request', 'conversation:settings', { conversationId })
})
