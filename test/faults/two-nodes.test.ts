import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from 'kysely'
import { createStore, type Message, type Receipt } from '../../src/client/index.ts'
import { connect, join, type Person } from '../support/people.ts'
import { withoutServices } from '../support/services.ts'
import {
  assertSound,
  caughtUp,
  eventually,
  heardMessages,
  hearsText,
  makeGroup,
  part,
  say,
  startScene,
  storedMessages,
} from './scene.ts'

test('two nodes over Redis', { skip: withoutServices }, async (t) => {
  const { nodes, a, b, database } = await startScene(t, 2)
  const [ann, bob] = await Promise.all([join(a, 'ann'), join(b, 'bob')])
  const people = [ann, bob]
  t.after(() => {
    for (const person of people) person.close()
  })
  const further = async (url: string, { session }: Person): Promise<Person> => {
    const socket = await connect(url, session)
    people.push(socket)
    return socket
  }

  await t.test('a message sent at one is heard at the other once, in the order of sending', async () => {
    const id = await makeGroup(ann, bob)
    const sent = await Promise.all(Array.from({ length: 100 }, (_, i) => say(ann, id, `number ${i}`)))
    await hearsText(bob, 'number 99')
    await caughtUp(bob)
    assert.deepEqual(
      heardMessages(bob, id).map(({ content }) => content),
      sent.map(({ content }) => content),
    )
    assert.deepEqual(
      heardMessages(bob, id).map(({ seq }) => seq),
      sent.map((_, i) => i + 1),
    )
    const events = bob.heard.filter(
      ({ event, payload }) => event === 'messages:created' && payload.conversationId === id,
    )
    for (const [i, { payload }] of events.slice(1).entries())
      assert.equal(payload.prevChange, events[i]?.payload.change)
    assert.deepEqual(heardMessages(ann, id), [], 'the sender has the acknowledgments')
  })

  await t.test('two who send at once, each at their own node, hear the same one order', async () => {
    const id = await makeGroup(ann, bob)
    const [annToo, bobToo] = await Promise.all([further(b, ann), further(a, bob)])
    await Promise.all([ann, bob].flatMap((person) => Array.from({ length: 50 }, () => say(person, id))))
    const rows = await storedMessages(database.database, id)
    assert.equal(rows.length, 100)
    for (const person of [annToo, bobToo]) {
      await eventually('all are heard', () => heardMessages(person, id).length >= 100)
      await caughtUp(person)
      const heard = heardMessages(person, id).sort((one, other) => one.seq - other.seq)
      assert.deepEqual(
        heard.map((message) => message.id),
        rows.map((row) => row.id),
      )
    }
  })

  await t.test('beginnings, edits, deletes, reactions, receipts, titles and people are heard across', async () => {
    const id = await makeGroup(ann, bob)
    const { id: messageId, content } = await say(ann, id)
    await hearsText(bob, content)
    const isHere = (payload: { [key: string]: unknown }) => payload.conversationId === id

    await bob.do('reaction:add', { conversationId: id, messageId, emoji: '👍' })
    const { reactions } = await ann.hears('reactions:changed', isHere)
    assert.deepEqual(reactions, [{ messageId, userId: bob.id, emoji: '👍', added: true }])

    await bob.do('receipt:read', { conversationId: id, seq: 1 })
    const receipts = part<Receipt[]>(await ann.hears('receipts:changed', isHere), 'receipts')
    assert.equal(receipts[0]?.userId, bob.id)

    await ann.do('message:edit', { conversationId: id, messageId, content: 'better' })
    const messages = part<Message[]>(await bob.hears('messages:updated', isHere), 'messages')
    assert.equal(messages[0]?.content, 'better')

    await ann.do('message:delete', { conversationId: id, messageId })
    await bob.hears(
      'messages:updated',
      (payload) => isHere(payload) && Boolean(part<Message[]>(payload, 'messages')[0]?.deletedAt),
    )

    await ann.do('conversation:update', { conversationId: id, title: 'renamed' })
    const renamed = part<{ title: string }>(await bob.hears('conversation:updated', isHere), 'conversation')
    assert.equal(renamed.title, 'renamed')

    const cid = await join(b, 'cid')
    people.push(cid)
    await ann.do('participant:add', { conversationId: id, userId: cid.id })
    await cid.hears('conversation:created', (payload) => payload.id === id)
    await bob.hears('participants:changed', isHere)
    const later = await say(ann, id)
    await hearsText(cid, later.content)
  })

  await t.test("one's own settings reach one's other device at the other node", async () => {
    const id = await makeGroup(ann, bob)
    const device = await further(b, ann)
    await ann.do('conversation:settings', { conversationId: id, isPinned: true })
    const state = await device.hears('conversation:state', (payload) => payload.conversationId === id)
    assert.equal(part<{ isPinned: boolean }>(state, 'settings').isPinned, true)
  })

  await t.test('typing is heard at the other node, and not by the one who types', async () => {
    const id = await makeGroup(ann, bob)
    const annToo = await further(b, ann)
    await ann.do('typing', { conversationId: id, isTyping: true })
    const typing = await bob.hears('typing', (payload) => payload.conversationId === id)
    assert.deepEqual(typing, { conversationId: id, userId: ann.id, isTyping: true })
    await caughtUp(annToo)
    assert.equal(
      annToo.heard.some(({ event }) => event === 'typing'),
      false,
    )
  })

  await t.test('presence at one node is seen and heard at the other', async () => {
    const eve = await join(b, 'eve')
    await makeGroup(ann, eve)
    const status = async () => (await ann.do('presence:watch', { userIds: [eve.id] })).presences[0]?.status
    await eventually('eve is online', async () => (await status()) === 'online')
    const eveToo = await connect(a, eve.session)
    eve.close()
    await eventually('her node has seen her go', async () => {
      const rows = await database.database.query(sql<{ gone: boolean }>`
        select last_seen_at is not null as gone from users where id = ${eve.id}`)
      return rows[0]?.gone === true
    })
    assert.equal(await status(), 'online')
    await caughtUp(ann)
    assert.deepEqual(
      ann.heard.filter(({ payload }) => payload.status === 'offline'),
      [],
      'she has a socket at the other node',
    )
    eveToo.close()
    const gone = await ann.hears(
      'presence:changed',
      (payload) => payload.userId === eve.id && payload.status === 'offline',
    )
    assert.equal(typeof gone.lastSeenAt, 'string')
    await further(b, eve)
    await ann.hears('presence:changed', (payload) => payload.userId === eve.id && payload.status === 'online')
  })

  await t.test('the same clientId fifty times on two nodes at once is one row and one answer', async () => {
    const id = await makeGroup(ann, bob)
    const annToo = await further(b, ann)
    const input = { conversationId: id, clientId: crypto.randomUUID(), content: 'once' }
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) => (i % 2 ? ann : annToo).do('message:send', input)),
    )
    const facts = answers.map((answer) => [answer.id, answer.seq, answer.prevChange, answer.change, answer.createdAt])
    for (const fact of facts) assert.deepEqual(fact, facts[0])
    assert.equal(answers.filter(({ duplicate }) => !duplicate).length, 1)
    assert.equal((await storedMessages(database.database, id)).length, 1)

    for (const sender of [ann, annToo]) {
      const error = await sender.refused('message:send', { ...input, content: 'something else' })
      assert.equal(error.code, 'idempotency_conflict')
      assert.equal(error.retryable, false)
    }
    const last = await say(ann, id)
    await hearsText(bob, last.content)
    assert.deepEqual(
      heardMessages(bob, id).map(({ content }) => content),
      ['once', last.content],
    )
  })

  await t.test(
    'the same clientId twice with different texts at once: one is stored, the other a conflict',
    async () => {
      const id = await makeGroup(ann, bob)
      const annToo = await further(b, ann)
      const clientId = crypto.randomUUID()
      const acks = await Promise.all(
        [ann, annToo].map((sender, i) =>
          sender.ask('message:send', { conversationId: id, clientId, content: `text ${i}` }),
        ),
      )
      assert.deepEqual(acks.map((ack) => (ack.ok ? 'stored' : ack.error.code)).sort(), [
        'idempotency_conflict',
        'stored',
      ])
      assert.equal((await storedMessages(database.database, id)).length, 1)
    },
  )

  await t.test('sync after a reconnection to the other node, page by page, equals a fresh fetch', async () => {
    const [one, two] = [await makeGroup(ann, bob), await makeGroup(ann, bob)]
    for (let i = 0; i < 5; i++) await say(ann, i % 2 ? one : two)
    const away = await connect(b, bob.session)
    const kept = createStore()
    kept.reset(bob.id)
    const first = await away.do('sync', {})
    kept.applySync(first)
    away.close()

    const texts = await Promise.all(Array.from({ length: 80 }, (_, i) => say(ann, i % 3 ? one : two)))
    const [edited, deleted, liked] = texts.map(({ id: messageId }, i) => ({
      messageId,
      conversationId: i % 3 ? one : two,
    }))
    assert.ok(edited && deleted && liked)
    await ann.do('message:edit', { ...edited, content: 'edited' })
    await ann.do('message:delete', deleted)
    await bob.do('reaction:add', { ...liked, emoji: '🎉' })
    await ann.do('conversation:update', { conversationId: one, title: 'renamed' })
    await bob.do('receipt:read', { conversationId: two, seq: 3 })

    const back = await further(a, bob)
    for (let hasMore = true; hasMore; ) {
      const page = await back.do('sync', { positions: kept.positions(), since: first.serverTime, limit: 20 })
      kept.applySync(page)
      hasMore = page.hasMore
    }
    const fresh = createStore()
    fresh.reset(bob.id)
    for (let hasMore = true; hasMore; ) {
      const page = await bob.do('sync', { positions: fresh.positions() })
      fresh.applySync(page)
      hasMore = page.hasMore
    }
    assert.deepEqual(kept.positions(), fresh.positions())
    for (const id of [one, two]) {
      const copy = kept.get(id)
      const right = fresh.get(id)
      assert.deepEqual(
        copy?.messages.filter(({ seq }) => seq >= (right?.from ?? 1)),
        right?.messages,
      )
      assert.deepEqual(copy?.conversation, right?.conversation)
    }
  })

  assertSound(...nodes)
})
