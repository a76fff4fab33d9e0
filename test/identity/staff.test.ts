import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { sql } from 'kysely'
import type { Session, User } from '../../src/identity/identity.contract.ts'
import type { StaffUser } from '../../src/identity/staff.contract.ts'
import { assertMayBan, assertMaySetRole } from '../../src/identity/staff.policy.ts'
import { encodeCursor } from '../../src/kernel/cursors.ts'
import type { AppError } from '../../src/kernel/errors.ts'
import { newId } from '../../src/kernel/ids.ts'
import type { Actor } from '../../src/kernel/operation.ts'
import { type Role, roles } from '../../src/kernel/roles.ts'
import { eventually, startScene } from '../faults/scene.ts'
import { api } from '../messenger/scene.ts'
import { password, startIdentity, type TestIdentity, withCode } from '../support/identity.ts'
import { connect, join, type Person } from '../support/people.ts'
import { withoutServices } from '../support/services.ts'

describe('the policy', () => {
  const may = (rule: () => void): boolean => {
    try {
      rule()
      return true
    } catch (error) {
      assert.equal((error as AppError).code, 'forbidden')
      return false
    }
  }
  const below = (role: Role) => roles.slice(0, roles.indexOf(role))
  const allowed = (rule: (actor: { id: string; role: Role }, target: { id: string; role: Role }) => void) =>
    Object.fromEntries(
      roles.map((role) => [
        role,
        roles.filter((other) => may(() => rule({ id: 'actor', role }, { id: 'target', role: other }))),
      ]),
    )

  test('from moderator up one bans who stands below', () => {
    assert.deepEqual(allowed(assertMayBan), {
      ...{ user: [], viewer: [], operator: [] },
      ...{ moderator: below('moderator'), admin: below('admin'), super_admin: below('super_admin') },
    })
  })

  test('an admin gives and takes roles below their own, a super_admin all', () => {
    for (const role of roles) {
      const given = allowed((actor, target) => assertMaySetRole(actor, target, role))
      assert.deepEqual(given, {
        ...{ user: [], viewer: [], operator: [], moderator: [] },
        admin: below('admin').includes(role) ? below('admin') : [],
        super_admin: roles,
      })
    }
  })

  test('nobody acts on themselves', () => {
    for (const role of roles) {
      const self = { id: 'self', role }
      assert.ok(!may(() => assertMayBan(self, { id: 'self', role: 'user' })), role)
      assert.ok(!may(() => assertMaySetRole(self, { id: 'self', role: 'user' }, 'user')), role)
    }
  })
})

describe('staff', () => {
  let identity: TestIdentity
  const sessions = new Map<string, Session>()
  const actors = new Map<string, Actor>()

  before(async () => {
    identity = await startIdentity()
    for (const role of roles) await enrol(role, role)
  })
  after(() => identity.close())

  async function enrol(username: string, role: Role = 'user'): Promise<Actor> {
    const session = await identity.register(username)
    await identity.database.query(sql`update users set role = ${role} where id = ${session.user.id}`)
    const actor = await identity.actorOf(session)
    sessions.set(username, session)
    actors.set(username, actor)
    return actor
  }
  const actor = (name: string): Actor => actors.get(name) as Actor
  const ban = (by: string | Actor, userId: string, reason = 'Insults after a warning') =>
    identity.call<StaffUser>('staff:ban', { userId, reason }, typeof by === 'string' ? actor(by) : by)
  const unban = (by: string, userId: string) => identity.call<StaffUser>('staff:unban', { userId }, actor(by))
  const setRole = (by: string | Actor, userId: string, role: Role) =>
    identity.call<StaffUser>('staff:set-role', { userId, role }, typeof by === 'string' ? actor(by) : by)
  const list = (input: object) =>
    identity.call<{ items: StaffUser[]; nextCursor?: string }>('staff:users', input, actor('moderator'))
  const timesClosed = (userId: string) => identity.closedUsers.filter((id) => id === userId).length
  const login = (username: string) => identity.call<Session>('auth:login', { username, password })
  const bannedFor = (reason: string) => (error: AppError) => {
    assert.deepEqual([error.code, error.details], ['banned', { reason }])
    return true
  }

  test('see of an account what others do not', async () => {
    const { userId } = await enrol('seen')
    const shown = await identity.call<StaffUser>('staff:user', { userId }, actor('moderator'))
    const { createdAt, lastSeenAt, ...rest } = shown
    assert.deepEqual(rest, {
      ...{ id: userId, kind: 'human', username: 'seen', displayName: 'seen', email: 'seen@example.org' },
      ...{ emailVerified: false, role: 'user' },
    })
    for (const time of [createdAt, lastSeenAt]) assert.ok(Math.abs(Date.now() - Date.parse(time ?? '')) < 60_000)
    await identity.remove(userId)
    const gone = await identity.call<StaffUser>('staff:user', { userId }, actor('moderator'))
    assert.ok(Math.abs(Date.now() - Date.parse(gone.deletedAt ?? '')) < 60_000, 'a deleted one too')
    await assert.rejects(identity.call('staff:user', { userId: newId() }, actor('moderator')), withCode('not_found'))
  })

  test('find accounts by the beginning of a name or a whole address, also banned and deleted ones', async () => {
    await identity.register('Find.Me', { displayName: 'Kim Minji', email: 'kim_100@example.org' })
    await ban('moderator', (await enrol('find_banned')).userId)
    await identity.remove((await enrol('find-gone')).userId)
    const found = async (query: string) => (await list({ query })).items.map(({ username }) => username)
    assert.deepEqual(await found('FIND'), ['find-gone', 'Find.Me', 'find_banned'])
    assert.deepEqual(await found('find_'), ['find_banned'], 'a metacharacter stands for itself')
    assert.deepEqual(await found('kim'), ['Find.Me'])
    assert.deepEqual(await found('KIM_100@example.org'), ['Find.Me'])
    assert.deepEqual(await found('kim_100@'), [])
    assert.deepEqual(await found('%'), [])
    assert.deepEqual(await found("' or true --"), [])
  })

  test('page through all accounts without a gap or a repeat', async () => {
    const names: string[] = []
    let cursor: string | undefined
    do {
      const page = await list({ limit: 3, ...(cursor && { cursor }) })
      assert.ok(page.items.length <= 3)
      names.push(...page.items.map(({ username }) => username))
      cursor = page.nextCursor
    } while (cursor)
    const all = await identity.database.query(sql<{ username: string }>`
      select username from users order by lower(username) using ~<~`)
    assert.deepEqual(
      names,
      all.map(({ username }) => username),
    )
    for (const bad of ['x', encodeCursor([]), encodeCursor(['a', 'b']), encodeCursor([7]), encodeCursor(['a\0'])])
      await assert.rejects(list({ cursor: bad }), withCode('invalid_request'), bad)
  })

  test('ban: logins end, sockets are closed, and the reason is given wherever one knocks', async () => {
    const { userId } = await enrol('rowdy')
    const { accessToken, refreshToken } = sessions.get('rowdy') as Session
    const shown = await ban('moderator', userId, 'Insults')
    assert.ok(Math.abs(Date.now() - Date.parse(shown.bannedAt ?? '')) < 60_000)
    assert.equal(shown.banReason, 'Insults')
    assert.equal(timesClosed(userId), 1)
    const live = await identity.database.query(sql`
      select from refresh_tokens where user_id = ${userId} and revoked_at is null`)
    assert.equal(live.length, 0)
    await assert.rejects(identity.authenticator.authenticate(accessToken), bannedFor('Insults'))
    await assert.rejects(identity.refresh(refreshToken), bannedFor('Insults'))
    await assert.rejects(login('rowdy'), bannedFor('Insults'))
    const { items } = await identity.call<{ items: User[] }>('user:search', { query: 'rowdy' }, actor('viewer'))
    assert.deepEqual(items, [], 'others do not find them')
    const active = await identity.database.transact((em) =>
      identity.users.activeAmong(em, [userId], actor('viewer').userId),
    )
    assert.equal(active.size, 0, 'nor can they be added to anything new')
    await eventually('the sockets are closed once more', () => timesClosed(userId) === 2, 20_000)
  })

  test('ban again: the time of the first stays, the reason is the new one', async () => {
    const { userId } = await enrol('again')
    const first = await ban('moderator', userId, 'One')
    const second = await ban('admin', userId, 'Two')
    assert.deepEqual([second.bannedAt, second.banReason], [first.bannedAt, 'Two'])
    await assert.rejects(login('again'), bannedFor('Two'))
  })

  test('take a ban back: one can log in again, and what was ended stays ended', async () => {
    const { userId } = await enrol('forgiven')
    await ban('moderator', userId)
    const shown = await unban('moderator', userId)
    assert.deepEqual([shown.bannedAt, shown.banReason], [undefined, undefined])
    const { accessToken } = sessions.get('forgiven') as Session
    await assert.rejects(identity.authenticator.authenticate(accessToken), withCode('unauthenticated'))
    await login('forgiven')
    assert.equal((await unban('moderator', userId)).bannedAt, undefined, 'a repeat changes nothing')
    const [job] = await identity.database.query(sql<{ n: number }>`
      select count(*)::int as n from pgboss.job where name = 'user-banned' and data->>'userId' = ${userId}`)
    assert.equal(job?.n, 1)
    await eventually(
      'the job that closes sockets once more has been done',
      async () => {
        const [row] = await identity.database.query(sql<{ state: string }>`
          select state from pgboss.job where name = 'user-banned' and data->>'userId' = ${userId}`)
        return row?.state === 'completed'
      },
      20_000,
    )
    assert.equal(timesClosed(userId), 1, 'and has left alone who is not banned any more')
  })

  test('act only on those below them, on nobody who is gone, and never on themselves', async () => {
    const refused = async (work: Promise<unknown>, code = 'forbidden') => assert.rejects(work, withCode(code))
    const { userId } = await enrol('bystander')
    for (const role of ['user', 'viewer', 'operator']) await refused(ban(role, userId))
    await refused(ban('moderator', actor('moderator').userId))
    await refused(ban('moderator', actor('admin').userId))
    await refused(unban('moderator', actor('admin').userId))
    await refused(ban('super_admin', actor('super_admin').userId))
    await refused(setRole('super_admin', actor('super_admin').userId, 'user'))
    await refused(setRole('moderator', userId, 'viewer'))
    await refused(setRole('admin', userId, 'admin'))
    await refused(setRole('admin', actor('super_admin').userId, 'user'))
    await refused(ban('moderator', newId()), 'not_found')
    await refused(unban('moderator', newId()), 'not_found')
    await refused(setRole('admin', newId(), 'viewer'), 'not_found')
    await identity.remove(userId)
    await refused(ban('moderator', userId), 'not_found')
    await refused(setRole('admin', userId, 'viewer'), 'not_found')
    for (const name of ['admin', 'super_admin', 'moderator']) await login(name)
  })

  test('give and take roles, which hold from the next request on', async () => {
    const { userId } = await enrol('rising')
    const { accessToken } = sessions.get('rising') as Session
    const role = async () => (await identity.authenticator.authenticate(accessToken)).actor.role
    assert.equal((await setRole('admin', userId, 'moderator')).role, 'moderator')
    assert.equal(await role(), 'moderator')
    assert.equal((await setRole('super_admin', userId, 'super_admin')).role, 'super_admin')
    assert.equal((await setRole('super_admin', userId, 'admin')).role, 'admin', 'another super_admin is brought down')
    assert.equal((await setRole('super_admin', userId, 'user')).role, 'user')
    assert.equal(await role(), 'user')
  })

  test('agents get no role', async () => {
    const id = newId()
    await identity.database.query(sql`
      insert into users (id, kind, username, display_name) values (${id}, 'agent', 'robot', 'Robot')`)
    await assert.rejects(setRole('super_admin', id, 'viewer'), withCode('unprocessable'))
  })

  test('act by the role that they have now, not by the one of the request', async () => {
    const fallen = await enrol('fallen', 'admin')
    const { userId } = await enrol('target')
    await setRole('super_admin', fallen.userId, 'user')
    assert.equal(fallen.role, 'admin')
    await assert.rejects(ban(fallen, userId), withCode('forbidden'))
    await assert.rejects(setRole(fallen, userId, 'viewer'), withCode('forbidden'))
    const rowdy = await enrol('rowdy-staff', 'admin')
    await ban('super_admin', rowdy.userId)
    await assert.rejects(ban(rowdy, userId), withCode('forbidden'))
    const gone = await enrol('gone-staff', 'admin')
    await identity.remove(gone.userId)
    await assert.rejects(ban(gone, userId), withCode('forbidden'))
  })

  test('of two who bring each other down at once, one stays', async () => {
    for (let round = 0; round < 10; round++) {
      const [a, b] = [await enrol(`left-${round}`, 'super_admin'), await enrol(`right-${round}`, 'super_admin')]
      const results = await Promise.allSettled([setRole(a, b.userId, 'user'), setRole(b, a.userId, 'user')])
      assert.deepEqual(results.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
      for (const result of results) if (result.status === 'rejected') withCode('forbidden')(result.reason)
      const rows = await identity.database.query(sql<{ role: Role }>`
        select role from users where id in (${a.userId}, ${b.userId}) order by role`)
      assert.deepEqual(
        rows.map(({ role }) => role),
        ['super_admin', 'user'],
      )
    }
  })

  test('leave a line in the log, of ids alone', async () => {
    const { userId } = await enrol('logged')
    identity.logged.length = 0
    await ban('moderator', userId, 'A reason that is nobody else’s')
    await unban('moderator', userId)
    await setRole('admin', userId, 'viewer')
    const lines = identity.logged.filter((line) => line.includes(userId))
    assert.equal(lines.length, 3)
    assert.ok(lines.slice(0, 2).every((line) => line.includes(actor('moderator').userId)))
    assert.ok(lines[2]?.includes(actor('admin').userId))
    for (const line of lines) assert.doesNotMatch(line, /A reason|example\.org|"logged"/)
  })
})

test('staff on two nodes', { skip: withoutServices }, async (t) => {
  const { a, b, database } = await startScene(t, 2)
  const [mod, rowdy, other] = [await join(a, 'mod'), await join(a, 'rowdy'), await join(b, 'other')]
  const people: Person[] = [mod, rowdy, other]
  t.after(() => {
    for (const person of people) person.close()
  })
  const setRole = (person: Person, role: Role) =>
    database.database.query(sql`update users set role = ${role} where id = ${person.id}`)
  await setRole(mod, 'moderator')
  const [byMod, byOther] = [api(a, mod), api(b, other)]
  const routes: [string, string, object?][] = [
    ['GET', '/admin/users'],
    ['GET', `/admin/users/${rowdy.id}`],
    ['PATCH', `/admin/users/${rowdy.id}`, { role: 'viewer' }],
    ['POST', `/admin/users/${rowdy.id}/ban`, { reason: 'Insults' }],
    ['DELETE', `/admin/users/${rowdy.id}/ban`],
  ]

  await t.test('who is not of the staff is refused everywhere, and so is who is not logged in', async () => {
    for (const [method, path, body] of routes) {
      const { status, body: problem } = await byOther(method, path, body)
      assert.deepEqual([status, problem.code], [403, 'forbidden'], `${method} ${path}`)
      const anonymous = await fetch(`${a}/v1${path}`, { method })
      assert.equal(anonymous.status, 401, `${method} ${path}`)
    }
    assert.equal((await byMod('PATCH', `/admin/users/${rowdy.id}`, { role: 'viewer' })).status, 403, 'needs an admin')
  })

  await t.test('what is not valid is refused', async () => {
    const long = 'x'.repeat(501)
    for (const body of [
      {},
      { reason: '' },
      { reason: ' ' },
      { reason: long },
      { reason: 'a\0' },
      { reason: 'a', more: 1 },
    ])
      assert.equal((await byMod('POST', `/admin/users/${rowdy.id}/ban`, body)).status, 400, JSON.stringify(body))
    assert.equal((await byMod('GET', '/admin/users/nobody')).status, 400)
    assert.equal((await byMod('GET', '/admin/users?limit=101')).status, 400)
    const { body: found } = await byMod('GET', `/admin/users?query=${rowdy.username}`)
    assert.equal((found as { items?: unknown[] }).items?.length, 1)
    await setRole(mod, 'admin')
    assert.equal((await byMod('PATCH', `/admin/users/${rowdy.id}`, { role: 'root' })).status, 400)
    await setRole(mod, 'moderator')
  })

  await t.test('a ban is said and closes the sockets of both nodes within a second; nobody else hears', async () => {
    const elsewhere = await connect(b, rowdy.session)
    people.push(elsewhere)
    const closed = [rowdy, elsewhere].map(
      (person) => new Promise<number>((resolve) => person.socket.once('disconnect', () => resolve(performance.now()))),
    )
    const started = performance.now()
    const { status, body } = await byMod('POST', `/admin/users/${rowdy.id}/ban`, { reason: 'Insults' })
    assert.deepEqual([status, body.banReason], [200, 'Insults'])
    for (const at of await Promise.all(closed)) assert.ok(at - started < 1_000, `closed after ${at - started} ms`)
    for (const person of [rowdy, elsewhere]) {
      const told = person.heard.filter(({ event }) => event === 'notification')
      assert.deepEqual(
        told.map(({ payload }) => payload),
        [{ kind: 'banned', reason: 'Insults' }],
      )
    }
    for (const person of [mod, other])
      assert.ok(!person.heard.some(({ event }) => event === 'notification'), 'nobody else heard')
  })

  await t.test(
    'who is banned is given the reason at the handshake, by REST, at the refresh and at the login',
    async () => {
      for (const url of [a, b]) {
        const refusal = await connect(url, rowdy.session).then(
          () => assert.fail('the handshake was not refused'),
          (error: Error & { data?: unknown }) => error.data,
        )
        assert.deepEqual(refusal, {
          code: 'banned',
          message: 'This account is banned.',
          details: { reason: 'Insults' },
        })
        const { status, body } = await api(url, rowdy)('GET', '/me')
        assert.deepEqual([status, body.code, body.reason], [403, 'banned', 'Insults'])
        const inputs = {
          login: { username: rowdy.username, password: 'correct horse' },
          refresh: { refreshToken: rowdy.session.refreshToken },
        }
        for (const [what, input] of Object.entries(inputs)) {
          const headers = { 'content-type': 'application/json' }
          const answer = await fetch(`${url}/v1/auth/${what}`, { method: 'POST', headers, body: JSON.stringify(input) })
          const problem = (await answer.json()) as Record<string, unknown>
          assert.deepEqual([answer.status, problem.code, problem.reason], [403, 'banned', 'Insults'], what)
        }
      }
    },
  )
})
