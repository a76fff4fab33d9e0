import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql } from 'kysely'
import type { User } from '../../src/identity/identity.contract.ts'
import { newId } from '../../src/kernel/ids.ts'
import type { Actor } from '../../src/kernel/operation.ts'
import { startIdentity, type TestIdentity, withCode } from '../support/identity.ts'

const people = {
  seeker: 'Seeker',
  minji_k: 'Kim Minji',
  minjiXk: '민지',
  'Minji.Park': 'Park Minji',
  percent: '100% real',
  slash: 'back\\slash',
  underscore: 'snake_case',
  banned: 'Minji Banned',
  deleted: 'Minji Deleted',
}

let identity: TestIdentity
let actor: Actor
const ids = new Map<string, string>()

before(async () => {
  identity = await startIdentity()
  for (const [username, displayName] of Object.entries(people)) {
    const session = await identity.register(username, { displayName })
    ids.set(username, session.user.id)
    if (username === 'seeker') actor = await identity.actorOf(session)
  }
  await identity.ban(ids.get('banned')!)
  await identity.remove(ids.get('deleted')!)
})
after(() => identity.close())

const search = (input: object) => identity.call<{ items: User[]; nextCursor?: string }>('user:search', input, actor)
const found = async (query: string) => (await search({ query })).items.map(({ username }) => username)

test('people are found by the beginning of their username or display name, in any case', async () => {
  assert.deepEqual(await found('MINJI'), ['Minji.Park', 'minji_k', 'minjiXk'].sort(byLowerCase))
  assert.deepEqual(await found('minji.'), ['Minji.Park'])
  assert.deepEqual(await found('kim'), ['minji_k'])
  assert.deepEqual(await found('민'), ['minjiXk'])
  assert.deepEqual(await found('지'), [])
  assert.deepEqual(await found('nderscore'), [])
})

test('a found person shows what anyone may see and nothing else', async () => {
  assert.deepEqual((await search({ query: 'kim' })).items, [
    { id: ids.get('minji_k'), kind: 'human', username: 'minji_k', displayName: 'Kim Minji' },
  ])
})

test('one does not find oneself, nor banned and deleted people', async () => {
  assert.deepEqual(await found('seek'), [])
  assert.deepEqual(await found('banned'), [])
  assert.deepEqual(await found('deleted'), [])
})

test('LIKE metacharacters and SQL are text', async () => {
  assert.deepEqual(await found('%'), [])
  assert.deepEqual(await found('100%'), ['percent'])
  assert.deepEqual(await found('_'), [])
  assert.deepEqual(await found('snake_'), ['underscore'])
  assert.deepEqual(await found('minji_'), ['minji_k'])
  assert.deepEqual(await found('back\\'), ['slash'])
  assert.deepEqual(await found('\\%'), [])
  assert.deepEqual(await found('back\\s'), ['slash'])
  assert.deepEqual(await found(`' or 1=1 --`), [])
})

test('pages follow each other without a gap or a repeat, whatever comes in between', async () => {
  const names = Array.from({ length: 7 }, (_, n) => `${n % 2 ? 'PAGE' : 'page'}-${n}`)
  for (const name of names) {
    await identity.database.query(sql`
      insert into users (id, username, display_name) values (${newId()}, ${name}, 'Page')`)
  }
  const first = await search({ query: 'page', limit: 3 })
  await identity.database.query(sql`
    insert into users (id, username, display_name) values (${newId()}, 'page-00', 'New on the first page')`)
  const second = await search({ query: 'page', limit: 3, cursor: first.nextCursor })
  const third = await search({ query: 'page', limit: 3, cursor: second.nextCursor })
  const pages = [first, second, third].map(({ items }) => items.map(({ username }) => username))
  assert.deepEqual(pages, [names.slice(0, 3), names.slice(3, 6), names.slice(6)])
  assert.equal(third.nextCursor, undefined)
  assert.equal((await search({ query: 'page-1', limit: 1 })).nextCursor, undefined)
})

test('a cursor that nobody gave out is no error', async () => {
  for (const cursor of [`' or true --`, '%', '漢字', '\u{10ffff}', '\\x00']) {
    assert.ok(Array.isArray((await search({ query: 'page', cursor })).items))
  }
})

test('a person is found by id, also a banned one, but not a deleted one', async () => {
  const get = (userId: string) => identity.call<User>('user:get', { userId }, actor)
  assert.equal((await get(ids.get('percent')!)).username, 'percent')
  assert.equal((await get(ids.get('banned')!)).username, 'banned')
  await assert.rejects(get(ids.get('deleted')!), withCode('not_found'))
  await assert.rejects(get(newId()), withCode('not_found'))
})

test('who exists and is neither banned nor deleted counts as active, inside of a transaction', async () => {
  const asked = [...['seeker', 'percent', 'banned', 'deleted'].map((name) => ids.get(name)!), newId()]
  const active = await identity.database.transact((em) => identity.users.activeAmong(em, asked, actor.userId))
  assert.deepEqual(active, new Set([ids.get('seeker'), ids.get('percent')]))
  assert.deepEqual(
    await identity.database.transact((em) => identity.users.activeAmong(em, [], actor.userId)),
    new Set(),
  )
})

test('a user is noted as seen', async () => {
  await identity.database.query(sql`update users set last_seen_at = now() - interval '1 hour'`)
  await identity.users.touchLastSeen(actor.userId)
  const rows = await identity.database.query(sql<{ id: string }>`
    select id from users where last_seen_at > now() - interval '1 minute'`)
  assert.deepEqual(rows, [{ id: actor.userId }])
})

function byLowerCase(a: string, b: string): number {
  return a.toLowerCase() < b.toLowerCase() ? -1 : 1
}
