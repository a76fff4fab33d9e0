import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { type Backend, startBackend } from '../support/backend.ts'
import {
  cast,
  connect,
  heardDuring,
  historyOf,
  join,
  openDirect,
  openGroup,
  type Person,
  refuses,
  send,
  stateOf,
} from './scene.ts'

let server: Backend
let owner: Person
let admin: Person
let member: Person
before(async () => {
  server = await startBackend({ MAX_GROUP_SIZE: '5' })
  ;[owner, admin, member] = await cast(server.url, 'owner', 'admin', 'member')
})
after(() => server.end())

async function group(): Promise<string> {
  const conversationId = await openGroup(owner, admin, member)
  await owner.do('participant:update', { conversationId, userId: admin.id, role: 'admin' })
  return conversationId
}

const peopleOf = async (conversationId: string) => (await owner.do('participant:list', { conversationId })).participants

test('someone who is added sees the whole history, has nothing unread, and hears what comes', async () => {
  const conversationId = await group()
  const early = await send(member, conversationId, 'long before')
  const fresh = await join(server.url, 'fresh')
  const participant = await admin.do('participant:add', { conversationId, userId: fresh.id })
  assert.deepEqual([participant.role, participant.lastReadSeq, participant.username], ['member', 1, fresh.username])
  const begun = await fresh.hears('conversation:created', ({ id }) => id === conversationId)
  assert.deepEqual([begun.unreadCount, begun.participantCount], [0, 4])
  for (const person of [owner, admin, member]) {
    const news = await person.hears('participants:changed', (it) => JSON.stringify(it).includes(fresh.id))
    assert.deepEqual(news.participants, [participant])
    assert.equal(Number(news.change), Number(news.prevChange) + 1)
  }
  assert.deepEqual(
    (await historyOf(fresh, conversationId)).map(({ id }) => id),
    [early.id],
  )
  const late = await send(member, conversationId, 'after')
  await fresh.hears('messages:created', (it) => JSON.stringify(it.messages).includes(late.id))
})

test('adding someone who is there already changes nothing', async () => {
  const conversationId = await group()
  const earlier = await stateOf(owner, conversationId)
  const heard = await heardDuring([owner, admin, member], () =>
    owner.do('participant:add', { conversationId, userId: admin.id }),
  )
  assert.deepEqual(heard, [[], [], []])
  assert.deepEqual(await stateOf(owner, conversationId), earlier)
})

test('someone who is added again is a member with fresh settings, whatever they were before', async () => {
  const conversationId = await group()
  await admin.do('conversation:settings', { conversationId, isPinned: true, isArchived: true })
  await owner.do('participant:remove', { conversationId, userId: admin.id })
  await send(member, conversationId, 'meanwhile')
  await owner.do('participant:add', { conversationId, userId: admin.id })
  const { settings, unreadCount, participants } = await admin.do('conversation:get', { conversationId })
  assert.deepEqual(settings, { isPinned: false, isMuted: false, isArchived: false })
  assert.equal(unreadCount, 0)
  assert.deepEqual(
    participants.map(({ userId, role }) => [userId, role]),
    [
      [owner.id, 'owner'],
      [member.id, 'member'],
      [admin.id, 'member'],
    ],
  )
  assert.equal((await historyOf(admin, conversationId)).length, 1)
})

test('a removed participant hears nothing more of any kind, on none of their devices', async () => {
  const conversationId = await group()
  const phone = await connect(server.url, member.session)
  const { id } = await send(owner, conversationId, 'before')
  await phone.hears('messages:created', (it) => it.conversationId === conversationId)
  await owner.do('participant:remove', { conversationId, userId: member.id })
  for (const device of [member, phone])
    await device.hears('conversation:removed', (it) => it.conversationId === conversationId)
  const inside = await admin.hears(
    'participants:changed',
    (it) => it.conversationId === conversationId && JSON.stringify(it).includes('leftAt'),
  )
  assert.equal((inside.participants as unknown as { userId: string }[])[0]?.userId, member.id)
  const [onDesk, onPhone] = await heardDuring([member, phone], async () => {
    await send(owner, conversationId, `all about @${member.username}`)
    await owner.do('message:edit', { conversationId, messageId: id, content: 'edited' })
    await admin.do('reaction:add', { conversationId, messageId: id, emoji: '👍' })
    await owner.do('conversation:update', { conversationId, title: 'Without you' })
    await owner.do('participant:update', { conversationId, userId: admin.id, role: 'member' })
    await owner.do('typing', { conversationId, isTyping: true })
    await admin.do('receipt:read', { conversationId, seq: 2 })
    await owner.hears('receipts:changed', (it) => it.conversationId === conversationId)
    await owner.do('message:delete', { conversationId, messageId: id })
    await owner.do('conversation:delete', { conversationId })
  })
  assert.deepEqual([onDesk, onPhone], [[], []])
  phone.close()
})

test('a removal counts at once, also for messages that are being sent at that moment', async () => {
  const conversationId = await group()
  const begun = member.heard.length
  const sends = Array.from({ length: 30 }, (_, i) => send(owner, conversationId, `n${i}`))
  await admin.do('participant:remove', { conversationId, userId: member.id })
  await Promise.all(sends)
  await heardDuring([member], () => send(owner, conversationId, 'last'))
  const events = member.heard.slice(begun).filter(({ payload }) => (payload.conversationId ?? '') === conversationId)
  const removed = events.findIndex(({ event }) => event === 'conversation:removed')
  assert.deepEqual(events.slice(removed + 1), [])
  assert.equal((await owner.do('conversation:get', { conversationId })).participantCount, 2)
})

test('members add, remove and promote nobody, and nobody hears that they tried', async () => {
  const conversationId = await group()
  const fresh = await join(server.url, 'fresh')
  const earlier = await stateOf(owner, conversationId)
  const heard = await heardDuring([owner, admin, member, fresh], async () => {
    await refuses(member, 'forbidden', 'participant:add', { conversationId, userId: fresh.id })
    await refuses(member, 'forbidden', 'participant:remove', { conversationId, userId: owner.id })
    for (const person of [member, admin]) {
      await refuses(person, 'forbidden', 'participant:update', { conversationId, userId: member.id, role: 'owner' })
    }
    await refuses(admin, 'forbidden', 'participant:remove', { conversationId, userId: owner.id })
    await refuses(owner, 'unprocessable', 'participant:remove', { conversationId, userId: owner.id })
    await refuses(owner, 'not_found', 'participant:remove', { conversationId, userId: fresh.id })
    await refuses(owner, 'not_found', 'participant:update', { conversationId, userId: fresh.id, role: 'admin' })
    await refuses(owner, 'not_found', 'participant:add', { conversationId, userId: randomUUID() })
    await refuses(owner, 'invalid_request', 'participant:update', { conversationId, userId: member.id, role: 'king' })
    await refuses(owner, 'invalid_request', 'participant:add', { conversationId, userId: 'me' })
  })
  assert.deepEqual(heard, [[], [], [], []])
  assert.deepEqual(await stateOf(owner, conversationId), earlier)
})

test('an admin removes members but no other admin', async () => {
  const conversationId = await group()
  const second = await join(server.url, 'second')
  await owner.do('participant:add', { conversationId, userId: second.id })
  await owner.do('participant:update', { conversationId, userId: second.id, role: 'admin' })
  await refuses(admin, 'forbidden', 'participant:remove', { conversationId, userId: second.id })
  await admin.do('participant:remove', { conversationId, userId: member.id })
  await owner.do('participant:remove', { conversationId, userId: second.id })
  assert.deepEqual(
    (await peopleOf(conversationId)).map(({ userId }) => userId),
    [owner.id, admin.id],
  )
})

test('a group takes in no more than it may have, also when many are added at once', async () => {
  const conversationId = await group()
  const more = await cast(server.url, 'one', 'two', 'three', 'four')
  const acks = await Promise.all(more.map(({ id }) => owner.ask('participant:add', { conversationId, userId: id })))
  assert.equal(acks.filter(({ ok }) => ok).length, 2)
  for (const ack of acks) if (!ack.ok) assert.equal(ack.error.code, 'unprocessable')
  const people = await peopleOf(conversationId)
  assert.equal(people.length, 5)
  for (const [i, person] of more.entries()) {
    const [heard] = await heardDuring([person], async () => {})
    assert.deepEqual(heard, [])
    assert.equal(
      person.heard.some(({ payload }) => payload.id === conversationId),
      acks[i]?.ok,
    )
  }
})

test('a direct conversation has its two people for ever', async () => {
  const conversationId = await openDirect(owner, member)
  await refuses(owner, 'unprocessable', 'participant:add', { conversationId, userId: admin.id })
  await refuses(owner, 'unprocessable', 'participant:remove', { conversationId, userId: member.id })
  await refuses(owner, 'unprocessable', 'participant:update', { conversationId, userId: member.id, role: 'admin' })
  const heard = await heardDuring([owner, member], async () => {
    await refuses(member, 'unprocessable', 'conversation:leave', { conversationId })
    await refuses(owner, 'unprocessable', 'conversation:delete', { conversationId })
  })
  assert.deepEqual(heard, [[], []])
  assert.equal((await peopleOf(conversationId)).length, 2)
  await send(member, conversationId, 'still here')
})

test('the people of a conversation are listed in pages, in the order of joining', async () => {
  const conversationId = await group()
  const fresh = await join(server.url, 'fresh')
  await owner.do('participant:add', { conversationId, userId: fresh.id })
  const all = await peopleOf(conversationId)
  assert.deepEqual(
    all.map(({ userId }) => userId),
    [owner.id, admin.id, member.id, fresh.id],
  )
  for (const limit of [1, 2, 3, 4]) {
    const rows: typeof all = []
    let cursor: string | undefined
    do {
      const page = await member.do('participant:list', { conversationId, limit, ...(cursor && { cursor }) })
      rows.push(...page.participants)
      cursor = page.nextCursor
    } while (cursor)
    assert.deepEqual(rows, all)
  }
})
