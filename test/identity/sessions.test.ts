import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql } from 'kysely'
import type { Session, Tokens } from '../../src/identity/identity.contract.ts'
import type { Actor } from '../../src/kernel/operation.ts'
import { password, startIdentity, type TestIdentity, withCode } from '../support/identity.ts'

let identity: TestIdentity
before(async () => {
  identity = await startIdentity()
})
after(() => identity.close())

const afterGrace = 11
const days = 24 * 3600

const login = (username: string) => identity.call<Session>('auth:login', { username, password })

const rowsOf = ({ sessionId }: Actor) =>
  identity.database.query(sql<{ revoked: boolean; device: unknown }>`
    select revoked_at is not null as revoked, device from refresh_tokens where family_id = ${sessionId}`)

async function assertEnded({ accessToken, refreshToken }: Tokens) {
  await assert.rejects(identity.authenticator.authenticate(accessToken), withCode('unauthenticated'))
  await assert.rejects(identity.refresh(refreshToken), withCode('unauthenticated'))
}

test('a refresh token is traded for new tokens of the same login', async () => {
  const first = await identity.register('trader')
  const second = await identity.refresh(first.refreshToken)
  const third = await identity.refresh(second.refreshToken)
  assert.equal(new Set([first.refreshToken, second.refreshToken, third.refreshToken]).size, 3)
  assert.equal(third.expiresIn, 900)
  assert.deepEqual(await identity.actorOf(third), await identity.actorOf(first))
})

test('the database knows a refresh token by its SHA-256 alone, with the device that it was given to', async () => {
  const session = await identity.register('hashed')
  assert.equal(Buffer.from(session.refreshToken!, 'base64url').length, 32)
  const rows = await identity.database.query(sql<{ row: string; known: boolean; device: unknown }>`
    select t::text as row, token_hash = sha256(convert_to(${session.refreshToken!}, 'UTF8')) as known, device
    from refresh_tokens t where user_id = ${session.user.id}`)
  assert.equal(rows.length, 1)
  assert.equal(rows[0]?.known, true)
  assert.ok(!rows[0]?.row.includes(session.refreshToken!))
  assert.deepEqual(rows[0]?.device, { userAgent: 'test', ip: '192.0.2.1' })
})

test('a token used again after its trade ends the login and its sockets, whoever holds the newer one', async () => {
  const first = await identity.register('robbed')
  const other = await login('robbed')
  const second = await identity.refresh(first.refreshToken)
  await identity.age(afterGrace)
  const { sessionId } = await identity.actorOf(first)
  const heard = identity.closedSessions.length

  await assert.rejects(identity.refresh(first.refreshToken), withCode('unauthenticated'))

  assert.deepEqual(identity.closedSessions.slice(heard), [sessionId])
  await assertEnded(first)
  await assertEnded(second)
  await identity.actorOf(other)
  assert.deepEqual(identity.closedSessions.slice(heard), [sessionId], 'an ended login is not ended again')
  const log = identity.logged.join('')
  assert.ok(log.includes(sessionId))
  for (const secret of [first.refreshToken!, second.refreshToken!, 'robbed@example.org']) {
    assert.ok(!log.includes(secret))
  }
})

test('twenty tabs that refresh at once all go on in one login', async () => {
  const session = await identity.register('tabs')
  const actor = await identity.actorOf(session)
  const heard = identity.closedSessions.length
  const all = await Promise.all(Array.from({ length: 20 }, () => identity.refresh(session.refreshToken)))
  assert.equal(new Set(all.map(({ refreshToken }) => refreshToken)).size, 20)
  for (const tokens of all) assert.deepEqual(await identity.actorOf(tokens), actor)
  const next = await Promise.all(all.map(({ refreshToken }) => identity.refresh(refreshToken)))
  for (const tokens of next) assert.deepEqual(await identity.actorOf(tokens), actor)
  assert.equal((await rowsOf(actor)).filter(({ revoked }) => revoked).length, 0)
  assert.equal(identity.closedSessions.length, heard)
})

test('the grace counts from the first trade, however often the token is used in it', async () => {
  const session = await identity.register('insistent')
  await identity.refresh(session.refreshToken)
  await identity.age(afterGrace / 2)
  await identity.refresh(session.refreshToken)
  await identity.age(afterGrace / 2)
  await assert.rejects(identity.refresh(session.refreshToken), withCode('unauthenticated'))
  await assertEnded(session)
})

test('a logout during refreshes leaves no token of the login behind', async () => {
  for (let round = 0; round < 5; round++) {
    const session = round === 0 ? await identity.register('racer') : await login('racer')
    const actor = await identity.actorOf(session)
    const refreshes = Array.from({ length: 8 }, () => identity.refresh(session.refreshToken))
    const results = await Promise.allSettled([
      ...refreshes.slice(0, 4),
      identity.call('auth:logout', {}, actor),
      ...refreshes.slice(4),
    ])
    for (const result of results)
      if (result.status === 'rejected') assert.ok(withCode('unauthenticated')(result.reason))
    assert.deepEqual(
      (await rowsOf(actor)).filter(({ revoked }) => !revoked),
      [],
    )
  }
})

test('logging out ends this login and its sockets, and no other', async () => {
  const here = await identity.register('leaving')
  const there = await login('leaving')
  const actor = await identity.actorOf(here)
  const heard = identity.closedSessions.length
  await identity.call('auth:logout', {}, actor)
  await assertEnded(here)
  await identity.actorOf(await identity.refresh(there.refreshToken))
  assert.deepEqual(identity.closedSessions.slice(heard), [actor.sessionId])
})

test('logging out everywhere ends every login of the user, and of nobody else', async () => {
  const mine = [await identity.register('everywhere'), await login('everywhere'), await login('everywhere')]
  const other = await identity.register('bystander')
  const actors = await Promise.all(mine.map(identity.actorOf))
  const heard = identity.closedSessions.length
  await identity.call('auth:logout-all', {}, actors[0]!)
  for (const session of mine) await assertEnded(session)
  await identity.actorOf(other)
  assert.deepEqual(identity.closedSessions.slice(heard).sort(), actors.map(({ sessionId }) => sessionId).sort())
})

test('a login that is not refreshed for seven days ends', async () => {
  const session = await identity.register('absent')
  await identity.age(7 * days - 60)
  const refreshed = await identity.refresh(session.refreshToken)
  await identity.age(6 * days)
  await identity.actorOf(refreshed)
  await identity.age(1 * days)
  await assertEnded(refreshed)
})

test('expired tokens go when their user logs in', async () => {
  const session = await identity.register('tidy')
  const old = await identity.actorOf(session)
  await identity.age(8 * days)
  assert.equal((await rowsOf(old)).length, 1)
  await login('tidy')
  assert.equal((await rowsOf(old)).length, 0)
})

test('what is no refresh token is refused, and says what is missing where there is none', async () => {
  const { accessToken } = await identity.register('confused')
  for (const wrong of ['x', accessToken.slice(0, 200), `' or true --`]) {
    await assert.rejects(identity.refresh(wrong), withCode('unauthenticated'))
  }
  await assert.rejects(identity.refresh(undefined), withCode('invalid_request'))
})

test('a banned user cannot refresh, a deleted one has no login', async () => {
  const bad = await identity.register('banned-one')
  await identity.ban(bad.user.id)
  await assert.rejects(identity.refresh(bad.refreshToken), withCode('banned'))
  const gone = await identity.register('deleted-one')
  await identity.remove(gone.user.id)
  await assert.rejects(identity.refresh(gone.refreshToken), withCode('unauthenticated'))
})

test('only logins that go on count as live', async () => {
  const [on, out, bad, gone] = [
    await identity.register('live-on'),
    await identity.register('live-out'),
    await identity.register('live-bad'),
    await identity.register('live-gone'),
  ]
  const actors = await Promise.all([on, out, bad, gone].map(identity.actorOf))
  await identity.refresh(on.refreshToken)
  await identity.call('auth:logout', {}, actors[1]!)
  await identity.ban(bad.user.id)
  await identity.remove(gone.user.id)
  const ids = [...actors.map(({ sessionId }) => sessionId), on.user.id]
  assert.deepEqual(await identity.authenticator.liveSessions(ids), new Set([actors[0]!.sessionId]))
  assert.deepEqual(await identity.authenticator.liveSessions([]), new Set())
})
