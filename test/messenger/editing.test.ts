import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createStore } from '../../src/client/index.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import {
  cast,
  heardDuring,
  hearsMessage,
  messageOf,
  openDirect,
  openGroup,
  type Person,
  refuses,
  send,
  stateOf,
} from './scene.ts'

let server: Backend
let ann: Person
let ben: Person
let cat: Person
before(async () => {
  server = await startBackend()
  ;[ann, ben, cat] = await cast(server.url, 'ann', 'ben', 'cat')
})
after(() => server.end())

test('an edit changes the text for everyone and keeps the earlier ones, oldest first', async () => {
  const conversationId = await openDirect(ann, ben)
  const { id: messageId, change } = await send(ann, conversationId, 'first')
  const edited = await ann.do('message:edit', { conversationId, messageId, content: 'second' })
  assert.deepEqual([edited.prevChange, edited.change], [change, change + 1])
  const news = await hearsMessage(ben, messageId, 'messages:updated')
  assert.deepEqual([news.content, news.editedAt, news.change], ['second', edited.editedAt, edited.change])
  assert.deepEqual(await messageOf(ben, conversationId, messageId), news)
  await ann.do('message:edit', { conversationId, messageId, content: 'third' })
  const { revisions } = await ben.do('message:revisions', { conversationId, messageId })
  assert.deepEqual(
    revisions.map(({ content }) => content),
    ['first', 'second'],
  )
  assert.equal(revisions[0]?.editedAt, edited.editedAt)
})

test('an edit to the text that is there already changes nothing, and is heard by nobody', async () => {
  const conversationId = await openDirect(ann, cat)
  const { id: messageId } = await send(ann, conversationId, 'the same')
  const earlier = await stateOf(ann, conversationId)
  const [heard] = await heardDuring([cat], () =>
    ann.ask('message:edit', { conversationId, messageId, content: 'the same' }),
  )
  assert.deepEqual(heard, [])
  assert.deepEqual(await stateOf(ann, conversationId), earlier)
  const edit = { conversationId, messageId, content: 'another' }
  const first = await ann.do('message:edit', edit)
  assert.deepEqual(await ann.do('message:edit', edit), first)
  assert.equal((await ann.do('message:revisions', { conversationId, messageId })).revisions.length, 1)
})

test('edits at once are each kept', async () => {
  const conversationId = await openDirect(ben, cat)
  const { id: messageId } = await send(ben, conversationId, 'v0')
  const texts = Array.from({ length: 20 }, (_, i) => `v${i + 1}`)
  await Promise.all(texts.map((content) => ben.do('message:edit', { conversationId, messageId, content })))
  const { revisions } = await cat.do('message:revisions', { conversationId, messageId })
  const { content } = await messageOf(cat, conversationId, messageId)
  assert.deepEqual([...revisions.map((revision) => revision.content), content].sort(), ['v0', ...texts].sort())
})

test('only its sender edits a message, an owner not either, and nobody a deleted one', async () => {
  const conversationId = await openGroup(ann, ben)
  const { id: messageId } = await send(ben, conversationId, 'mine')
  const gone = await send(ben, conversationId, 'gone')
  await ben.do('message:delete', { conversationId, messageId: gone.id })
  const earlier = await stateOf(ann, conversationId)
  const heard = await heardDuring([ann, ben], async () => {
    await refuses(ann, 'forbidden', 'message:edit', { conversationId, messageId, content: 'yours' })
    await refuses(ben, 'gone', 'message:edit', { conversationId, messageId: gone.id, content: 'back' })
    await refuses(ben, 'invalid_request', 'message:edit', { conversationId, messageId, content: '' })
    await refuses(ben, 'invalid_request', 'message:edit', { conversationId, messageId })
  })
  assert.deepEqual(heard, [[], []])
  assert.deepEqual(await stateOf(ann, conversationId), earlier)
})

test('a deleted message leaves a tombstone: its words are nowhere to be found', async () => {
  const conversationId = await openGroup(ann, ben)
  const first = await send(ann, conversationId, `zanzibar one @${ben.username}`)
  const messageId = first.id
  await ann.do('message:edit', { conversationId, messageId, content: `zanzibar two @${ben.username}` })
  await ben.do('reaction:add', { conversationId, messageId, emoji: '🎉' })
  const reply = await send(ben, conversationId, 'what a place', { replyToId: messageId })
  const { lastChange } = await ben.do('conversation:get', { conversationId })
  const numbers = await ann.do('message:delete', { conversationId, messageId })
  assert.deepEqual(numbers, { prevChange: lastChange, change: lastChange + 1 })
  const tombstone = await ben.hears(
    'messages:updated',
    (it) => it.change === numbers.change && it.conversationId === conversationId,
  )
  const { deletedAt, editedAt, ...kept } = (tombstone.messages as unknown as Record<string, unknown>[])[0] ?? {}
  assert.equal(typeof deletedAt, 'string')
  assert.deepEqual(kept, {
    ...{ id: messageId, conversationId, seq: 1, change: numbers.change, clientId: kept.clientId, senderId: ann.id },
    ...{ role: 'user', type: 'text', content: '', status: 'sent', createdAt: first.createdAt },
  })
  assert.deepEqual(await ben.do('message:revisions', { conversationId, messageId }), { revisions: [] })
  assert.deepEqual(await ben.do('message:search', { query: 'zanzibar' }), { messages: [] })
  const everywhere = [
    await ben.do('message:history', { conversationId }),
    await ben.do('sync', {}),
    await ben.do('sync', { positions: { [conversationId]: 2 } }),
    await ben.do('conversation:list', {}),
    await messageOf(ben, conversationId, reply.id),
  ]
  assert.ok(!JSON.stringify(everywhere).includes('zanzibar'))
})

test('what a reply quotes is taken back with the message: a client that catches up has what a fresh reading shows', async () => {
  const conversationId = await openGroup(ann, ben)
  const first = await send(ann, conversationId, 'words to be taken back')
  const reply = await send(ben, conversationId, 'an answer', { replyToId: first.id })
  const store = createStore()
  store.reset(ben.id)
  store.applySync(await ben.do('sync', {}))
  const quoted = () => store.get(conversationId)?.messages.find(({ id }) => id === reply.id)?.replyTo
  assert.equal(quoted()?.excerpt, 'words to be taken back')
  await ann.do('message:delete', { conversationId, messageId: first.id })
  store.applySync(await ben.do('sync', { positions: store.positions() }))
  const now = await messageOf(ben, conversationId, reply.id)
  assert.equal(now.replyTo?.excerpt, '')
  assert.deepEqual(quoted(), now.replyTo)
})

test('a repeated deletion changes nothing', async () => {
  const conversationId = await openDirect(ann, ben)
  const { id: messageId } = await send(ann, conversationId, 'once')
  const first = await ann.do('message:delete', { conversationId, messageId })
  const earlier = await stateOf(ben, conversationId)
  const [heard] = await heardDuring([ben], async () => {
    assert.deepEqual(await ann.do('message:delete', { conversationId, messageId }), first)
  })
  assert.deepEqual(heard, [])
  assert.deepEqual(await stateOf(ben, conversationId), earlier)
})

test('owner and admin delete any message of a group, a member only their own; in a direct conversation everyone', async () => {
  const conversationId = await openGroup(ann, ben, cat)
  await ann.do('participant:update', { conversationId, userId: ben.id, role: 'admin' })
  const [first, second] = [await send(cat, conversationId, 'one'), await send(cat, conversationId, 'two')]
  const own = await send(ann, conversationId, 'by the owner')
  await refuses(cat, 'forbidden', 'message:delete', { conversationId, messageId: own.id })
  await ben.do('message:delete', { conversationId, messageId: first.id })
  await ann.do('message:delete', { conversationId, messageId: second.id })
  const direct = await openDirect(ann, cat)
  const { id: messageId } = await send(ann, direct, 'mine alone')
  const [heard] = await heardDuring([ann], () =>
    refuses(cat, 'forbidden', 'message:delete', { conversationId: direct, messageId }),
  )
  assert.deepEqual(heard, [])
})
