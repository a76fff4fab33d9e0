import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { type Backend, startBackend } from '../support/backend.ts'
import { register } from '../support/people.ts'
import {
  api,
  cast,
  connect,
  heardDuring,
  join,
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

const events = (heard: { event: string }[] | undefined) => heard?.map(({ event }) => event)

test('a reaction is heard by all, the one who reacts included, and stands on the message', async () => {
  const conversationId = await openGroup(ann, ben, cat)
  const { id: messageId, change } = await send(ann, conversationId, 'like it?')
  const input = { conversationId, messageId, emoji: '👍' }
  assert.deepEqual(await ben.do('reaction:add', input), { prevChange: change, change: change + 1 })
  const reactions = [{ messageId, userId: ben.id, emoji: '👍', added: true }]
  for (const person of [ann, ben, cat]) {
    const news = await person.hears('reactions:changed', (it) => it.conversationId === conversationId)
    assert.deepEqual(news, { conversationId, prevChange: change, change: change + 1, reactions })
  }
  await cat.do('reaction:add', input)
  await cat.do('reaction:add', { ...input, emoji: '🎉' })
  const message = await messageOf(ann, conversationId, messageId)
  assert.deepEqual(message.reactions, [
    { emoji: '👍', userIds: [ben.id, cat.id] },
    { emoji: '🎉', userIds: [cat.id] },
  ])
  await ben.do('reaction:remove', input)
  const gone = await ann.hears('reactions:changed', (it) => JSON.stringify(it).includes('"added":false'))
  assert.deepEqual(gone.reactions, [{ messageId, userId: ben.id, emoji: '👍', added: false }])
})

test('repeating a reaction, or taking back one that is not there, changes nothing', async () => {
  const conversationId = await openGroup(ann, ben)
  const { id: messageId } = await send(ann, conversationId, 'x')
  const input = { conversationId, messageId, emoji: '👍' }
  const first = await Promise.all(Array.from({ length: 20 }, () => ben.do('reaction:add', input)))
  assert.equal(new Set(first.map(({ change }) => change)).size, 1)
  const earlier = await stateOf(ann, conversationId)
  const heard = await heardDuring([ann, ben], async () => {
    assert.deepEqual(await ben.do('reaction:add', input), first[0])
    assert.deepEqual(await ann.do('reaction:remove', input), first[0])
    assert.deepEqual(await ben.do('reaction:remove', { ...input, emoji: '🎉' }), first[0])
  })
  assert.deepEqual(heard, [[], []])
  assert.deepEqual(await stateOf(ann, conversationId), earlier)
})

test('a deleted message takes no reactions, and any message at most fifty kinds', async () => {
  const conversationId = await openGroup(ann, ben)
  const [gone, full] = [await send(ann, conversationId, 'gone'), await send(ann, conversationId, 'full')]
  await ann.do('message:delete', { conversationId, messageId: gone.id })
  await refuses(ben, 'gone', 'reaction:add', { conversationId, messageId: gone.id, emoji: '👍' })
  const kinds = Array.from({ length: 51 }, (_, i) => String.fromCodePoint(0x1f400 + i))
  const acks = await Promise.all(
    kinds.map((emoji) => ben.ask('reaction:add', { conversationId, messageId: full.id, emoji })),
  )
  assert.deepEqual(acks.map((ack) => (ack.ok ? 'ok' : ack.error.code)).sort(), [
    ...Array(50).fill('ok'),
    'unprocessable',
  ])
  const emoji = kinds[acks.findIndex(({ ok }) => ok)] as string
  await ann.do('reaction:add', { conversationId, messageId: full.id, emoji })
})

test('reading is heard by the others together, moves one’s own state on all devices, and never goes back', async () => {
  const conversationId = await openGroup(ann, ben, cat)
  for (let i = 0; i < 5; i++) await send(ann, conversationId, `@${ben.username} ${i}`)
  const phone = await connect(server.url, ben.session)
  const [byAnn] = await heardDuring([ann, phone], async () => {
    const position = await ben.do('receipt:read', { conversationId, seq: 3 })
    assert.deepEqual(position, { lastReadSeq: 3, lastDeliveredSeq: 3, unreadCount: 2, unreadMentions: 2 })
    await cat.do('receipt:delivered', { conversationId, seq: 4 })
    await ann.hears('receipts:changed', (it) => it.conversationId === conversationId)
  })
  const told = byAnn?.filter(({ event }) => event === 'receipts:changed')
  assert.equal(told?.length, 1, 'two readers within a tenth of a second are one event')
  const receipts = ((told?.[0]?.payload.receipts ?? []) as { userId: string; readAt?: string }[]).map(
    ({ readAt, ...rest }) => rest,
  )
  assert.deepEqual(receipts, [
    { userId: ben.id, lastReadSeq: 3, lastDeliveredSeq: 3 },
    { userId: cat.id, lastReadSeq: 0, lastDeliveredSeq: 4 },
  ])
  const state = await phone.hears('conversation:state', (it) => it.conversationId === conversationId)
  assert.deepEqual([state.lastReadSeq, state.unreadCount, state.unreadMentions], [3, 2, 2])
  const heard = await heardDuring([ann, phone], async () => {
    for (const seq of [0, 2, 3]) assert.equal((await ben.do('receipt:read', { conversationId, seq })).lastReadSeq, 3)
    assert.equal((await ben.do('receipt:delivered', { conversationId, seq: 1 })).lastDeliveredSeq, 3)
    // what is told later would be told by now: this advance is gathered after those
    await cat.do('receipt:read', { conversationId, seq: 1 })
    await ann.hears('receipts:changed', (it) =>
      JSON.stringify(it.receipts).includes(`"userId":"${cat.id}","lastReadSeq":1`),
    )
  })
  assert.ok(!JSON.stringify(heard[0]).includes(ben.id))
  assert.deepEqual(
    events(heard[1])?.filter((event) => event === 'conversation:state'),
    [],
  )
  phone.close()
})

test('a position beyond the end is the end, and positions that race only rise', async () => {
  const conversationId = await openGroup(ann, ben)
  await Promise.all(Array.from({ length: 20 }, (_, i) => send(ann, conversationId, `${i}`)))
  await Promise.all(Array.from({ length: 20 }, (_, i) => ben.do('receipt:read', { conversationId, seq: i })))
  assert.equal((await ben.do('conversation:get', { conversationId })).lastReadSeq, 19)
  const far = await ben.do('receipt:read', { conversationId, seq: 2_147_483_647 })
  assert.deepEqual([far.lastReadSeq, far.unreadCount], [20, 0])
  await send(ann, conversationId, 'next')
  assert.equal((await ben.do('conversation:get', { conversationId })).unreadCount, 1)
})

test('typing is heard by the others alone, on all their devices', async () => {
  const conversationId = await openGroup(ann, ben, cat)
  const [phone, own] = [await connect(server.url, ben.session), await connect(server.url, ann.session)]
  const heard = await heardDuring([ann, own, ben, phone, cat], async () => {
    assert.deepEqual(await ann.do('typing', { conversationId, isTyping: true }), {})
    await ann.do('typing', { conversationId, isTyping: false })
  })
  const news = [true, false].map((isTyping) => ({
    event: 'typing',
    payload: { conversationId, userId: ann.id, isTyping },
  }))
  const typing = heard.map((one) => one.filter(({ event }) => event === 'typing'))
  assert.deepEqual(typing, [[], [], news, news, news])
  for (const one of [phone, own]) one.close()
})

test('watchers hear of the first device that comes and the last that goes', async () => {
  const { session, id, ...first } = await join(server.url, 'dan')
  await openDirect(ann, { session, id, ...first })
  const [presence] = (await ann.do('presence:watch', { userIds: [id, id, randomUUID()] })).presences
  assert.deepEqual([presence?.userId, presence?.status], [id, 'online'])
  const second = await connect(server.url, session)
  const [silent] = await heardDuring([ann], async () => first.close())
  assert.deepEqual(silent, [])
  second.close()
  const offline = await ann.hears('presence:changed', (it) => it.userId === id && it.status === 'offline')
  assert.equal(typeof offline.lastSeenAt, 'string')
  assert.equal((await ann.do('presence:watch', { userIds: [id] })).presences[0]?.status, 'offline')
  const again = await connect(server.url, session)
  await ann.hears('presence:changed', (it) => it.userId === id && it.status === 'online')
  await ann.do('presence:watch', { userIds: [] })
  const [unwatched] = await heardDuring([ann], async () => {
    again.close()
    await heardDuring([ben], async () => {})
  })
  assert.deepEqual(unwatched, [])
})

test('a list of watched people has at most 500', async () => {
  const userIds = Array.from({ length: 501 }, () => randomUUID())
  await refuses(ann, 'invalid_request', 'presence:watch', { userIds })
  assert.deepEqual(await ann.do('presence:watch', { userIds: userIds.slice(1) }), { presences: [] })
})

test('in a conversation of more than fifty, reading and typing are not told to all, and ten people are shown', async () => {
  const sessions = await Promise.all(Array.from({ length: 48 }, (_, i) => register(server.url, `p${i}`)))
  const participantIds = [ben.id, cat.id, ...sessions.map(({ user }) => user.id)]
  const {
    id: conversationId,
    participants,
    participantCount,
  } = await ann.do('conversation:create', { type: 'group', participantIds })
  assert.deepEqual([participantCount, participants.length], [51, 10])
  await cat.hears('conversation:created', ({ id }) => id === conversationId)
  const phone = await connect(server.url, ben.session)
  const [byAnn] = await heardDuring([ann, cat], async () => {
    await send(ann, conversationId, 'to so many')
    await ben.do('receipt:read', { conversationId, seq: 1 })
    await phone.hears('receipts:changed', (it) => it.conversationId === conversationId)
    await ben.do('typing', { conversationId, isTyping: true })
  })
  assert.deepEqual(
    byAnn?.filter(({ payload }) => payload.conversationId === conversationId),
    [],
  )
  const since = new Date(Date.now() - 60_000).toISOString()
  const { receipts } = await ann.do('sync', { positions: { [conversationId]: 51 }, since })
  assert.deepEqual(
    receipts.filter((receipt) => receipt.conversationId === conversationId),
    [],
  )
  const listed = await api(server.url, ann)('GET', '/conversations')
  const row = (listed.body.items as unknown as { id: string; participants: unknown[] }[]).find(
    ({ id }) => id === conversationId,
  )
  assert.equal(row?.participants.length, 10)
  await ann.do('participant:remove', { conversationId, userId: sessions[0]?.user.id as string })
  assert.equal((await ann.do('conversation:get', { conversationId })).participants.length, 50)
  await ben.do('receipt:delivered', { conversationId, seq: 1 })
  await send(ann, conversationId, 'to fifty')
  await ben.do('receipt:read', { conversationId, seq: 2 })
  await ann.hears('receipts:changed', (it) => it.conversationId === conversationId)
  phone.close()
})
