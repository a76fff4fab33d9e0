import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Backend, startBackend } from '../support/backend.ts'
import { cast, join, listOf, openDirect, openGroup, type Person, refuses, send } from './scene.ts'

let server: Backend
let ben: Person
before(async () => {
  server = await startBackend()
  ben = await join(server.url, 'ben')
})
after(() => server.end())

const ids = (rows: { id: string }[]) => rows.map(({ id }) => id)

async function withGroups(count: number) {
  const ann = await join(server.url, 'ann')
  const groups: string[] = []
  for (let i = 0; i < count; i++) groups.push(await openGroup(ann, ben))
  return { ann, groups: groups as [string, string, string, ...string[]] }
}

test('the conversation with the newest message comes first, a new one counts by its beginning', async () => {
  const { ann, groups } = await withGroups(3)
  assert.deepEqual(ids(await listOf(ann)), groups.toReversed())
  await send(ben, groups[0], 'newest')
  await send(ann, groups[1], 'newer than that')
  assert.deepEqual(ids(await listOf(ann)), [groups[1], groups[0], groups[2]])
})

test('pinned ones stand first, archived ones in a list of their own', async () => {
  const { ann, groups } = await withGroups(4)
  const [first, second, third, fourth] = groups
  await ann.do('conversation:settings', { conversationId: first, isPinned: true })
  await ann.do('conversation:settings', { conversationId: third, isArchived: true })
  assert.deepEqual(ids(await listOf(ann)), [first, fourth, second])
  assert.deepEqual(ids(await listOf(ann, { archived: false })), [first, fourth, second])
  assert.deepEqual(ids(await listOf(ann, { archived: true })), [third])
  const bens = new Set(ids(await listOf(ben)))
  assert.ok(groups.every((id) => bens.has(id)))
  await ann.do('conversation:settings', { conversationId: third, isArchived: false, isPinned: true })
  assert.deepEqual(ids(await listOf(ann)), [third, first, fourth, second])
})

test('pages of any size together are the whole list, without repeats, pinned ones over the edge included', async () => {
  const { ann, groups } = await withGroups(9)
  for (const conversationId of groups.slice(2, 6))
    await ann.do('conversation:settings', { conversationId, isPinned: true })
  const whole = ids(await listOf(ann))
  assert.equal(whole.length, 9)
  for (const limit of [1, 2, 3, 4, 5, 9, 100])
    assert.deepEqual(ids(await listOf(ann, { limit })), whole, `limit ${limit}`)
  const exact = await ann.do('conversation:list', { limit: 9 })
  assert.equal(exact.nextCursor, undefined)
})

test('a row shows the viewer’s own state and the newest message', async () => {
  const [ann] = await cast(server.url, 'ann')
  const conversationId = await openDirect(ann, ben)
  await send(ann, conversationId, 'one')
  const last = await send(ann, conversationId, `two for @${ben.username}`)
  const [mine] = await listOf(ann)
  const [theirs] = await listOf(ben)
  assert.deepEqual([mine?.lastReadSeq, mine?.unreadCount, mine?.unreadMentions], [2, 0, 0])
  assert.deepEqual([theirs?.lastReadSeq, theirs?.unreadCount, theirs?.unreadMentions], [0, 2, 1])
  assert.deepEqual(mine?.lastMessage, last.message)
  assert.deepEqual(await ann.do('conversation:get', { conversationId }), mine)
})

test('a cursor is refused that is not from this list', async () => {
  const [ann] = await cast(server.url, 'ann')
  const forged = (...key: unknown[]) => Buffer.from(JSON.stringify(key)).toString('base64url')
  const id = await openDirect(ann, ben)
  const cursors = [
    'x',
    forged(),
    forged('true', new Date().toISOString()),
    forged('maybe', new Date().toISOString(), id),
    forged('true', 'yesterday', id),
    forged('true', '1', id),
    forged('true', '0000-01-01T00:00:00Z', id),
    forged('true', '2026-01-01', '-'.repeat(36)),
    forged({ a: 1 }, [], null),
    '\u0000',
    'a'.repeat(201),
  ]
  for (const cursor of cursors) await refuses(ann, 'invalid_request', 'conversation:list', { cursor })
  for (const cursor of [forged('1', id), forged('2026-01-01', '-'.repeat(36)), forged('true')]) {
    await refuses(ann, 'invalid_request', 'participant:list', { conversationId: id, cursor })
  }
  for (const cursor of [forged('-'.repeat(36)), forged(1), 'x']) {
    await refuses(ann, 'invalid_request', 'message:search', { query: 'x', cursor })
  }
})

test('a page has 1 to 100 rows', async () => {
  for (const limit of [0, -1, 101, 1.5, '5', null, Number.MAX_SAFE_INTEGER]) {
    await refuses(ben, 'invalid_request', 'conversation:list', { limit })
  }
})
