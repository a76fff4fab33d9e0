import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Conversation, createStore, type Store } from '../../src/client/index.ts'
import { closing, eventually, signIn, startScene } from '../faults/scene.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import { withoutServices } from '../support/services.ts'
import {
  api,
  cast,
  connect,
  heardDuring,
  hearsMessage,
  join,
  openDirect,
  openGroup,
  type Person,
  send,
} from './scene.ts'

let server: Backend
before(async () => {
  server = await startBackend()
})
after(() => server.end())

async function rename(url: string, person: Person, changes: object): Promise<void> {
  const { status, body } = await api(url, person)('PATCH', '/me', changes)
  assert.equal(status, 200, JSON.stringify(body))
}

const names = (heard: Person['heard']) => heard.filter(({ event }) => event === 'user:changed')

async function fresh(person: Person, conversationIds: string[]) {
  return Promise.all(conversationIds.map((conversationId) => person.do('conversation:get', { conversationId })))
}

/** What the store has of them, as it would stand on the wire. */
const held = (store: Store, conversationIds: string[]): (Conversation | undefined)[] =>
  conversationIds.map((id) => JSON.parse(JSON.stringify(store.get(id)?.conversation)))

test('a new name is heard once by whoever shares conversations, by the own devices, and by nobody else', async () => {
  const [ann, ben, stranger] = await cast(server.url, 'ann', 'ben', 'stranger')
  const device = await connect(server.url, ann.session)
  for (let i = 0; i < 2; i++) await openGroup(ann, ben)
  await openDirect(ann, ben)
  const heard = await heardDuring([ben, ann, device, stranger], () =>
    rename(server.url, ann, { displayName: 'Ann Other' }),
  )
  const told = {
    event: 'user:changed',
    payload: { user: { userId: ann.id, username: ann.username, displayName: 'Ann Other' } },
  }
  assert.deepEqual(heard.map(names), [[told], [told], [told], []])
  const username = `${ann.username}_b`
  const [again] = await heardDuring([ben], () => rename(server.url, ann, { username }))
  assert.deepEqual(
    names(again ?? []).map(({ payload }) => payload.user),
    [{ userId: ann.id, username, displayName: 'Ann Other' }],
  )
})

test('what others do not see is told to nobody: the language, and what is as it was', async () => {
  const [ann, ben] = await cast(server.url, 'ann', 'ben')
  await openGroup(ann, ben)
  const since = new Date(Date.now() - 60_000).toISOString()
  const [heard] = await heardDuring([ben], async () => {
    await rename(server.url, ann, { locale: 'de' })
    await rename(server.url, ann, { displayName: 'ann', username: ann.username })
  })
  assert.deepEqual(heard, [])
  assert.deepEqual((await ben.do('sync', { since })).users, [])
})

test('someone who is in no conversation hears it at the other device', async () => {
  const ann = await join(server.url, 'ann')
  const device = await connect(server.url, ann.session)
  await rename(server.url, ann, { displayName: 'Ann Alone' })
  const { user } = await device.hears('user:changed')
  assert.deepEqual(user, { userId: ann.id, username: ann.username, displayName: 'Ann Alone' })
})

test('who has left, or was left, is told nothing, neither by event nor by sync', async () => {
  const [ann, ben] = await cast(server.url, 'ann', 'ben')
  const conversationId = await openGroup(ann, ben)
  await ben.do('conversation:leave', { conversationId })
  const since = new Date(Date.now() - 60_000).toISOString()
  const heard = await heardDuring([ben, ann], async () => {
    await rename(server.url, ann, { displayName: 'Ann After' })
    await rename(server.url, ben, { displayName: 'Ben After' })
  })
  assert.deepEqual(
    heard.map((own) => names(own).map(({ payload }) => (payload.user as unknown as { userId: string }).userId)),
    [[ben.id], [ann.id]],
  )
  assert.ok(!(await ben.do('sync', { since })).users?.some(({ userId }) => userId === ann.id))
})

test('sync brings people who changed since then, once however much is shared, and nothing without a time', async () => {
  const [ann, ben, stranger] = await cast(server.url, 'ann', 'ben', 'stranger')
  for (let i = 0; i < 2; i++) await openGroup(ann, ben)
  const { positions, serverTime: since } = await ben.do('sync', {})
  assert.deepEqual((await ben.do('sync', { positions, since })).users, [])
  await rename(server.url, ann, { displayName: 'Ann Later' })
  await rename(server.url, stranger, { displayName: 'Someone Else' })
  const page = await ben.do('sync', { positions, since })
  assert.deepEqual(page.users, [{ userId: ann.id, username: ann.username, displayName: 'Ann Later' }])
  assert.deepEqual([page.conversations, page.positions], [[], positions], 'no conversation has moved')
  const later = new Date(Date.now() + 60_000).toISOString()
  assert.deepEqual((await ben.do('sync', { positions, since: later })).users, [])
  assert.ok(!('users' in (await ben.do('sync', { positions }))))
})

test("a client's copies are as a fresh fetch after a change that it heard", async (t) => {
  const [ann, ben] = await cast(server.url, 'ann', 'ben')
  const ids = [await openGroup(ann, ben), await openGroup(ben, ann), await openDirect(ann, ben)]
  await send(ann, ids[0] as string, 'hello')
  const client = await closing(t, signIn(server.url, ben))
  const changed: string[] = []
  client.on('changed', (id) => changed.push(id))
  await rename(server.url, ann, { displayName: 'Ann Awake' })
  await eventually('all three copies are told of', () => ids.every((id) => changed.includes(id)))
  assert.deepEqual(held(client.store, ids), await fresh(ben, ids))
  assert.equal(client.store.get(ids[0] as string)?.conversation.participants[0]?.displayName, 'Ann Awake')
})

test('who was away has by sync the names of a fresh fetch, though no conversation has moved', async () => {
  const [ann, ben] = await cast(server.url, 'ann', 'ben')
  const ids = [await openGroup(ann, ben), await openGroup(ben, ann), await openDirect(ann, ben)]
  const store = createStore()
  store.reset(ben.id)
  const whole = await ben.do('sync', {})
  store.applySync(whole)
  await rename(server.url, ann, { displayName: 'Ann Meanwhile', username: `${ann.username}_b` })
  const page = await ben.do('sync', { positions: store.positions(), since: whole.serverTime })
  assert.deepEqual(page.conversations, [])
  assert.deepEqual(store.applySync(page).toSorted(), ids.toSorted())
  assert.deepEqual(held(store, ids), await fresh(ben, ids))
  assert.equal(store.get(ids[2] as string)?.conversation.participants[0]?.displayName, 'Ann Meanwhile')
})

test('a new name is heard once at another node, too', { skip: withoutServices }, async (t) => {
  const { a, b } = await startScene(t, 2)
  const [ann, ben, stranger] = await Promise.all([join(a, 'ann'), join(b, 'ben'), join(b, 'stranger')])
  t.after(() => {
    for (const person of [ann, ben, stranger]) person.close()
  })
  const ids = [await openGroup(ann, ben), await openGroup(ben, ann), await openDirect(ann, ben)]
  const client = await closing(t, signIn(b, ben))
  await rename(a, ann, { displayName: 'Ann Across' })
  await ben.hears('user:changed')
  // what one node says reaches the other in order
  const after = await send(ann, ids[0] as string, 'after it')
  await hearsMessage(ben, after.id)
  await send(ann, await openDirect(ann, stranger), 'hello')
  await stranger.hears('messages:created')
  assert.deepEqual(
    [ben, stranger].map(({ heard }) => names(heard).map(({ payload }) => payload.user)),
    [[{ userId: ann.id, username: ann.username, displayName: 'Ann Across' }], []],
  )
  await eventually('the copies show it', () =>
    held(client.store, ids).every((copy) => copy?.participants.some(({ displayName }) => displayName === 'Ann Across')),
  )
})
