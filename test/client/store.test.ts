import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ConversationCopy, Face, Message, Participant } from '../../src/client/index.ts'
import { createStore, type News, type Store } from '../../src/client/store.ts'
import { ModelConversation, me, seeded } from './model.ts'

const id = 'c1'

function copyOf(store: Store) {
  const copy = store.get(id)
  assert.ok(copy, 'the conversation is held')
  return copy
}

/** Reactions and participants are sets: their order says nothing. */
function canonical(messages: Message[]): Message[] {
  return messages.map((row) => {
    const reactions = row.reactions?.map((one) => ({ ...one, userIds: one.userIds.toSorted() }))
    return reactions ? { ...row, reactions: reactions.toSorted((a, b) => (a.emoji < b.emoji ? -1 : 1)) } : row
  })
}

function assertSame(store: Store, model: ModelConversation, hint: string): void {
  const copy = copyOf(store)
  const expected = model.conversation()
  const byUser = (a: { userId: string }, b: { userId: string }): number => (a.userId < b.userId ? -1 : 1)
  assert.deepEqual(
    copy.messages.map(({ seq }) => seq),
    model.messages.slice(copy.from - 1).map(({ seq }) => seq),
    hint,
  )
  const [rows, expectedRows] = [canonical(copy.messages), canonical(model.messages.slice(copy.from - 1))]
  for (const [i, row] of rows.entries()) assert.deepEqual(row, expectedRows[i], hint)
  assert.equal(copy.change, model.lastChange, hint)
  const { participants, lastMessage, ...rest } = copy.conversation
  const { participants: people, lastMessage: last, ...others } = expected
  assert.deepEqual(rest, others, hint)
  assert.deepEqual(participants.toSorted(byUser), people.toSorted(byUser), hint)
  assert.deepEqual(canonical(lastMessage ? [lastMessage] : []), canonical(last ? [last] : []), hint)
}

function synced(model: ModelConversation): Store {
  const store = createStore()
  store.reset(me)
  store.applySync(model.sync(undefined, 500))
  return store
}

const syncFully = (store: Store, model: ModelConversation, limit: number): void => {
  for (let hasMore = true; hasMore; ) {
    const page = model.sync(store.positions()[id], limit)
    store.applySync(page)
    hasMore = page.hasMore
  }
}

describe('store', () => {
  it('is at the state of the server after events that came in order, without any sync', () => {
    for (let seed = 0; seed < 150; seed++) {
      const model = new ModelConversation(id, seeded(seed))
      const store = synced(model)
      for (let step = 0; step < 80; step++) {
        assert.equal(store.apply(structuredClone(model.step())), 'applied')
        assertSame(store, model, `seed ${seed}, step ${step}`)
      }
    }
  })

  it('ends at the state of the server whatever was lost, repeated, late or overtaken, once it has synced', () => {
    for (let seed = 0; seed < 400; seed++) {
      const random = seeded(seed)
      const model = new ModelConversation(id, random)
      model.post(Math.floor(random() * 120))
      const store = synced(model)
      const underway: News[] = []
      for (let step = 0; step < 120; step++) {
        const news = structuredClone(model.step())
        // States and names carry no change number; a lost or late one is mended by sync alone, and the reconciler keeps
        // their order.
        if (news.name === 'conversation:state') store.apply(news)
        else if (news.name === 'user:changed') random() < 0.5 && store.apply(news)
        else if (random() > 0.15) underway.push(news)
        if (random() < 0.1 && underway.length > 0)
          underway.push(underway[Math.floor(random() * underway.length)] as News)
        while (random() < 0.6 && underway.length > 0) {
          const [next] = underway.splice(Math.floor(random() ** 2 * underway.length), 1)
          const outcome = store.apply(next as News)
          if (outcome === 'gap' && random() < 0.5) underway.push(next as News)
        }
        // A sync of one page may leave the copy between pages, and events go on.
        if (random() < 0.08) store.applySync(model.sync(store.positions()[id], 3))
      }
      for (const news of underway) store.apply(news)
      syncFully(store, model, 1 + Math.floor(random() * 40))
      assertSame(store, model, `seed ${seed}`)
      for (const news of underway) if (news.name !== 'receipts:changed') store.apply(news)
      assertSame(store, model, `late news, seed ${seed}`)
    }
  })

  it('takes an answer that is older than what live events have brought without going back', () => {
    for (let seed = 0; seed < 200; seed++) {
      const random = seeded(seed)
      const model = new ModelConversation(id, random)
      model.post(5)
      const store = synced(model)
      const page = structuredClone(model.sync(random() < 0.5 ? undefined : model.lastChange, 500))
      const news = Array.from({ length: 10 }, () => structuredClone(model.step()))
      for (const item of news) store.apply(item)
      store.applySync(page)
      // What bears no change number has to be said again; for the rest it must make no difference.
      for (const item of news) if (seed % 2 === 0 || !('change' in item.payload)) store.apply(item)
      assertSame(store, model, `seed ${seed}`)
    }
  })

  it('says gap for news of which something before it is missing, and takes nothing of it', () => {
    const model = new ModelConversation(id, seeded(1))
    const store = synced(model)
    const first = model.post(1)
    const second = model.post(1)
    assert.equal(store.apply(second), 'gap')
    assert.equal(copyOf(store).messages.length, 0)
    assert.equal(store.apply(first), 'applied')
    assert.equal(store.apply(second), 'applied')
    assert.deepEqual(
      copyOf(store).messages.map((row) => row.seq),
      [1, 2],
    )
  })

  it("builds one's own message from what was sent and the acknowledgment", () => {
    const model = new ModelConversation(id, seeded(1))
    const store = synced(model)
    model.post(2, 'ann')
    store.applySync(model.sync(0, 500))
    const sent = { id: 'm3', seq: 3, prevChange: 2, change: 3, createdAt: '2026-01-01T00:00:00.000Z' }
    const input = { conversationId: id, clientId: 'x', content: 'hello' }
    const news: News = { name: 'sent', payload: { conversationId: id, input, sent } }
    assert.equal(store.apply(news), 'applied')
    assert.equal(store.apply(news), 'applied')
    const { messages, conversation, change } = copyOf(store)
    assert.equal(messages.length, 3)
    assert.equal(messages[2]?.content, 'hello')
    assert.equal(messages[2]?.senderId, me)
    assert.equal(change, 3)
    assert.equal(conversation.lastReadSeq, 3)
    assert.equal(conversation.unreadCount, 0)
    assert.equal(conversation.unreadMentions, 0)
    assert.equal(conversation.participants.find(({ userId }) => userId === me)?.lastReadSeq, 3)
  })

  it('leaves a message of which the server makes a part to the server', () => {
    const store = synced(new ModelConversation(id, seeded(1)))
    const sent = { id: 'm1', seq: 1, prevChange: 0, change: 1, createdAt: '2026-01-01T00:00:00.000Z' }
    const input = { conversationId: id, clientId: 'x', content: 'yes', replyToId: 'm0' }
    const news: News = { name: 'sent', payload: { conversationId: id, input, sent } }
    assert.equal(store.apply(news), 'gap')
    assert.equal(copyOf(store).messages.length, 0)
  })

  it('says gap where an own command changed more than has been heard of', () => {
    const store = synced(new ModelConversation(id, seeded(1)))
    assert.equal(store.apply({ name: 'reached', payload: { conversationId: id, change: 1 } }), 'gap')
    assert.equal(store.apply({ name: 'reached', payload: { conversationId: id, change: 0 } }), 'applied')
  })

  it('loads older pages in front, until none remains', () => {
    const model = new ModelConversation(id, seeded(2))
    model.post(120)
    const store = synced(model)
    const copy = copyOf(store)
    const page = (): boolean => {
      const { messages, hasBefore } = model.history(copy.from, 50)
      return copy.takeHistory(copy.from, messages, hasBefore)
    }
    assert.equal(copy.hasBefore, true)
    assert.ok(page() && page())
    assert.equal(copy.hasBefore, false)
    assertSame(store, model, 'all loaded')
  })

  it('refuses a page that was read before news of one of its rows, and takes the page read after it', () => {
    for (let seed = 0; seed < 300; seed++) {
      const model = new ModelConversation(id, seeded(seed))
      model.post(80)
      const store = synced(model)
      const copy = copyOf(store)
      const stale = structuredClone(model.history(copy.from, 50))
      for (let step = 0; step < 10; step++) store.apply(structuredClone(model.step()))
      if (!copy.takeHistory(31, stale.messages, stale.hasBefore)) {
        const fresh = model.history(31, 50)
        assert.ok(copy.takeHistory(31, fresh.messages, fresh.hasBefore), `seed ${seed}`)
      }
      assertSame(store, model, `seed ${seed}`)
    }
  })

  it('puts a new name, and an avatar that is gone, into every conversation that shows the person', () => {
    const store = createStore()
    store.reset(me)
    const models = ['a', 'b', 'c'].map((name) => new ModelConversation(name, seeded(1)))
    const alone = models[2] as ModelConversation
    alone.participants = alone.participants.filter(({ userId }) => userId !== 'ann')
    for (const model of models) store.applySync(model.sync(undefined, 500))
    const call = (user: Face) => assert.equal(store.apply({ name: 'user:changed', payload: { user } }), 'applied')
    const annIn = (name: string) =>
      store.get(name)?.conversation.participants.find(({ userId }) => userId === 'ann') as Participant
    const first = { userId: 'ann', username: 'anna', displayName: 'Anna', avatarUrl: '/avatars/1' }
    call(first)
    const { conversation: before } = store.get('a') as ConversationCopy
    const named = annIn('a')
    assert.deepEqual({ ...named, ...first }, named)
    const second = { userId: 'ann', username: 'anna', displayName: 'Anna B.' }
    call(second)
    call(second)
    for (const name of ['a', 'b']) {
      const { avatarUrl: _, ...rest } = named
      assert.deepEqual(annIn(name), { ...rest, displayName: 'Anna B.' })
    }
    assert.notEqual(store.get('a')?.conversation, before)
    assert.notEqual(annIn('a'), named, 'a changed participant is another object')
    assert.deepEqual([store.showing('ann').sort(), annIn('c')], [['a', 'b'], undefined])
    call({ ...first, userId: 'nobody' })

    const page = { ...alone.sync(alone.lastChange, 500), conversations: [], receipts: [], users: [first] }
    assert.deepEqual(store.applySync(page).sort(), ['a', 'b'])
    assert.equal(annIn('b').displayName, 'Anna')
  })

  it('drops a conversation that ended, and does not make it up again from late news', () => {
    const model = new ModelConversation(id, seeded(1))
    const store = synced(model)
    store.apply({ name: 'conversation:removed', payload: { conversationId: id } })
    assert.equal(store.apply(model.post(1)), 'gap')
    assert.equal(store.get(id), undefined)
    assert.deepEqual(store.positions(), {})
  })

  it('lists pinned conversations first, then by newest activity', () => {
    const store = createStore()
    store.reset(me)
    for (const [name, count, isPinned] of [
      ['a', 1, false],
      ['b', 3, false],
      ['c', 2, true],
    ] as const) {
      const model = new ModelConversation(name, seeded(1))
      model.post(count)
      model.settings = { ...model.settings, isPinned }
      store.applySync(model.sync(undefined, 500))
    }
    assert.deepEqual(
      store.conversations().map(({ conversation }) => conversation.id),
      ['c', 'b', 'a'],
    )
  })
})
