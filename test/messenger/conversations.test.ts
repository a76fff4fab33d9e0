import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import type { CommandInput } from '../../src/messenger/messenger.contract.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import { cast, connect, heardDuring, openDirect, openGroup, type Person, refuses, send, stateOf } from './scene.ts'

let server: Backend
let ann: Person
let ben: Person
let cat: Person
before(async () => {
  server = await startBackend({ MAX_GROUP_SIZE: '4' })
  ;[ann, ben, cat] = await cast(server.url, 'ann', 'ben', 'cat')
})
after(() => server.end())

type Creation = CommandInput<'conversation:create'>

const idsOf = (people: { userId: string }[]) => people.map(({ userId }) => userId)

test('two people have one direct conversation, whoever begins it and however often at once', async () => {
  const [one, other] = await cast(server.url, 'one', 'other')
  const begun = await Promise.all(
    Array.from({ length: 20 }, (_, i) => {
      const [from, to] = i % 2 ? [one, other] : [other, one]
      const clientId = i % 3 ? randomUUID() : undefined
      return from.do('conversation:create', { type: 'direct', participantIds: [to.id], clientId })
    }),
  )
  assert.equal(new Set(begun.map(({ id }) => id)).size, 1)
  for (const person of [one, other]) {
    const [heard] = await heardDuring([person], async () => {})
    assert.deepEqual(heard, [])
    const told = person.heard.filter(
      ({ event, payload }) => event === 'conversation:created' && payload.type === 'direct',
    )
    assert.equal(told.length, 1)
  }
})

test('a direct conversation has two members, no title, and is heard of by both', async () => {
  const [one, other, third] = await cast(server.url, 'one', 'other', 'third')
  const [, , heardByThird] = await heardDuring([one, other, third], async () => {
    const created = await one.do('conversation:create', {
      type: 'direct',
      participantIds: [other.id, one.id, other.id],
    })
    assert.equal(created.type, 'direct')
    assert.equal(created.createdBy, one.id)
    assert.equal(created.title, undefined)
    assert.equal(created.participantCount, 2)
    assert.deepEqual(idsOf(created.participants).sort(), [one.id, other.id].sort())
    assert.ok(created.participants.every(({ role, kind }) => role === 'member' && kind === 'human'))
    assert.deepEqual(created.settings, { isPinned: false, isMuted: false, isArchived: false })
    assert.deepEqual([created.lastSeq, created.lastReadSeq, created.unreadCount, created.unreadMentions], [0, 0, 0, 0])
    const seen = await other.hears('conversation:created', ({ id }) => id === created.id)
    assert.deepEqual(seen, created)
    assert.deepEqual(await other.do('conversation:get', { conversationId: created.id }), created)
  })
  assert.deepEqual(heardByThird, [])
})

test('ids mean the same in capitals: the same conversation, heard by the same people', async () => {
  const [one, other] = await cast(server.url, 'one', 'other')
  const conversationId = await openDirect(one, other)
  const again = await one.do('conversation:create', { type: 'direct', participantIds: [other.id.toUpperCase()] })
  assert.equal(again.id, conversationId)
  const loud = conversationId.toUpperCase()
  const { id } = await send(one, loud, 'in capitals')
  await send(one, conversationId, 'plain')
  const [first] = (await other.hears('messages:created')).messages as unknown as { id: string }[]
  assert.equal(first?.id, id)
  await other.do('typing', { conversationId: loud, isTyping: true })
  await one.hears('typing', (payload) => payload.conversationId === conversationId)
  assert.deepEqual((await one.do('sync', { positions: { [loud]: 1 } })).removed, [])
  await refuses(one, 'invalid_request', 'conversation:create', {
    type: 'direct',
    participantIds: [one.id.toUpperCase()],
  })
})

test('a group begins with its creator as owner and the others as members, each once', async () => {
  const participantIds = [ben.id, cat.id, ben.id, ann.id]
  const group = await ann.do('conversation:create', { type: 'group', title: '  Padded  ', participantIds })
  assert.equal(group.title, '  Padded  ')
  assert.deepEqual(
    group.participants.map(({ userId, role }) => [userId, role]),
    [
      [ann.id, 'owner'],
      [ben.id, 'member'],
      [cat.id, 'member'],
    ],
  )
  for (const person of [ben, cat]) await person.hears('conversation:created', ({ id }) => id === group.id)
})

test('a group can have nobody but its creator, and no title', async () => {
  const { participants, title } = await ann.do('conversation:create', { type: 'group' })
  assert.deepEqual(idsOf(participants), [ann.id])
  assert.equal(title, undefined)
})

test('a repeated clientId gives the first conversation, also fifty times at once; another creator may use it too', async () => {
  const clientId = randomUUID()
  const input = { type: 'group', title: 'Once', clientId, participantIds: [ben.id] } satisfies Creation
  const [, heard] = await heardDuring([ann, ben], async () => {
    const all = await Promise.all(Array.from({ length: 50 }, () => ann.do('conversation:create', input)))
    assert.equal(new Set(all.map(({ id }) => id)).size, 1)
    const later = await ann.do('conversation:create', { ...input, title: 'Another title' })
    assert.equal(later.title, 'Once')
    const bens = await ben.do('conversation:create', { ...input, participantIds: [] })
    assert.notEqual(bens.id, all[0]?.id)
  })
  assert.deepEqual(
    heard?.map(({ event }) => event),
    ['conversation:created', 'conversation:created'],
  )
})

test('whom one wants to talk to must exist; nothing begins for the others otherwise', async () => {
  const [heard] = await heardDuring([ben], async () => {
    const participantIds = [ben.id, randomUUID()]
    await refuses(ann, 'not_found', 'conversation:create', { type: 'group', participantIds })
    await refuses(ann, 'not_found', 'conversation:create', { type: 'direct', participantIds: [randomUUID()] })
  })
  assert.deepEqual(heard, [])
})

test('a direct conversation needs exactly one other person and takes no title', async () => {
  const create = (code: 'invalid_request' | 'unprocessable', more: object) =>
    refuses(ann, code, 'conversation:create', { type: 'direct', ...more })
  await create('invalid_request', {})
  await create('invalid_request', { participantIds: [] })
  await create('invalid_request', { participantIds: [ann.id] })
  const error = await create('invalid_request', { participantIds: [ben.id, cat.id] })
  assert.deepEqual(((error.details?.errors ?? []) as { path: string }[])[0]?.path, 'participantIds')
  await create('unprocessable', { participantIds: [ben.id], title: 'Us' })
})

test('what belongs to an assistant conversation is refused of a group as unprocessable', async () => {
  const refused = (input: object) => refuses(ann, 'unprocessable', 'conversation:create', { type: 'group', ...input })
  await refused({ models: [] })
  await refused({ systemPrompt: '' })
  await refused({ parentId: randomUUID() })
  await refused({ breakoutModelId: 'gpt' })
  await refused({ messageId: randomUUID() })
})

test('a group begins with no more people than a group may have', async () => {
  const [dan, eve] = await cast(server.url, 'dan', 'eve')
  const full = { type: 'group', participantIds: [ben.id, cat.id, dan.id] } satisfies Creation
  assert.equal((await ann.do('conversation:create', full)).participantCount, 4)
  const [heard] = await heardDuring([eve], () =>
    refuses(ann, 'unprocessable', 'conversation:create', { ...full, participantIds: [...full.participantIds, eve.id] }),
  )
  assert.deepEqual(heard, [])
})

test('owner and admin rename a group; everyone hears of it without the viewer’s own fields', async () => {
  const conversationId = await openGroup(ann, ben, cat)
  await ann.do('participant:update', { conversationId, userId: ben.id, role: 'admin' })
  for (const [person, title] of [
    [ann, 'By the owner'],
    [ben, 'By the admin'],
  ] as const) {
    const { lastChange } = await ann.do('conversation:get', { conversationId })
    const updated = await person.do('conversation:update', { conversationId, title })
    assert.equal(updated.title, title)
    assert.equal(updated.lastChange, lastChange + 1)
    for (const hearer of [ann, ben, cat]) {
      const has = (payload: { conversation?: unknown }) => (payload.conversation as { title: string }).title === title
      const news = await hearer.hears('conversation:updated', has)
      assert.deepEqual([news.prevChange, news.change], [lastChange, lastChange + 1])
      const { settings, lastReadSeq, unreadCount, unreadMentions, ...shared } = updated
      assert.deepEqual(news.conversation, shared)
    }
  }
})

test('a member renames nothing, and nobody renames a direct conversation', async () => {
  const group = await openGroup(ann, ben)
  const direct = await openDirect(ann, cat)
  const earlier = await Promise.all([stateOf(ann, group), stateOf(ann, direct)])
  const heard = await heardDuring([ann, ben, cat], async () => {
    await refuses(ben, 'forbidden', 'conversation:update', { conversationId: group, title: 'Mine' })
    await refuses(ann, 'unprocessable', 'conversation:update', { conversationId: direct, title: 'Ours' })
    await refuses(ann, 'unprocessable', 'conversation:update', { conversationId: group, models: ['gpt'] })
    await refuses(ann, 'unprocessable', 'conversation:update', { conversationId: group, avatarId: randomUUID() })
    await refuses(ann, 'invalid_request', 'conversation:update', { conversationId: group })
  })
  assert.deepEqual(heard, [[], [], []])
  assert.deepEqual(await Promise.all([stateOf(ann, group), stateOf(ann, direct)]), earlier)
})

test('settings are one’s own: all of one’s devices hear the state, nobody else hears anything', async () => {
  const conversationId = await openGroup(ann, ben)
  await send(ben, conversationId, `hello @${ann.username}`)
  const phone = await connect(server.url, ann.session)
  const [heardByBen, heardOnPhone, heardByAnn] = await heardDuring([ben, phone, ann], async () => {
    const pinned = await ann.do('conversation:settings', { conversationId, isPinned: true })
    assert.deepEqual(pinned, { isPinned: true, isMuted: false, isArchived: false })
    await ann.do('conversation:settings', { conversationId, isMuted: true, isArchived: true })
  })
  assert.deepEqual(heardByBen, [])
  const states = [
    { settings: { isPinned: true, isMuted: false, isArchived: false } },
    { settings: { isPinned: true, isMuted: true, isArchived: true } },
  ].map((state) => ({
    event: 'conversation:state',
    payload: { conversationId, ...state, lastReadSeq: 0, unreadCount: 1, unreadMentions: 1 },
  }))
  assert.deepEqual(heardOnPhone, states)
  assert.deepEqual(
    heardByAnn?.filter(({ event }) => event === 'conversation:state'),
    states,
  )
  assert.deepEqual((await ben.do('conversation:get', { conversationId })).settings.isPinned, false)
  phone.close()
})

test('only the owner deletes a group; then it ends for all and its clientId is free again', async () => {
  const clientId = randomUUID()
  const input = { type: 'group', title: 'Short-lived', clientId, participantIds: [ben.id, cat.id] } satisfies Creation
  const { id: conversationId } = await ann.do('conversation:create', input)
  await ann.do('participant:update', { conversationId, userId: ben.id, role: 'admin' })
  const refusedToAll = await heardDuring([ann, ben, cat], async () => {
    await refuses(ben, 'forbidden', 'conversation:delete', { conversationId })
    await refuses(cat, 'forbidden', 'conversation:delete', { conversationId })
  })
  assert.deepEqual(
    refusedToAll.flat().filter(({ event }) => event === 'conversation:removed'),
    [],
  )
  await ann.do('conversation:delete', { conversationId })
  for (const person of [ann, ben, cat])
    await person.hears('conversation:removed', (it) => it.conversationId === conversationId)
  await refuses(ann, 'not_found', 'conversation:delete', { conversationId })
  assert.deepEqual((await ben.do('sync', { positions: { [conversationId]: 0 } })).removed, [conversationId])
  assert.notEqual((await ann.do('conversation:create', input)).id, conversationId)
})
