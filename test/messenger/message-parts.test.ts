import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { type Backend, startBackend } from '../support/backend.ts'
import {
  cast,
  heardDuring,
  hearsMessage,
  historyOf,
  messageOf,
  openDirect,
  openGroup,
  type Person,
  refuses,
  send,
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

test('a reply shows what it replies to, in the answer, the event and the history alike', async () => {
  const conversationId = await openDirect(ann, ben)
  const long = '글'.repeat(150)
  const first = await send(ann, conversationId, long)
  const reply = await send(ben, conversationId, 'indeed', { replyToId: first.id })
  const replyTo = { id: first.id, seq: 1, senderId: ann.id, excerpt: '글'.repeat(100) }
  assert.deepEqual(reply.message?.replyTo, replyTo)
  assert.deepEqual(await hearsMessage(ann, reply.id), reply.message)
  assert.deepEqual(await messageOf(ann, conversationId, reply.id), reply.message)
})

test('a reply to a message that is not in the conversation is stored nowhere', async () => {
  const [here, there] = [await openDirect(ann, ben), await openDirect(ann, cat)]
  const elsewhere = await send(ann, there, 'elsewhere')
  const earlier = await historyOf(ann, here)
  const [heard] = await heardDuring([ben], async () => {
    for (const replyToId of [elsewhere.id, randomUUID()]) {
      const input = { conversationId: here, clientId: randomUUID(), content: 'x', replyToId }
      await refuses(ann, 'unprocessable', 'message:send', input)
    }
  })
  assert.deepEqual(heard, [])
  assert.deepEqual(await historyOf(ann, here), earlier)
})

test('a forward takes text and origin from a source that its sender can read', async () => {
  const [source, target] = [await openDirect(ann, ben), await openDirect(ben, cat)]
  const first = await send(ann, source, 'pass it on')
  const forward = { conversationId: source, messageId: first.id }
  const { message } = await ben.do('message:send', { conversationId: target, clientId: randomUUID(), forward })
  assert.equal(message?.content, 'pass it on')
  assert.deepEqual(message?.forwardedFrom, { messageId: first.id, senderId: ann.id })
  assert.equal(message?.senderId, ben.id)
  assert.deepEqual(await hearsMessage(cat, message?.id ?? ''), message)
  assert.deepEqual(await messageOf(cat, target, message?.id ?? ''), message)
})

test('what its sender cannot read, what is gone and what brings its own text is not forwarded', async () => {
  const [source, target] = [await openDirect(ann, ben), await openDirect(ben, cat)]
  const first = await send(ann, source, 'between the two of us')
  const gone = await send(ann, source, 'gone')
  await ann.do('message:delete', { conversationId: source, messageId: gone.id })
  const forward = { conversationId: source, messageId: first.id }
  const input = { conversationId: target, clientId: randomUUID(), forward }
  const [heard] = await heardDuring([ben], async () => {
    await refuses(cat, 'not_found', 'message:send', input)
    await refuses(cat, 'not_found', 'message:send', { ...input, forward: { ...forward, conversationId: target } })
    await refuses(ben, 'not_found', 'message:send', { ...input, forward: { ...forward, messageId: gone.id } })
    await refuses(ben, 'invalid_request', 'message:send', { ...input, content: 'and my own words' })
    await refuses(ben, 'invalid_request', 'message:send', { ...input, forward: first.id })
    await refuses(ben, 'invalid_request', 'message:send', { ...input, forward: { messageId: first.id } })
  })
  assert.deepEqual(heard, [])
})

test('someone who has left a conversation forwards nothing from it', async () => {
  const source = await openGroup(ann, ben)
  const target = await openDirect(ben, cat)
  const { id } = await send(ann, source, 'from the inside')
  await ben.do('conversation:leave', { conversationId: source })
  const forward = { conversationId: source, messageId: id }
  await refuses(ben, 'not_found', 'message:send', { conversationId: target, clientId: randomUUID(), forward })
})

test('participants named with @username are mentioned, in any case and before punctuation; others are not', async () => {
  const conversationId = await openGroup(ann, ben)
  const mentions = async (content: string) => {
    const sent = await send(ann, conversationId, content)
    const stored = await messageOf(ben, conversationId, sent.id)
    assert.deepEqual(sent.message?.mentions, stored.mentions)
    return stored.mentions
  }
  const both = [ann.id, ben.id].sort()
  assert.deepEqual(await mentions(`@${ben.username} hello`), [ben.id])
  assert.deepEqual(await mentions(`hello (@${ben.username.toUpperCase()}).`), [ben.id])
  assert.deepEqual(await mentions(`@${ben.username}, @${ann.username}, @${ben.username}...`), both)
  assert.equal(await mentions(`@${cat.username} is not here`), undefined)
  assert.equal(await mentions(`mail@${ben.username}`), undefined)
  assert.equal(await mentions(`@${ben.username}x`), undefined)
  assert.equal(await mentions('@ @@ @nobody'), undefined)
})

test('unread mentions are counted until they are read, and follow edits and deletions', async () => {
  const conversationId = await openGroup(ann, ben)
  const counts = async () => {
    const { unreadCount, unreadMentions } = await ben.do('conversation:get', { conversationId })
    return [unreadCount, unreadMentions]
  }
  const at = `@${ben.username}`
  const first = await send(ann, conversationId, `${at} one`)
  const second = await send(ann, conversationId, 'two')
  await send(ann, conversationId, `${at} three`)
  assert.deepEqual(await counts(), [3, 2])
  await ann.do('message:edit', { conversationId, messageId: second.id, content: `two ${at}` })
  assert.deepEqual(await counts(), [3, 3])
  await ann.do('message:edit', { conversationId, messageId: second.id, content: 'two again' })
  assert.deepEqual(await counts(), [3, 2])
  await ann.do('message:delete', { conversationId, messageId: first.id })
  assert.deepEqual(await counts(), [3, 1])
  const position = await ben.do('receipt:read', { conversationId, seq: 3 })
  assert.deepEqual([position.unreadCount, position.unreadMentions], [0, 0])
})
