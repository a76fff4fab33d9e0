import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { sql } from 'kysely'
import { pino } from 'pino'
import { createStore, type Store } from '../../src/client/index.ts'
import { type Connection, run } from '../../src/database/database.ts'
import type { Session } from '../../src/identity/identity.contract.ts'
import type { Actor } from '../../src/kernel/operation.ts'
import type { Jobs } from '../../src/kernel/ports.ts'
import { createDepartures } from '../../src/messenger/departures.ts'
import { createDissolution } from '../../src/messenger/dissolution.ts'
import { eventually, signIn } from '../faults/scene.ts'
import { api, cast, connect, nextEvent, openDirect, openGroup, type Person, refuses, send } from '../messenger/scene.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import { password, startIdentity, type TestIdentity, withCode } from '../support/identity.ts'

let identity: TestIdentity
let departures: ReturnType<typeof bareDepartures>
before(async () => {
  identity = await startIdentity()
  departures = bareDepartures()
})
after(() => identity.close())

const newcomer = async (name: string): Promise<Session & { actor: Actor }> => {
  const session = await identity.register(name)
  return { ...session, actor: await identity.actorOf(session) }
}

const remove = (actor: Actor, proof: string | undefined = password) =>
  identity.call('me:delete', { password: proof }, actor)

const setRole = (userId: string, role: string) =>
  identity.database.query(sql`update users set role = ${role} where id = ${userId}`)

interface Row {
  username: string
  display_name: string
  deleted_at: string | null
  text: string
}

const rowOf = async (userId: string): Promise<Row> => {
  const [row] = await identity.database.query(sql<Row>`select u.*, u::text as text from users u where id = ${userId}`)
  return row!
}

const liveTokens = async (userId: string): Promise<number> => {
  const [row] = await identity.database.query(sql<{ count: number }>`
    select count(*)::int as count from refresh_tokens where user_id = ${userId} and revoked_at is null`)
  return row!.count
}

describe('deleting an account', () => {
  test('leaves a row that says nothing of the person, and nothing that was the person’s alone', async () => {
    const { user, actor } = await newcomer('private-person')
    const { database } = identity
    await database.query(sql`update users set display_name = 'Private Name', email_verified_at = now(), locale = 'ko',
      avatar_id = ${randomUUID()}, permissions = '["reports"]', referral_code_used = 'FRIEND', mock_mode_enabled = true,
      stripe_customer_id = ${`cus_${user.id}`}, last_seen_at = now() where id = ${user.id}`)
    await database.query(sql`insert into user_identities (provider, provider_user_id, user_id, profile)
      values ('google', ${user.id}, ${user.id}, '{}')`)
    await database.query(sql`insert into one_time_codes (id, user_id, purpose, code_hash, new_email, expires_at)
      values (${randomUUID()}, ${user.id}, 'change_email', '\\x00', 'new@example.org', now())`)
    await database.query(sql`insert into user_preferences (user_id) values (${user.id}) on conflict do nothing`)
    await database.query(sql`insert into user_activity (user_id, day) values (${user.id}, '2026-01-01')`)
    const exportId = randomUUID()
    await database.query(sql`insert into data_exports (id, user_id) values (${exportId}, ${user.id})`)
    await database.query(sql`insert into data_export_parts values (${exportId}, 0, '\\x00')`)

    await remove(actor)

    const row = await rowOf(user.id)
    assert.equal(row.username, `deleted_${user.id.slice(-12)}`)
    assert.equal(row.display_name, 'Deleted user')
    assert.ok(row.deleted_at)
    const { text, ...columns } = row as unknown as Record<string, unknown> & { text: string }
    for (const trace of ['rivate', 'example.org', 'argon2', 'FRIEND', 'cus_', 'reports', 'ko'])
      assert.ok(!text.includes(trace), `${trace} in ${text}`)
    for (const column of [
      'email',
      'password_hash',
      'avatar_id',
      'stripe_customer_id',
      'last_seen_at',
      'email_verified_at',
    ])
      assert.equal(columns[column], null, column)
    assert.deepEqual([columns['role'], columns['permissions'], columns['mock_mode_enabled']], ['user', [], false])
    for (const table of [
      'user_identities',
      'one_time_codes',
      'user_preferences',
      'user_activity',
      'refresh_tokens',
      'data_exports',
    ]) {
      const rows = await database.query(sql`select from ${sql.table(table)} where user_id = ${user.id}`)
      assert.equal(rows.length, 0, table)
    }
    assert.equal((await database.query(sql`select from data_export_parts where export_id = ${exportId}`)).length, 0)
  })

  test('ends every login at once, and its name and address are free', async () => {
    const { user, actor, ...session } = await newcomer('leaver')
    const other = await identity.call<Session>('auth:login', { username: 'leaver', password })
    const closed = identity.closedUsers.length
    await remove(actor)
    for (const { accessToken, refreshToken } of [session, other]) {
      await assert.rejects(identity.authenticator.authenticate(accessToken), withCode('unauthenticated'))
      await assert.rejects(identity.refresh(refreshToken), withCode('unauthenticated'))
    }
    assert.deepEqual(await identity.authenticator.liveSessions([actor.sessionId]), new Set())
    assert.ok(identity.closedUsers.slice(closed).includes(user.id))
    for (const name of [
      { username: 'leaver' },
      { email: 'leaver@example.org' },
      { username: (await rowOf(user.id)).username },
    ])
      await assert.rejects(identity.call('auth:login', { ...name, password }), withCode('unauthenticated'))

    const next = await newcomer('leaver')
    assert.notEqual(next.user.id, user.id)
    assert.equal(
      (await identity.call<Session>('auth:login', { email: 'leaver@example.org', password })).user.id,
      next.user.id,
    )
  })

  test('hides the person from those who look for them', async () => {
    const { user, actor } = await newcomer('findable')
    const looker = (await newcomer('looker')).actor
    const find = async (query: string) =>
      (await identity.call<{ items: { id: string }[] }>('user:search', { query }, looker)).items.map(({ id }) => id)
    assert.deepEqual(await find('findable'), [user.id])
    await remove(actor)
    for (const query of ['findable', 'deleted', 'Deleted user'])
      assert.ok(!(await find(query)).includes(user.id), query)
    await assert.rejects(identity.call('user:get', { userId: user.id }, looker), withCode('not_found'))
    await identity.database.transact(async (em) =>
      assert.deepEqual(
        await identity.users.activeAmong(em, [user.id, looker.userId], looker.userId),
        new Set([looker.userId]),
      ),
    )
  })

  test('takes the password, and without one a fresh login', async () => {
    const { user, actor, accessToken } = await newcomer('careful')
    for (const wrong of ['', 'wrong horse battery', `${password} `])
      await assert.rejects(remove(actor, wrong), withCode('unauthenticated'))
    await assert.rejects(identity.call('me:delete', {}, actor), withCode('unauthenticated'))
    await identity.authenticator.authenticate(accessToken)
    assert.equal((await rowOf(user.id)).username, 'careful')

    await identity.database.query(sql`update users set password_hash = null where id = ${user.id}`)
    await identity.database.query(
      sql`update refresh_tokens set logged_in_at = now() - interval '11 minutes' where user_id = ${user.id}`,
    )
    await assert.rejects(identity.call('me:delete', {}, actor), withCode('unauthenticated'))
    assert.equal((await rowOf(user.id)).deleted_at, null)
    await identity.database.query(
      sql`update refresh_tokens set logged_in_at = now() - interval '9 minutes' where user_id = ${user.id}`,
    )
    await identity.call('me:delete', {}, actor)
    assert.ok((await rowOf(user.id)).deleted_at)
  })

  test('works also where somebody has taken the name that it gives', async () => {
    const { user, actor } = await newcomer('squatted')
    const name = `deleted_${user.id.slice(-12)}`
    await newcomer(name.toUpperCase())
    await remove(actor)
    const { username } = await rowOf(user.id)
    assert.match(username, /^deleted_[0-9a-f]{12}$/)
    assert.notEqual(username, name)
  })

  test('lets the other features take part in its transaction, while the row still says who it was', async () => {
    const { user, actor, accessToken } = await newcomer('announced')
    const seen: unknown[] = []
    let isRefused = true
    identity.events.on('user.deleting', async (em, { userId }) => {
      if (userId !== user.id) return undefined
      seen.push((await run(em, sql<Row>`select username from users where id = ${userId}`))[0]?.username)
      if (isRefused) throw new Error('A feature cannot let the user go.')
      return () => void seen.push('committed')
    })
    await assert.rejects(remove(actor), /cannot let the user go/)
    assert.equal((await rowOf(user.id)).username, 'announced')
    await identity.authenticator.authenticate(accessToken)
    isRefused = false
    await remove(actor)
    assert.deepEqual(seen, ['announced', 'announced', 'committed'])
  })

  test('is done once, however often it is asked for at the same moment', async () => {
    const { user, actor } = await newcomer('hasty')
    const told = departures.queued.length
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => remove(actor)))
    assert.ok(results.some(({ status }) => status === 'fulfilled'))
    for (const result of results)
      if (result.status === 'rejected') assert.ok(withCode('unauthenticated')(result.reason), String(result.reason))
    assert.equal((await rowOf(user.id)).username, `deleted_${user.id.slice(-12)}`)
    assert.equal(departures.queued.slice(told).filter(({ startAfterSeconds }) => !startAfterSeconds).length, 1)
    await assert.rejects(remove(actor), withCode('unauthenticated'))
  })

  test('leaves no token behind, also while the user refreshes and logs in', async () => {
    for (let round = 0; round < 5; round++) {
      const { user, actor, refreshToken } = await newcomer(`busy-${round}`)
      const results = await Promise.allSettled([
        ...Array.from({ length: 4 }, () => identity.refresh(refreshToken)),
        identity.call('auth:login', { username: user.username, password }),
        remove(actor),
        ...Array.from({ length: 4 }, () => identity.refresh(refreshToken)),
        identity.call('auth:login', { username: user.username, password }),
      ])
      for (const result of results)
        if (result.status === 'rejected') assert.ok(withCode('unauthenticated')(result.reason), String(result.reason))
      assert.equal(results[5]?.status, 'fulfilled')
      assert.equal(await liveTokens(user.id), 0)
    }
  })

  test('tells the nodes once more that the sockets are to be closed, by a job', async () => {
    const { user, actor } = await newcomer('twice')
    await remove(actor)
    const times = () => identity.closedUsers.filter((id) => id === user.id).length
    assert.equal(times(), 1)
    const { database } = identity
    await database.query(sql`delete from pgboss.job where name = 'account-deleted' and data ->> 'userId' <> ${user.id}`)
    await database.query(sql`update pgboss.job set start_after = now() where name = 'account-deleted'`)
    await eventually('they are told again', () => times() === 2)
  })
})

describe('of the super admins', () => {
  test('the last one stays', async () => {
    const [root, second] = [await newcomer('root'), await newcomer('second-root')]
    await setRole(root.user.id, 'super_admin')
    await assert.rejects(remove(root.actor), withCode('unprocessable'))
    await identity.authenticator.authenticate(root.accessToken)

    await setRole(second.user.id, 'super_admin')
    await identity.ban(second.user.id)
    await assert.rejects(remove(root.actor), withCode('unprocessable'), 'one who is banned is no successor')
    await identity.database.query(sql`update users set banned_at = null where id = ${second.user.id}`)
    await remove(root.actor)
    assert.equal((await rowOf(root.user.id)).display_name, 'Deleted user')
    await assert.rejects(remove(second.actor), withCode('unprocessable'))
    await setRole(second.user.id, 'user')
  })

  test('one stays where all go at once', async () => {
    for (let round = 0; round < 3; round++) {
      const roots = await Promise.all([1, 2, 3].map((n) => newcomer(`root-${round}-${n}`)))
      for (const { user } of roots) await setRole(user.id, 'super_admin')
      const results = await Promise.allSettled(roots.map(({ actor }) => remove(actor)))
      const refused = results.filter((result) => result.status === 'rejected')
      assert.equal(refused.length, 1)
      assert.ok(withCode('unprocessable')(refused[0]?.reason), String(refused[0]?.reason))
      await identity.database.query(sql`update users set role = 'user' where role = 'super_admin'`)
    }
  })
})

describe('the conversations of a deleted user', () => {
  /** A conversation of these people, the first as its owner, in the order of joining. */
  async function begin(
    type: 'group' | 'direct' | 'assistant',
    people: { id: string; role?: string }[],
  ): Promise<string> {
    const id = randomUUID()
    const { database } = identity
    await database.query(sql`insert into conversations (id, type, created_by, last_change, members_change)
      values (${id}, ${type}, ${people[0]!.id}, ${people.length}, ${people.length})`)
    for (const [i, person] of people.entries()) {
      const role = person.role ?? (type === 'group' && i === 0 ? 'owner' : 'member')
      await database.query(sql`insert into participants (conversation_id, user_id, role, change, joined_at)
        values (${id}, ${person.id}, ${role}, ${i + 1}, now() + ${i}::int * interval '1 second')`)
    }
    return id
  }

  const stateOf = async (conversationId: string) => {
    const [row] = await identity.database.query(sql<{
      deleted: boolean
      last_change: number
      members_change: number
      people: string[]
    }>`
      select c.deleted_at is not null as deleted, c.last_change, c.members_change,
        array(select p.user_id || ' ' || p.role from participants p
          where p.conversation_id = c.id and p.left_at is null order by p.joined_at) as people
      from conversations c where c.id = ${conversationId}`)
    return row!
  }

  const newAgent = async (): Promise<{ id: string }> => {
    const id = randomUUID()
    await identity.database.query(sql`insert into users (id, kind, username, display_name)
      values (${id}, 'agent', ${`agent_${id.slice(0, 8)}`}, 'An agent')`)
    return { id }
  }

  const isSomeoneWaiting = async (): Promise<boolean> => {
    const rows = await identity.database.query(sql`
      select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`)
    return rows.length > 0
  }

  /** Deletes the account and does what is then to be done. */
  async function goes(actor: Actor): Promise<void> {
    await remove(actor)
    await departures.work(actor.userId)
  }

  test('are left: a group goes to its longest-standing admin, or else member', async () => {
    const [ann, bob, cid, dan] = await Promise.all(['ann', 'bob', 'cid', 'dan'].map(newcomer))
    const people = [ann!, bob!, cid!, dan!].map(({ user }) => ({ id: user.id }))
    const toAdmin = await begin('group', [people[0]!, people[1]!, { ...people[2]!, role: 'admin' }, people[3]!])
    const toMember = await begin('group', [people[0]!, await newAgent(), people[1]!, people[2]!])
    const notOwned = await begin('group', [people[1]!, people[0]!])
    await goes(ann!.actor)
    const [bobId, cidId, danId] = people.slice(1).map(({ id }) => id)
    assert.deepEqual((await stateOf(toAdmin)).people, [`${bobId} member`, `${cidId} owner`, `${danId} member`])
    assert.deepEqual((await stateOf(toMember)).people.slice(1), [`${bobId} owner`, `${cidId} member`])
    assert.deepEqual((await stateOf(notOwned)).people, [`${bobId} owner`])

    const told = departures.told.find(({ payload }) => payload.conversationId === toAdmin)
    assert.equal(told?.event, 'participants:changed')
    assert.deepEqual([told?.payload.prevChange, told?.payload.change, told?.payload.participantCount], [4, 5, 3])
    const participants = (told?.payload.participants ?? []) as { userId: string; leftAt?: string }[]
    const [left, heir] = participants.toSorted((one) => (one.leftAt ? -1 : 1))
    assert.partialDeepStrictEqual(left, {
      userId: ann!.user.id,
      displayName: 'Deleted user',
      username: (await rowOf(ann!.user.id)).username,
    })
    assert.ok(left?.leftAt)
    assert.partialDeepStrictEqual(heir, { userId: cidId, role: 'owner' })
    const { last_change, members_change } = await stateOf(toAdmin)
    assert.deepEqual([last_change, members_change], [5, 5])
    assert.deepEqual(
      departures.left.find(({ conversationId }) => conversationId === toAdmin),
      {
        conversationId: toAdmin,
        userIds: [ann!.user.id],
        prevMembersChange: 4,
        membersChange: 5,
      },
    )
  })

  test('stay for the other of a direct conversation, and go with the last person', async () => {
    const [one, other] = [await newcomer('one'), await newcomer('other')]
    const direct = await begin('direct', [{ id: one.user.id }, { id: other.user.id }])
    const alone = await begin('group', [{ id: one.user.id }])
    const agent = await newAgent()
    const assistant = await begin('assistant', [{ id: one.user.id }, agent])
    const shared = await begin('assistant', [{ id: one.user.id }, { id: other.user.id }, agent])
    await goes(one.actor)
    assert.partialDeepStrictEqual(await stateOf(direct), { deleted: false, people: [`${other.user.id} member`] })
    assert.partialDeepStrictEqual(await stateOf(shared), { deleted: false })
    for (const id of [alone, assistant]) {
      assert.equal((await stateOf(id)).deleted, true)
      assert.ok(departures.dissolved.includes(id))
    }
    assert.deepEqual(departures.removed.find(({ conversationId }) => conversationId === assistant)?.userIds, [agent.id])
    await goes(other.actor)
    for (const id of [direct, shared]) assert.equal((await stateOf(id)).deleted, true)
  })

  test('are left once, however often it is tried at the same moment', async () => {
    const [ann, bob] = [await newcomer('many'), await newcomer('witness')]
    const ids: string[] = []
    for (let i = 0; i < 130; i++) ids.push(await begin('group', [{ id: bob.user.id }, { id: ann.user.id }]))
    await remove(ann.actor)
    const told = departures.told.length
    await Promise.all([departures.work(ann.user.id), departures.work(ann.user.id)])
    await departures.work(ann.user.id)
    const news = departures.told.slice(told)
    assert.deepEqual(news.map(({ payload }) => payload.conversationId).toSorted(), ids.toSorted())
    for (const id of ids)
      assert.partialDeepStrictEqual(await stateOf(id), { last_change: 3, people: [`${bob.user.id} owner`] })
  })

  test('are left by as many turns as it takes, so that others have theirs', async () => {
    const { user, actor } = await newcomer('endless')
    const ids: string[] = []
    for (let i = 0; i < 60; i++) ids.push(await begin('group', [{ id: user.id }]))
    await remove(actor)
    const short = bareDepartures({ turnMs: -1 })
    await short.work(user.id)
    const left = short.dissolved.length
    assert.ok(left > 0 && left < ids.length, `${left} in one turn`)
    assert.deepEqual(short.queued, [{ userId: user.id }])
    await short.work(user.id)
    assert.deepEqual(short.dissolved.toSorted(), ids.toSorted())
  })

  test('are none that others take the user into at that moment', async () => {
    const { database, users } = identity
    const [ann, eve] = [await newcomer('adder'), await newcomer('added')]
    const [taken, late] = [await begin('group', [{ id: ann.user.id }]), await begin('group', [{ id: ann.user.id }])]
    const takeInto = (em: Connection, id: string) =>
      run(
        em,
        sql`insert into participants (conversation_id, user_id, role, change) values (${id}, ${eve.user.id}, 'member', 2)`,
      )
    let isDone = false
    let going: Promise<void> = Promise.resolve()
    await database.transact(async (em) => {
      assert.ok((await users.activeAmong(em, [ann.user.id, eve.user.id], ann.user.id)).has(eve.user.id))
      going = goes(eve.actor).then(() => {
        isDone = true
      })
      // the embedded database has one connection: there everything else waits anyway
      if (!database.embedded) await eventually('the deletion waits', isSomeoneWaiting)
      assert.equal(isDone, false)
      await takeInto(em, taken)
    })
    await going
    assert.deepEqual((await stateOf(taken)).people, [`${ann.user.id} owner`])

    await database.transact(async (em) => {
      if ((await users.activeAmong(em, [eve.user.id], ann.user.id)).has(eve.user.id)) await takeInto(em, late)
    })
    assert.deepEqual((await stateOf(late)).people, [`${ann.user.id} owner`])
  })

  test('are none for whoever asks while the deletion is not committed yet', async () => {
    const { database, users, events } = identity
    const eve = await newcomer('vanishing')
    let asked: Promise<Set<string>> = Promise.resolve(new Set())
    events.on('user.deleting', async (_em, { userId }) => {
      if (userId !== eve.user.id) return undefined
      asked = database.transact((em) => users.activeAmong(em, [userId], userId))
      if (!database.embedded) await eventually('the question waits', isSomeoneWaiting)
      return undefined
    })
    await goes(eve.actor)
    assert.deepEqual(await asked, new Set())
  })

  test('are looked for again when whatever was under way at that moment has ended', async () => {
    const { user, actor } = await newcomer('in-flight')
    const begun = departures.queued.length
    await goes(actor)
    const later = departures.queued.slice(begun).map(({ startAfterSeconds = 0 }) => startAfterSeconds)
    assert.deepEqual(
      later.toSorted((a, b) => a - b),
      [0, 60, 90_000],
    )
    const late = await begin('group', [{ id: user.id }])
    await departures.work(user.id)
    assert.equal((await stateOf(late)).deleted, true)
  })
})

describe('as others see it', () => {
  let server: Backend
  before(async () => {
    server = await startBackend()
  })
  after(() => server.end())

  const deleteOver = (person: Person, body: object = { password: 'correct horse' }) =>
    fetch(`${server.url}/v1/me`, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${person.session.accessToken}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })

  /** All that a store holds, in an order of its own. */
  const held = (store: Store) =>
    store
      .conversations()
      .map(({ conversation, messages }) => ({ conversation, messages }))
      .toSorted((one, other) => (one.conversation.id < other.conversation.id ? -1 : 1))

  async function syncInto(store: Store, person: Person, since?: string): Promise<string> {
    for (;;) {
      const page = await person.do('sync', { positions: store.positions(), ...(since && { since }) })
      store.applySync(page)
      if (!page.hasMore) return page.serverTime
    }
  }

  test('the account ends with its answer, and its sockets are told why', async () => {
    const [ann, bob] = await cast(server.url, 'ann', 'bob')
    const phone = await connect(server.url, bob.session)
    const group = await openGroup(ann, bob)
    const disconnected = Promise.all([bob, phone].map(({ socket }) => nextEvent(socket, 'disconnect')))
    for (const body of [{}, { password: 'wrong horse' }]) {
      const refused = await deleteOver(bob, body)
      assert.equal(refused.status, 401)
      assert.equal(((await refused.json()) as { code: string }).code, 'unauthenticated')
    }
    assert.equal((await deleteOver(bob, { password: 'correct horse', really: true })).status, 400)
    assert.ok(bob.socket.connected && phone.socket.connected)

    const response = await deleteOver(bob)
    assert.equal(response.status, 204)
    assert.equal(await response.text(), '')
    assert.deepEqual(await disconnected, ['io server disconnect', 'io server disconnect'])
    for (const { heard } of [bob, phone]) {
      const last = heard.filter(({ event }) => event === 'notification').at(-1)
      assert.deepEqual(last?.payload, { kind: 'account_deleted' })
    }
    await assert.rejects(connect(server.url, bob.session), (error: Error & { data?: { code?: string } }) => {
      return error.data?.code === 'unauthenticated'
    })
    assert.equal((await api(server.url, bob)('GET', '/me')).status, 401)
    assert.equal((await deleteOver(bob)).status, 401)

    await ann.hears('participants:changed', (payload) => payload.conversationId === group)
    assert.equal((await api(server.url, ann)('GET', `/users/${bob.id}`)).status, 404)
    await refuses(ann, 'not_found', 'participant:add', { conversationId: group, userId: bob.id })
    await refuses(ann, 'not_found', 'conversation:create', { type: 'direct', participantIds: [bob.id] })
  })

  test('peers who are there, who come back and who come anew hold the same', async (t) => {
    const [ann, bob, cid] = await cast(server.url, 'ann', 'bob', 'cid')
    const owned = await openGroup(bob, cid, ann)
    const joined = await openGroup(ann, bob, cid)
    const direct = await openDirect(bob, ann)
    const sent = await send(bob, owned, `hello @${ann.username}`)
    const answer = await send(ann, owned, `hello @${bob.username}`, { replyToId: sent.id })
    await bob.do('reaction:add', { conversationId: owned, messageId: answer.id, emoji: '👍' })
    await bob.do('message:edit', { conversationId: owned, messageId: sent.id, content: `hi @${ann.username}` })
    await send(bob, joined, 'in the group of ann')
    await send(bob, direct, 'between us')
    await send(ann, direct, 'as ever')

    const client = await signIn(server.url, ann)
    t.after(() => client.close())
    const away = createStore()
    away.reset(ann.id)
    const since = await syncInto(away, ann)
    assert.equal(held(client.store).length, 3)

    assert.equal((await deleteOver(bob)).status, 204)
    const participantsOf = (id: string) => client.store.get(id)?.conversation.participants.map(({ userId }) => userId)
    await eventually('bob has left in the eyes of ann', () =>
      [owned, joined, direct].every((id) => !participantsOf(id)?.includes(bob.id)),
    )
    await client.synced()
    await syncInto(away, ann, since)
    const fresh = await signIn(server.url, ann)
    t.after(() => fresh.close())
    assert.deepEqual(held(client.store), held(fresh.store))
    assert.deepEqual(held(away), held(fresh.store))

    const roles = client.store.get(owned)?.conversation.participants.map(({ userId, role }) => [userId, role])
    assert.deepEqual(roles, [
      [cid.id, 'owner'],
      [ann.id, 'member'],
    ])
    const { conversation, messages } = client.store.get(direct)!
    assert.deepEqual([conversation.participantCount, messages.length], [1, 2])
    assert.equal(messages[0]?.senderId, bob.id, 'messages stay as from a deleted user')
    assert.equal(messages[0]?.content, 'between us')
    const first = client.store.get(owned)!.messages.find(({ id }) => id === answer.id)
    assert.deepEqual(first?.reactions, [{ emoji: '👍', userIds: [bob.id] }])
    assert.deepEqual(first?.mentions, [bob.id])
  })
})

/** The departures on a queue that the test works off by itself. */
function bareDepartures({ turnMs }: { turnMs?: number } = {}) {
  const queued: { userId: string; startAfterSeconds?: number }[] = []
  const told: { event: string; payload: Record<string, unknown> }[] = []
  const left: { conversationId: string }[] = []
  const dissolved: string[] = []
  const removed: { userIds: string[]; conversationId: string }[] = []
  let handle: (data: { userId: string }, job: { signal: AbortSignal }) => Promise<void> = async () => {}
  const jobs = {
    define: (queue: { handle: typeof handle }) => {
      handle = queue.handle
      return {
        enqueue: async (_em: unknown, { userId }: { userId: string }, options = {}) => {
          queued.push({ userId, ...options })
          return () => {}
        },
      }
    },
  } as unknown as Jobs
  createDepartures({
    database: identity.database,
    events: identity.events,
    jobs,
    fanout: {
      leave: async (change) => void left.push(change),
      dissolve: async (id) => void dissolved.push(id),
      toUsers: (userIds, _event, payload) => void removed.push({ userIds, ...(payload as { conversationId: string }) }),
      toConversations: async (events) => {
        for (const { event, payload } of events) told.push({ event, payload: payload as Record<string, unknown> })
      },
    },
    urls: { of: (id, variant) => `${id}/${variant}` },
    dissolveIn: createDissolution({
      database: identity.database,
      attachments: { release: async () => () => {} },
      jobs: { define: () => ({ enqueue: async () => () => {} }) } as unknown as Jobs,
    }),
    log: pino({ level: 'silent' }),
    ...(turnMs !== undefined && { turnMs }),
  })
  const work = (userId: string) => handle({ userId }, { signal: new AbortController().signal })
  return { queued, told, left, dissolved, removed, work }
}
