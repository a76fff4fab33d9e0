import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import type { Message, Sent } from '../../src/messenger/messenger.contract.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import {
  api,
  cast,
  connect,
  heardDuring,
  hearsMessage,
  historyOf,
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

/** All messages that a person heard being created in the conversation, in the order of hearing. */
const heardMessages = ({ heard }: Person, conversationId: string): Message[] =>
  heard
    .filter(({ event, payload }) => event === 'messages:created' && payload.conversationId === conversationId)
    .flatMap(({ payload }) => payload.messages as unknown as Message[])

const oneTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1)

test('a message is acknowledged with its place, stored as it is, and heard by the others', async () => {
  const conversationId = await openDirect(ann, ben)
  const clientId = randomUUID()
  const content = '  Ünïcode 안녕 👩‍🚀 \t untrimmed\r\n'
  const [heardByAnn, , heardByCat] = await heardDuring([ann, ben, cat], async () => {
    const sent = await send(ann, conversationId, content, { clientId })
    const { id, createdAt, ...place } = sent
    assert.deepEqual(place, { seq: 1, prevChange: 2, change: 3 })
    const message = { id, conversationId, seq: 1, change: 3, clientId, senderId: ann.id, role: 'user', type: 'text' }
    const whole = { ...message, content, status: 'sent', createdAt }
    assert.deepEqual(await historyOf(ben, conversationId), [whole])
    const news = await ben.hears('messages:created', (it) => it.conversationId === conversationId)
    assert.deepEqual(news, { conversationId, prevChange: 2, change: 3, messages: [whole] })
  })
  assert.deepEqual(heardByAnn, [])
  assert.deepEqual(heardByCat, [])
})

test('the sending socket goes without the event, its user’s other sockets hear it', async () => {
  const conversationId = await openDirect(ann, cat)
  const phone = await connect(server.url, ann.session)
  const [onDesk, onPhone] = await heardDuring([ann, phone], () => send(ann, conversationId, 'from the desk'))
  assert.deepEqual(onDesk, [])
  assert.deepEqual(
    onPhone?.map(({ event }) => event),
    ['messages:created'],
  )
  phone.close()
})

test('fifty messages sent at once from several sockets have one gapless order that everyone sees', async () => {
  const conversationId = await openGroup(ann, ben, cat)
  const phone = await connect(server.url, ann.session)
  const sockets = [ann, phone, ben, cat]
  const sent = await Promise.all(
    oneTo(50).map((n) => send(sockets[n % 4] as Person, conversationId, `${n}`).then((ack) => ({ ...ack, n }))),
  )
  sent.sort((a, b) => a.seq - b.seq)
  assert.deepEqual(
    sent.map(({ seq }) => seq),
    oneTo(50),
  )
  assert.deepEqual(
    sent.map(({ change }) => change),
    oneTo(50).map((n) => n + 3),
  )
  assert.ok(sent.every(({ prevChange, change }) => prevChange === change - 1))
  const stored = await historyOf(ben, conversationId)
  assert.deepEqual(
    stored.map(({ id, content }) => [id, content]),
    sent.map(({ id, n }) => [id, `${n}`]),
  )
  for (const [i, socket] of sockets.entries()) {
    // each socket's own sends stand in the order in which it sent them
    const own = sent.filter(({ n }) => n % 4 === i).map(({ n }) => n)
    assert.deepEqual(
      own,
      own.toSorted((a, b) => a - b),
    )
    await heardDuring([socket], async () => {})
    const heard = heardMessages(socket, conversationId)
    assert.deepEqual(
      heard,
      heard.toSorted((a, b) => a.seq - b.seq),
    )
    assert.deepEqual(
      heard,
      stored.filter(({ id }) => heard.some((message) => message.id === id)),
    )
    const missing = stored
      .filter(({ id }) => !heard.some((message) => message.id === id))
      .map(({ content }) => Number(content))
    assert.ok(
      missing.every((n) => n % 4 === i),
      'a socket missed a message of another',
    )
  }
  phone.close()
})

test('the events of a conversation lead from change to change without a gap', async () => {
  const conversationId = await openGroup(ann, ben, cat)
  const { lastChange } = await cat.do('conversation:get', { conversationId })
  const begun = cat.heard.length
  await Promise.all(
    oneTo(40).map(async (n) => {
      const { id } = await send(n % 2 ? ann : ben, conversationId, `${n}`)
      if (n % 3 === 0) await ben.do('reaction:add', { conversationId, messageId: id, emoji: '👍' })
      if (n % 10 === 0) await ann.do('conversation:update', { conversationId, title: `${n}` })
    }),
  )
  await heardDuring([cat], async () => {})
  const news = cat.heard
    .slice(begun)
    .filter(({ payload }) => payload.conversationId === conversationId && 'change' in payload)
  let reached = lastChange
  for (const { payload } of news.toSorted((a, b) => Number(a.payload.change) - Number(b.payload.change))) {
    assert.equal(payload.prevChange, reached)
    reached = Number(payload.change)
  }
  assert.equal(reached, (await cat.do('conversation:get', { conversationId })).lastChange)
})

test('the same clientId fifty times at once is one message with one answer', async () => {
  const conversationId = await openDirect(ann, ben)
  const phone = await connect(server.url, ann.session)
  const input = { conversationId, clientId: randomUUID(), content: 'only once' }
  const answers = await Promise.all(oneTo(50).map((n) => (n % 2 ? ann : phone).do('message:send', input)))
  const places = answers.map(({ id, seq, prevChange, change, createdAt }) => ({
    id,
    seq,
    prevChange,
    change,
    createdAt,
  }))
  assert.ok(places.every((place) => JSON.stringify(place) === JSON.stringify(places[0])))
  assert.equal(answers.filter(({ duplicate }) => !duplicate).length, 1)
  for (const { duplicate, message } of answers) if (duplicate) assert.equal(message?.content, 'only once')
  await heardDuring([ben], async () => {})
  assert.equal(heardMessages(ben, conversationId).filter(({ clientId }) => clientId === input.clientId).length, 1)
  assert.equal((await historyOf(ann, conversationId)).filter(({ clientId }) => clientId === input.clientId).length, 1)
  phone.close()
})

test('a retry brings the first result also after the message was edited and deleted', async () => {
  const conversationId = await openDirect(ann, cat)
  const input = { conversationId, clientId: randomUUID(), content: 'as first sent' }
  const { message: _, ...first } = (await ann.do('message:send', input)) as Sent
  await ann.do('message:edit', { conversationId, messageId: first.id, content: 'edited' })
  const edited = await messageOf(ann, conversationId, first.id)
  assert.deepEqual(await ann.do('message:send', input), { ...first, duplicate: true, message: edited })
  await refuses(ann, 'idempotency_conflict', 'message:send', { ...input, content: 'edited' })
  await ann.do('message:delete', { conversationId, messageId: first.id })
  const deleted = await messageOf(ann, conversationId, first.id)
  assert.deepEqual(await ann.do('message:send', input), { ...first, duplicate: true, message: deleted })
})

test('a clientId that stands for another message is refused, heard by nobody and stored nowhere', async () => {
  const conversationId = await openGroup(ann, ben)
  const { id } = await send(ann, conversationId, 'a source')
  const clientId = randomUUID()
  await send(ann, conversationId, 'first', { clientId })
  const earlier = await stateOf(ann, conversationId)
  const heard = await heardDuring([ann, ben], async () => {
    const base = { conversationId, clientId }
    for (const other of [
      { content: 'second' },
      { content: 'first', replyToId: id },
      { forward: { conversationId, messageId: id } },
    ]) {
      const error = await refuses(ann, 'idempotency_conflict', 'message:send', { ...base, ...other })
      assert.equal(error.retryable, false)
    }
  })
  assert.deepEqual(heard, [[], []])
  assert.deepEqual(await stateOf(ann, conversationId), earlier)
})

test('other content under one clientId at once: one is stored, the others conflict', async () => {
  const conversationId = await openDirect(ann, ben)
  const clientId = randomUUID()
  const acks = await Promise.all(
    oneTo(20).map((n) => ann.ask('message:send', { conversationId, clientId, content: `version ${n}` })),
  )
  assert.equal(acks.filter(({ ok }) => ok).length, 1)
  for (const ack of acks) if (!ack.ok) assert.equal(ack.error.code, 'idempotency_conflict')
})

test('a clientId is its sender’s and its conversation’s own', async () => {
  const [one, two] = [await openDirect(ann, ben), await openGroup(ann, ben)]
  const clientId = 'not a uuid: any text — 글'
  const sent = [
    await send(ann, one, 'x', { clientId }),
    await send(ann, two, 'y', { clientId }),
    await send(ben, one, 'z', { clientId }),
  ]
  assert.equal(new Set(sent.map(({ id }) => id)).size, 3)
  assert.ok(sent.every(({ duplicate }) => !duplicate))
})

test('a message sent by REST is the same message: heard on all sockets, and once per clientId', async () => {
  const conversationId = await openDirect(ben, cat)
  const call = api(server.url, ben)
  const input = { clientId: randomUUID(), content: 'by REST' }
  const first = await call('POST', `/conversations/${conversationId}/messages`, input)
  assert.equal(first.status, 201)
  for (const person of [ben, cat]) await hearsMessage(person, first.body.id as unknown as string)
  const again = await ben.do('message:send', { conversationId, ...input })
  assert.deepEqual([again.id, again.duplicate], [first.body.id, true])
  const listed = await call('GET', `/conversations/${conversationId}/messages?limit=1`)
  assert.deepEqual(listed.body, await ben.do('message:history', { conversationId, limit: 1 }))
})

test('one’s own sending moves one’s own position', async () => {
  const conversationId = await openDirect(ann, ben)
  await send(ben, conversationId, 'unread')
  await send(ann, conversationId, 'an answer')
  const { lastReadSeq, unreadCount, lastSeq } = await ann.do('conversation:get', { conversationId })
  assert.deepEqual([lastReadSeq, unreadCount], [lastSeq, 0])
})
