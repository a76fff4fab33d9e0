import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { type Backend, startBackend } from '../support/backend.ts'
import { cast, heardDuring, historyOf, openGroup, type Person, refuses, send, stateOf } from './scene.ts'

let server: Backend
let owner: Person
let member: Person
let stranger: Person
before(async () => {
  server = await startBackend()
  ;[owner, member, stranger] = await cast(server.url, 'owner', 'member', 'stranger')
})
after(() => server.end())

/** Every command about a conversation, with input that its owner might give. */
const commandsOn = (conversationId: string, messageId: string, userId: string): [name: string, input: object][] => [
  ['conversation:get', { conversationId }],
  ['conversation:update', { conversationId, title: 'Taken over' }],
  ['conversation:settings', { conversationId, isPinned: true }],
  ['conversation:leave', { conversationId }],
  ['conversation:delete', { conversationId }],
  ['participant:list', { conversationId }],
  ['participant:add', { conversationId, userId: stranger.id }],
  ['participant:remove', { conversationId, userId }],
  ['participant:update', { conversationId, userId, role: 'admin' }],
  ['message:send', { conversationId, clientId: randomUUID(), content: 'from outside' }],
  ['message:send', { conversationId, clientId: randomUUID(), content: 'from outside', replyToId: messageId }],
  ['message:edit', { conversationId, messageId, content: 'forged' }],
  ['message:delete', { conversationId, messageId }],
  ['message:history', { conversationId }],
  ['message:history', { conversationId, around: 1 }],
  ['message:revisions', { conversationId, messageId }],
  ['message:readers', { conversationId, messageId }],
  ['message:search', { conversationId, query: 'secret' }],
  ['reaction:add', { conversationId, messageId, emoji: '👍' }],
  ['reaction:remove', { conversationId, messageId, emoji: '👍' }],
  ['receipt:read', { conversationId, seq: 1 }],
  ['receipt:delivered', { conversationId, seq: 1 }],
  ['typing', { conversationId, isTyping: true }],
]

/** Refused in the same words as for a conversation that there is not; nobody hears anything and nothing is stored. */
async function isShutOut(outsider: Person, conversationId: string, messageId: string): Promise<void> {
  const earlier = await stateOf(owner, conversationId)
  const [heardByOwner, heardByMember, heardOutside] = await heardDuring([owner, member, outsider], async () => {
    const there = commandsOn(conversationId, messageId, member.id)
    const nowhere = commandsOn(randomUUID(), randomUUID(), member.id)
    for (const [i, [name, input]] of there.entries()) {
      const real = await refuses(outsider, 'not_found', name, input)
      assert.deepEqual(real, await refuses(outsider, 'not_found', name, nowhere[i]?.[1]), name)
    }
  })
  assert.deepEqual([heardByOwner, heardByMember, heardOutside], [[], [], []])
  assert.deepEqual(await stateOf(owner, conversationId), earlier)
}

test('a stranger is told the same of a conversation that exists and of one that does not, and moves nothing', async () => {
  const conversationId = await openGroup(owner, member)
  const { id } = await send(owner, conversationId, 'secret')
  await isShutOut(stranger, conversationId, id)
})

test('so is someone who was removed', async () => {
  const conversationId = await openGroup(owner, member, stranger)
  const { id } = await send(owner, conversationId, 'secret')
  await owner.do('participant:remove', { conversationId, userId: stranger.id })
  await isShutOut(stranger, conversationId, id)
})

test('so is someone who has left', async () => {
  const conversationId = await openGroup(owner, member, stranger)
  const { id } = await send(owner, conversationId, 'secret')
  await stranger.do('conversation:leave', { conversationId })
  await isShutOut(stranger, conversationId, id)
})

test('a deleted conversation is gone for its owner as well', async () => {
  const conversationId = await openGroup(owner, member)
  const { id } = await send(owner, conversationId, 'secret')
  await owner.do('conversation:delete', { conversationId })
  for (const [name, input] of commandsOn(conversationId, id, member.id)) await refuses(owner, 'not_found', name, input)
})

test('a stranger finds nothing of a conversation by list, search or sync, even by naming it', async () => {
  const conversationId = await openGroup(owner, member)
  await send(owner, conversationId, 'xylophone in secret')
  const elsewhere = randomUUID()
  const { conversations } = await stranger.do('conversation:list', {})
  assert.ok(conversations.every(({ id }) => id !== conversationId))
  assert.deepEqual(await stranger.do('message:search', { query: 'xylophone' }), { messages: [] })
  assert.deepEqual(await stranger.do('message:search', { query: 'xylophone', senderId: owner.id }), { messages: [] })
  const found = await stranger.do('sync', {
    positions: { [conversationId]: 0, [elsewhere]: 0 },
    since: new Date(0).toISOString(),
  })
  assert.deepEqual(found.removed.sort(), [conversationId, elsewhere].sort())
  assert.ok(!JSON.stringify({ ...found, removed: [] }).includes(conversationId))
})

test('a stranger cannot be watched for presence', async () => {
  const [one, another] = await cast(server.url, 'one', 'another')
  assert.deepEqual(await one.do('presence:watch', { userIds: [another.id, randomUUID()] }), { presences: [] })
  const [heard] = await heardDuring([one], async () => another.close())
  assert.deepEqual(heard, [])
})

test('a message is reached only through its own conversation', async () => {
  const here = await openGroup(owner, member)
  const there = await openGroup(owner)
  const hidden = await send(owner, there, 'in the other one')
  const earlier = [await stateOf(owner, here), await stateOf(owner, there)]
  const [heard] = await heardDuring([member], async () => {
    for (const name of ['message:edit', 'message:delete', 'message:revisions', 'message:readers', 'reaction:add']) {
      const more = { 'message:edit': { content: 'x' }, 'reaction:add': { emoji: '👍' } }[name]
      const real = await refuses(member, 'not_found', name, { conversationId: here, messageId: hidden.id, ...more })
      const none = await refuses(member, 'not_found', name, { conversationId: here, messageId: randomUUID(), ...more })
      assert.deepEqual(real, none)
    }
    const reply = { conversationId: here, clientId: randomUUID(), content: 'x' }
    assert.deepEqual(
      await refuses(member, 'unprocessable', 'message:send', { ...reply, replyToId: hidden.id }),
      await refuses(member, 'unprocessable', 'message:send', { ...reply, replyToId: randomUUID() }),
    )
  })
  assert.deepEqual(heard, [])
  assert.deepEqual([await stateOf(owner, here), await stateOf(owner, there)], earlier)
})

test('a message is forwarded only by someone who can read it', async () => {
  const source = await openGroup(owner, member)
  const target = await openGroup(stranger, member)
  const { id } = await send(owner, source, 'not for everyone')
  const forward = (conversationId: string, messageId: string) =>
    refuses(stranger, 'not_found', 'message:send', {
      conversationId: target,
      clientId: randomUUID(),
      forward: { conversationId, messageId },
    })
  const [heard] = await heardDuring([member], async () => {
    assert.deepEqual(await forward(source, id), await forward(randomUUID(), randomUUID()))
  })
  assert.deepEqual(heard, [])
  assert.deepEqual(await historyOf(stranger, target), [])
})
