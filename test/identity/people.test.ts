import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql } from 'kysely'
import type { Me, Session } from '../../src/identity/identity.contract.ts'
import type { StaffUser } from '../../src/identity/staff.contract.ts'
import type { AppError } from '../../src/kernel/errors.ts'
import { newId } from '../../src/kernel/ids.ts'
import { password, startIdentity, type TestIdentity, withCode } from '../support/identity.ts'

let identity: TestIdentity
/** Users of whom it was said that what others see of them has changed; and what was done after the commit. */
let changed: string[] = []
let told: string[] = []

before(async () => {
  identity = await startIdentity()
  identity.events.on('user.changed', async (_em, { userId }) => {
    changed.push(userId)
    if (userId === refusing) throw new Error('a subscriber that fails')
    return () => void told.push(userId)
  })
})
after(() => identity.close())
let refusing = ''

const avatarOf = async (userId: string) =>
  (
    await identity.database.query(
      sql<{ avatar: string | null }>`select avatar_id as avatar from users where id = ${userId}`,
    )
  )[0]?.avatar

/** As after an upload: media hold and remove real ones. */
const wear = async (userId: string): Promise<string> => {
  const avatarId = newId()
  await identity.database.query(sql`update users set avatar_id = ${avatarId} where id = ${userId}`)
  return avatarId
}

test('an avatar shows, stays when other things change, and is taken away by null', async () => {
  const session = await identity.register('ann')
  const actor = await identity.actorOf(session)
  const update = (input: object) => identity.call<Me>('me:update', input, actor)
  const avatarId = await wear(actor.userId)
  const avatarUrl = `${avatarId}/thumbnail`
  assert.deepEqual(await identity.call<Me>('me:get', {}, actor), { ...session.user, avatarUrl })
  const staff = { ...actor, role: 'admin' as const }
  const { userId } = actor
  for (const [name, input] of Object.entries({ 'staff:user': { userId }, 'staff:users': { query: 'ann' } })) {
    const seen = await identity.call<StaffUser & { items: StaffUser[] }>(name, input, staff)
    assert.equal((seen.items?.[0] ?? seen).avatarUrl, avatarUrl, name)
  }
  await update({ displayName: 'Ann' })
  assert.equal(await avatarOf(actor.userId), avatarId)
  assert.deepEqual(await update({ avatarId: null }), { ...session.user, displayName: 'Ann' })
  assert.equal(await avatarOf(actor.userId), null)
  for (const bad of ['x', '', 7, {}]) await assert.rejects(update({ avatarId: bad }), `${bad}`)
})

test('a change that others see is said in its transaction, one that they do not see is not', async () => {
  const actor = await identity.actorOf(await identity.register('ben', { displayName: 'Ben' }))
  const update = async (input: object): Promise<number> => {
    changed = []
    told = []
    await identity.call<Me>('me:update', input, actor)
    assert.deepEqual(told, changed, 'what is left is done after the commit')
    return changed.length
  }
  await wear(actor.userId)
  assert.deepEqual(
    [
      ...[await update({ username: 'Ben' }), await update({ displayName: 'B.' }), await update({ avatarId: null })],
      await update({ displayName: 'Bé', locale: 'fr' }),
    ],
    [1, 1, 1, 1],
  )
  assert.deepEqual(
    [
      ...[await update({ locale: 'ko' }), await update({ username: 'Ben' }), await update({ displayName: 'Bé' })],
      await update({ avatarId: null }),
    ],
    [0, 0, 0, 0],
  )

  refusing = actor.userId
  changed = []
  told = []
  await assert.rejects(identity.call('me:update', { displayName: 'Never' }, actor))
  assert.deepEqual([changed.length, told.length], [1, 0])
  assert.equal((await identity.call<Me>('me:get', {}, actor)).displayName, 'Bé', 'a subscriber can roll it back')
})

test('where username and email are both taken, both are named', async () => {
  await identity.register('cleo')
  await identity.register('dora')
  const conflict =
    (...paths: string[]) =>
    (error: AppError) => {
      assert.equal(error.code, 'conflict')
      assert.deepEqual(
        error.errors?.map(({ path }) => path),
        paths,
      )
      return true
    }
  await assert.rejects(identity.register('CLEO', { email: 'Dora@example.org' }), conflict('username', 'email'))
  await assert.rejects(identity.register('cleo', { email: 'new@example.org' }), conflict('username'))
  await assert.rejects(identity.register('new', { email: 'cleo@example.org' }), conflict('email'))
})

const days = (userId: string) =>
  identity.database.query(sql<{ day: string; count: number }>`
    select to_char(day, 'YYYY-MM-DD') as day, count(*)::int as count from user_activity
    where user_id = ${userId} group by day order by day`)
const today = async () =>
  (
    await identity.database.query(sql<{ day: string }>`select to_char(now() at time zone 'utc', 'YYYY-MM-DD') as day`)
  )[0]?.day ?? ''
const secondsSinceSeen = async (userId: string) =>
  (
    await identity.database.query(sql<{ seconds: number | null }>`
      select extract(epoch from now() - last_seen_at)::float8 as seconds from users where id = ${userId}`)
  )[0]?.seconds ?? Infinity
/** Makes it so long ago that the user was seen. */
const forget = async (userId: string, ago: string) => {
  await identity.database.query(sql`delete from user_activity where user_id = ${userId}`)
  await identity.database.query(sql`
    update users set last_seen_at = now() - ${ago}::interval where id = ${userId}`)
}

test('whoever registers, logs in, refreshes or asks for something was here today', async () => {
  const session = await identity.register('finn')
  const userId = session.user.id
  const ways: Record<string, () => Promise<unknown>> = {
    register: async () => {},
    login: () => identity.call<Session>('auth:login', { username: 'finn', password }),
    refresh: () => identity.refresh(session.refreshToken),
    // the handshake of a socket and each REST request come through here
    authenticate: () => identity.authenticator.authenticate(session.accessToken),
    depart: () => identity.users.touchLastSeen(userId),
  }
  for (const [name, come] of Object.entries(ways)) {
    if (name !== 'register') await forget(userId, '2 days')
    await come()
    assert.deepEqual(await days(userId), [{ day: await today(), count: 1 }], name)
    assert.ok((await secondsSinceSeen(userId)) < 60, name)
  }
})

test('someone who goes on asking is noted every five minutes, and when a new day has begun', async () => {
  const session = await identity.register('gina')
  const userId = session.user.id
  const ask = () => identity.authenticator.authenticate(session.accessToken)
  await identity.database.query(sql`update users set last_seen_at = now() - interval '4 minutes' where id = ${userId}`)
  const [row] = await identity.database.query(sql<{ same: boolean }>`
    select ((now() - interval '4 minutes') at time zone 'utc')::date = (now() at time zone 'utc')::date as same`)
  await ask()
  assert.equal((await secondsSinceSeen(userId)) > 200, row?.same, 'not yet, but for the first minutes of a day')
  await identity.database.query(sql`update users set last_seen_at = now() - interval '6 minutes' where id = ${userId}`)
  await ask()
  assert.ok((await secondsSinceSeen(userId)) < 60)
  assert.equal((await days(userId)).length, 1)
})

test('that a user is here cannot be noted: the user is let in all the same', async () => {
  const session = await identity.register('hans')
  await forget(session.user.id, '2 days')
  await identity.database.query(sql`alter table user_activity rename to hidden`)
  try {
    const { actor } = await identity.authenticator.authenticate(session.accessToken)
    assert.equal(actor.userId, session.user.id)
    assert.ok(identity.logged.some((line) => line.includes('it was not noted that a user is here')))
  } finally {
    await identity.database.query(sql`alter table hidden rename to user_activity`)
  }
})

test('neither a banned nor a deleted user is noted as seen', async () => {
  const banned = await identity.register('ida')
  await forget(banned.user.id, '2 days')
  await identity.ban(banned.user.id)
  await assert.rejects(identity.authenticator.authenticate(banned.accessToken), withCode('banned'))
  const gone = await identity.register('jon')
  await forget(gone.user.id, '2 days')
  await identity.remove(gone.user.id)
  await identity.users.touchLastSeen(gone.user.id)
  for (const { user } of [banned, gone]) {
    assert.deepEqual(await days(user.id), [])
    assert.ok((await secondsSinceSeen(user.id)) > 3600)
  }
})
