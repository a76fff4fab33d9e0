import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql } from 'kysely'
import type { Me, Session } from '../../src/identity/identity.contract.ts'
import { password, startIdentity, type TestIdentity, withCode } from '../support/identity.ts'

let identity: TestIdentity
before(async () => {
  identity = await startIdentity()
})
after(() => identity.close())

const login = (input: object) => identity.call<Session>('auth:login', input)

const conflictOn = (path: string) => (error: unknown) => {
  const { code, errors } = error as { code: string; errors: { path: string }[] }
  assert.equal(code, 'conflict')
  assert.deepEqual(
    errors.map((field) => field.path),
    [path],
  )
  return true
}

test('registering gives the account and a login that works at once', async () => {
  const session = await identity.call<Session>('auth:register', {
    email: 'Ada.Lovelace@Example.org',
    username: 'Ada',
    password,
    displayName: 'Ada Lovelace',
    locale: 'en-GB',
    referralCode: 'FRIEND',
  })
  const { id, createdAt, ...rest } = session.user
  assert.deepEqual(rest, {
    kind: 'human',
    username: 'Ada',
    displayName: 'Ada Lovelace',
    email: 'ada.lovelace@example.org',
    emailVerified: false,
    locale: 'en-GB',
    role: 'user',
  })
  assert.ok(Math.abs(Date.now() - Date.parse(createdAt)) < 60_000)
  assert.equal(session.expiresIn, 900)
  const actor = await identity.actorOf(session)
  assert.equal(actor.userId, id)
  assert.deepEqual(await identity.call<Me>('me:get', {}, actor), session.user)
  const [row] = await identity.database.query(
    sql<{ code: string }>`select referral_code_used as code from users where id = ${id}`,
  )
  assert.equal(row?.code, 'FRIEND')
})

test('without a display name and a locale, the username and English serve', async () => {
  const { user } = await identity.register('plain')
  assert.equal(user.displayName, 'plain')
  assert.equal(user.locale, 'en')
})

test('a password is stored as an argon2id hash of what was typed', async () => {
  const typed = '  Pässwörd 漢字 🗝️ '
  const { user } = await identity.register('typist', { password: typed })
  const [row] = await identity.database.query(
    sql<{ hash: string }>`select password_hash as hash from users where id = ${user.id}`,
  )
  assert.match(row!.hash, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
  await login({ username: 'typist', password: typed })
  await assert.rejects(login({ username: 'typist', password: typed.trim() }), withCode('unauthenticated'))
})

test('a username or an email that is taken in any letter case is a conflict on that field, and leaves nothing', async () => {
  await identity.register('taken')
  const count = async () =>
    (
      await identity.database.query(sql<{ n: number }>`
      select (select count(*) from users)::int + (select count(*) from refresh_tokens)::int as n`)
    )[0]?.n
  const before = await count()
  await assert.rejects(identity.register('TaKeN', { email: 'other@example.org' }), conflictOn('username'))
  await assert.rejects(identity.register('other', { email: 'TAKEN@Example.ORG' }), conflictOn('email'))
  assert.equal(await count(), before)
})

test('of twenty who register one name at once, one gets it', async () => {
  const tries = Array.from({ length: 20 }, (_, n) => identity.register('Popular', { email: `p${n}@example.org` }))
  const results = await Promise.allSettled(tries)
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
  for (const result of results) if (result.status === 'rejected') conflictOn('username')(result.reason)
})

test('one logs in by email or username in any letter case', async () => {
  const { user } = await identity.register('Grace')
  for (const name of [{ email: 'GRACE@example.org' }, { username: 'gRACE' }]) {
    const session = await login({ ...name, password })
    assert.deepEqual(session.user, user)
    assert.equal((await identity.actorOf(session)).userId, user.id)
  }
})

test('every login is a session of its own', async () => {
  const first = await identity.register('twice')
  const second = await login({ username: 'twice', password })
  const [a, b] = [await identity.actorOf(first), await identity.actorOf(second)]
  assert.notEqual(a.sessionId, b.sessionId)
})

test('an unknown account, a deleted one, one without password and a wrong password answer alike', async () => {
  await identity.register('known')
  await identity.remove((await identity.register('gone')).user.id)
  const { user } = await identity.register('elsewhere')
  await identity.database.query(sql`update users set password_hash = null where id = ${user.id}`)

  const wrong = { known: 'wrong password', nobody: password, gone: password, elsewhere: password }
  const answers = new Set<string>()
  for (const [name, typed] of Object.entries(wrong)) {
    for (const by of [{ username: name }, { email: `${name}@example.org` }]) {
      const error = await login({ ...by, password: typed }).then(
        () => undefined,
        (reason: unknown) => reason,
      )
      const { code, message, details, errors } = error as Record<string, unknown>
      answers.add(JSON.stringify({ code, message, details, errors }))
    }
  }
  assert.equal(answers.size, 1)
  assert.match([...answers].join(), /"unauthenticated"/)
})

test('an unknown account costs the same work as a wrong password', async () => {
  await identity.register('timed')
  /** The least processor time of some logins: the work itself, whatever else the machine does meanwhile. */
  const work = async (username: string) => {
    let least = Infinity
    for (let round = 0; round < 5; round++) {
      const start = process.cpuUsage()
      await assert.rejects(login({ username, password: 'wrong password' }))
      least = Math.min(least, process.cpuUsage(start).user)
    }
    return least
  }
  await work('timed')
  const [known, unknown] = [await work('timed'), await work('nobody-at-all')]
  // without the hash of nobody the second is a tenth of the first
  assert.ok(unknown > known / 3, `known ${known} µs, unknown ${unknown} µs`)
})

test('a banned user hears so after the right password only', async () => {
  const { user } = await identity.register('rowdy')
  await identity.ban(user.id)
  await assert.rejects(login({ username: 'rowdy', password }), withCode('banned'))
  await assert.rejects(login({ username: 'rowdy', password: 'wrong password' }), withCode('unauthenticated'))
})

test('SQL in names and passwords is text', async () => {
  const injected = `' or 1=1 --`
  await assert.rejects(login({ username: injected, password: injected }), withCode('unauthenticated'))
  await assert.rejects(login({ email: `%`, password }), withCode('unauthenticated'))
})

test('one changes display name, username and locale, each without the others', async () => {
  const session = await identity.register('before')
  const actor = await identity.actorOf(session)
  const update = (input: object) => identity.call<Me>('me:update', input, actor)
  assert.deepEqual(await update({ displayName: '新しい' }), { ...session.user, displayName: '新しい' })
  assert.deepEqual(await update({ username: 'after', locale: 'ja' }), {
    ...session.user,
    displayName: '新しい',
    username: 'after',
    locale: 'ja',
  })
  assert.equal((await update({ username: 'After' })).username, 'After')
})

test("nobody takes another's username", async () => {
  await identity.register('owner')
  const actor = await identity.actorOf(await identity.register('thief'))
  await assert.rejects(identity.call('me:update', { username: 'OWNER' }, actor), conflictOn('username'))
  assert.equal((await identity.call<Me>('me:get', {}, actor)).username, 'thief')
})

test('an account that is deleted is not found any more', async () => {
  const session = await identity.register('leaver')
  const actor = await identity.actorOf(session)
  await identity.remove(actor.userId)
  await assert.rejects(identity.call('me:get', {}, actor), withCode('not_found'))
  await assert.rejects(identity.call('me:update', { locale: 'fr' }, actor), withCode('not_found'))
})
