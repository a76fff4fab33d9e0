import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import type { CommandInput, Message } from '../../src/messenger/messenger.contract.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import { api, cast, historyOf, join, openDirect, openGroup, type Person, send } from './scene.ts'

let server: Backend
let ben: Person
before(async () => {
  server = await startBackend()
  ben = await join(server.url, 'ben')
})
after(() => server.end())

const oneTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1)
const sendMany = (person: Person, conversationId: string, count: number) =>
  Promise.all(oneTo(count).map((n) => send(person, conversationId, `${n}`)))

async function newcomer() {
  const [ann] = await cast(server.url, 'ann')
  const conversationId = await openGroup(ann, ben)
  const sync = (change: number, more: CommandInput<'sync'> = {}) =>
    ann.do('sync', { positions: { [conversationId]: change }, ...more })
  const changeNow = async () => (await ann.do('conversation:get', { conversationId })).lastChange
  return { ann, conversationId, sync, changeNow }
}

test('a conversation that the client does not name comes whole: with its newest fifty messages', async () => {
  const { ann, conversationId } = await newcomer()
  await sendMany(ben, conversationId, 60)
  const page = await ann.do('sync', {})
  assert.deepEqual(page.resets, [conversationId])
  assert.deepEqual(
    page.messages.map(({ seq }) => seq),
    oneTo(60).slice(10),
  )
  const view = await ann.do('conversation:get', { conversationId })
  assert.deepEqual(page.conversations, [view])
  assert.deepEqual(page.positions, { [conversationId]: view.lastChange })
  assert.deepEqual([page.removed, page.receipts, page.hasMore], [[], [], false])
  assert.ok(Math.abs(Date.parse(page.serverTime) - Date.now()) < 60_000)
})

test('a named conversation brings exactly the rows that are newer, in order of change', async () => {
  const { ann, conversationId, sync, changeNow } = await newcomer()
  const sent = await sendMany(ben, conversationId, 5)
  const reached = await changeNow()
  assert.deepEqual((await sync(reached)).messages, [])
  await ben.do('message:edit', { conversationId, messageId: sent[1]?.id as string, content: 'edited' })
  const late = await send(ann, conversationId, 'late')
  await ben.do('reaction:add', { conversationId, messageId: sent[0]?.id as string, emoji: '👍' })
  await ann.do('message:delete', { conversationId, messageId: sent[3]?.id as string })
  const page = await sync(reached)
  assert.deepEqual(
    page.messages.map(({ id }) => id),
    [sent[1]?.id, late.id, sent[0]?.id, sent[3]?.id],
  )
  const stored = await historyOf(ann, conversationId)
  for (const message of page.messages)
    assert.deepEqual(
      message,
      stored.find(({ id }) => id === message.id),
    )
  assert.deepEqual([page.resets, page.removed, page.hasMore], [[], [], false])
  assert.deepEqual(page.positions, { [conversationId]: reached + 4 })
  for (const missed of oneTo(4)) assert.equal((await sync(reached + missed)).messages.length, 4 - missed)
})

test('changes without messages bring the conversation', async () => {
  const { ann, conversationId, sync, changeNow } = await newcomer()
  const reached = await changeNow()
  await ann.do('conversation:update', { conversationId, title: 'Renamed' })
  await ann.do('participant:update', { conversationId, userId: ben.id, role: 'admin' })
  const page = await sync(reached)
  assert.deepEqual(page.conversations, [await ann.do('conversation:get', { conversationId })])
  assert.deepEqual([page.messages, page.resets], [[], []])
  assert.deepEqual(page.positions, { [conversationId]: reached + 2 })
  assert.deepEqual((await sync(reached + 2)).conversations, [])
})

test('more than 500 changes behind, or ahead of the server, the conversation comes whole', async () => {
  const { ann, conversationId, sync, changeNow } = await newcomer()
  await sendMany(ann, conversationId, 501)
  const now = await changeNow()
  const near = await sync(now - 500)
  assert.deepEqual([near.resets, near.messages.length, near.hasMore], [[], 500, false])
  for (const position of [now - 501, 0, now + 1, 2_147_483_647]) {
    const far = await sync(position)
    assert.deepEqual([far.resets, far.messages.length, far.hasMore], [[conversationId], 50, false])
    assert.deepEqual(far.positions, { [conversationId]: now })
  }
})

test('pages of any size lead to where one whole answer leads', async () => {
  const { ann, conversationId, changeNow } = await newcomer()
  const others = [await openGroup(ann, ben), await openDirect(ann, ben), await openGroup(ann)]
  const start = (await ann.do('sync', {})).positions
  for (const id of [conversationId, ...others]) await sendMany(ann, id, 7)
  await ann.do('conversation:update', { conversationId: others[0] as string, title: 'No message in this change' })
  const added = await openGroup(ann, ben)
  await sendMany(ben, added, 7)
  const whole = await ann.do('sync', { positions: start })
  const byPlace = (messages: Message[]) =>
    messages.toSorted((a, b) => (a.conversationId + a.seq < b.conversationId + b.seq ? -1 : 1))
  for (const limit of [1, 2, 3, 7, 8, 20, 500]) {
    const messages = new Map<string, Message>()
    let positions = start
    let pages = 0
    for (let more = true; more; pages++) {
      const page = await ann.do('sync', { positions, limit })
      // a conversation that comes whole is never cut
      assert.ok(page.messages.length <= Math.max(limit, 50))
      for (const message of page.messages) messages.set(message.id, message)
      positions = { ...positions, ...page.positions }
      more = page.hasMore
      assert.ok(pages < 100, 'it does not come to an end')
    }
    assert.deepEqual(byPlace([...messages.values()]), byPlace(whole.messages), `limit ${limit}`)
    assert.deepEqual(positions, whole.positions)
  }
  assert.equal(whole.positions[conversationId], await changeNow())
})

test('what one is no longer in is removed: left, removed from, deleted and never seen', async () => {
  const [ann] = await cast(server.url, 'ann')
  const [left, lost, deleted, kept] = [
    await openGroup(ben, ann),
    await openGroup(ben, ann),
    await openGroup(ben, ann),
    await openGroup(ben, ann),
  ]
  const { positions } = await ann.do('sync', {})
  await ann.do('conversation:leave', { conversationId: left })
  await ben.do('participant:remove', { conversationId: lost, userId: ann.id })
  await ben.do('conversation:delete', { conversationId: deleted })
  const unknown = randomUUID()
  const page = await ann.do('sync', { positions: { ...positions, [unknown]: 5 } })
  assert.deepEqual(page.removed.toSorted(), [left, lost, deleted, unknown].sort())
  assert.deepEqual(Object.keys(page.positions), [kept])
  assert.deepEqual([page.messages, page.conversations], [[], []])
})

test('positions of others and own settings that moved since a time come with it', async () => {
  const { ann, conversationId, sync, changeNow } = await newcomer()
  await sendMany(ann, conversationId, 3)
  const { serverTime } = await sync(await changeNow())
  await ben.do('receipt:read', { conversationId, seq: 2 })
  await ann.do('conversation:settings', { conversationId, isMuted: true })
  const now = await changeNow()
  const page = await sync(now, { since: serverTime })
  const bens = page.receipts.find(({ userId }) => userId === ben.id)
  assert.deepEqual([bens?.conversationId, bens?.lastReadSeq, bens?.lastDeliveredSeq], [conversationId, 2, 2])
  assert.equal(page.conversations[0]?.settings.isMuted, true)
  const later = await sync(now, { since: new Date(Date.now() + 60_000).toISOString() })
  assert.deepEqual([later.receipts, later.conversations], [[], []])
  assert.deepEqual((await sync(now)).receipts, [])
})

test('by REST one gets the same', async () => {
  const { ann, conversationId } = await newcomer()
  await sendMany(ann, conversationId, 3)
  const { status, body } = await api(server.url, ann)('POST', '/sync', { positions: {} })
  assert.equal(status, 200)
  const { serverTime: _, ...rest } = await ann.do('sync', { positions: {} })
  const { serverTime: __, ...byRest } = body
  assert.deepEqual(byRest, rest)
})
