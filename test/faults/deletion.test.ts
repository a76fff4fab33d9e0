import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { sql } from 'kysely'
import type { Client } from '../../src/client/index.ts'
import { run } from '../../src/database/database.ts'
import { sendUntilTheEnd } from '../messenger/scene.ts'
import { connect, join, type Person } from '../support/people.ts'
import { type OwnDatabase, ownRedis, withoutOwnRedis, withoutServices } from '../support/services.ts'
import { assertSound, closing, eventually, makeGroup, say, signIn, startScene, storedMessages } from './scene.ts'

const remove = (url: string, { session }: Person) =>
  fetch(`${url}/v1/me`, {
    method: 'DELETE',
    headers: { authorization: `Bearer ${session.accessToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ password: 'correct horse' }),
  })

/** In how many conversations that are there the user still is; of those that others have begun, or of all. */
async function stillIn({ database }: OwnDatabase, userId: string, which: 'of others' | 'all' = 'all'): Promise<number> {
  const [row] = await database.query(sql<{ count: number }>`
    select count(*)::int as count from participants p join conversations c on c.id = p.conversation_id
    where p.user_id = ${userId} and p.left_at is null and c.deleted_at is null
      and ${which === 'all' ? sql`true` : sql`c.created_by <> p.user_id`}`)
  return row?.count ?? 0
}

/** Lets the looks at participations come now that come a minute and a day after a deletion. */
const lookAgain = ({ database }: OwnDatabase) =>
  database.query(sql`
    update pgboss.job set start_after = now() where name = 'leave-conversations' and state = 'created'`)

/** What the queue does by itself when the time of an attempt is over: another node may try. */
const expireAttempts = ({ database }: OwnDatabase, name: string) =>
  database.query(sql`
    update pgboss.job set state = 'retry', start_after = now() where name = ${name} and state = 'active'`)

/** Of each conversation, as many messages as `sync` brings to who comes anew. */
const newest = 50

/** All that a client holds and a new one would, in an order of its own. */
const held = ({ store }: Client) =>
  store
    .conversations()
    .map(({ conversation, messages }) => ({ conversation, messages: messages.slice(-newest) }))
    .toSorted((one, other) => (one.conversation.id < other.conversation.id ? -1 : 1))

async function client(t: Pick<TestContext, 'after'>, url: string, person: Person): Promise<Client> {
  const made = await signIn(url, person)
  t.after(() => made.close())
  return made
}

/** The client ends with what somebody sees who comes anew. */
async function convergesTo(t: TestContext, live: Client, url: string, person: Person): Promise<void> {
  await live.synced()
  const fresh = await client(t, url, person)
  assert.deepEqual(held(live), held(fresh))
}

test('an account is deleted while it sends at two nodes', { skip: withoutServices }, async (t) => {
  const { nodes, a, b, database } = await startScene(t, 2)
  const [ann, bob, eve] = await Promise.all([join(a, 'ann'), join(b, 'bob'), join(a, 'eve')])
  const eveAtB = await connect(b, eve.session)
  t.after(() => {
    for (const person of [ann, bob, eve, eveAtB]) person.close()
  })
  const group = await makeGroup(eve, ann, bob, eveAtB)
  const direct = (await eve.do('conversation:create', { type: 'direct', participantIds: [bob.id] })).id
  const [annClient, bobClient] = await Promise.all([client(t, a, ann), client(t, b, bob)])

  let acks = 0
  const sending = [eve, eveAtB].flatMap((person) =>
    [group, direct].map((id) => sendUntilTheEnd(person, id, () => void acks++)),
  )
  await eventually('messages are under way', () => acks > 50)
  const [first, second] = await Promise.all([remove(a, eve), remove(b, eveAtB)])
  const answers = [first.status, second.status].toSorted()
  assert.ok(answers[0] === 204 && (answers[1] === 204 || answers[1] === 401), answers.join())
  await eventually('the sockets are closed', () => !eve.socket.connected && !eveAtB.socket.connected, 1_000)
  const acked = await Promise.all(sending)

  await eventually('eve is in no conversation', async () => (await stillIn(database, eve.id)) === 0)
  for (const [id, stored] of [
    [group, await storedMessages(database.database, group)],
    [direct, await storedMessages(database.database, direct)],
  ] as const) {
    const ids = new Set(stored.map((row) => row.id))
    const own = id === group ? [acked[0], acked[2]] : [acked[1], acked[3]]
    for (const one of own.flat()) assert.ok(ids.has(one as string), 'an acknowledged message is not stored')
  }
  const last = await say(ann, group)
  await bob.hears('messages:created', (payload) => JSON.stringify(payload).includes(last.content))
  await eventually('peers have heard', () =>
    [annClient, bobClient].every(
      ({ store }) => !store.get(group)?.conversation.participants.some(({ userId }) => userId === eve.id),
    ),
  )
  await convergesTo(t, annClient, b, ann)
  await convergesTo(t, bobClient, a, bob)
  assert.equal(annClient.store.get(group)?.conversation.participants[0]?.role, 'owner')
  assertSound(...nodes)
})

test('a deleted user is in no conversation, whatever was begun at that moment on whichever node', {
  skip: withoutServices,
}, async (t) => {
  const { nodes, a, b, database } = await startScene(t, 2)
  const [ann, bob] = await Promise.all([join(a, 'ann'), join(b, 'bob')])
  t.after(() => {
    for (const person of [ann, bob]) person.close()
  })
  for (let round = 0; round < 8; round++) {
    const eve = await join(a, 'eve')
    const eveAtB = await connect(b, eve.session)
    const groups = await Promise.all(Array.from({ length: 6 }, (_, i) => makeGroup(i % 2 ? ann : bob)))
    const begin = (person: Person) => person.ask('conversation:create', { type: 'group', participantIds: [] })
    await Promise.allSettled([
      ...groups.map((conversationId, i) =>
        (i % 2 ? ann : bob).ask('participant:add', { conversationId, userId: eve.id }),
      ),
      remove(round % 2 ? a : b, eve),
      ...[ann, bob].map((person) => person.ask('conversation:create', { type: 'direct', participantIds: [eve.id] })),
      ...[ann, bob].map((person) =>
        person.ask('conversation:create', { type: 'group', participantIds: [eve.id, ann.id, bob.id] }),
      ),
      // not awaited for long: the answer may have no socket to come to
      ...[eve, eveAtB].map((person) => Promise.race([begin(person), closed(person)])),
    ])
    await eventually('others have her nowhere', async () => (await stillIn(database, eve.id, 'of others')) === 0)
    await lookAgain(database)
    await eventually('nor has she herself', async () => (await stillIn(database, eve.id)) === 0)
  }
  assertSound(...nodes)
})

const closed = ({ socket }: Person): Promise<void> =>
  new Promise((resolve) => {
    if (!socket.connected) resolve()
    else socket.once('disconnect', () => resolve())
  })

test('no token is left of an account that is deleted while it refreshes at two nodes', {
  skip: withoutServices,
}, async (t) => {
  const { nodes, a, b, database } = await startScene(t, 2)
  for (let round = 0; round < 5; round++) {
    const eve = await join(a, 'eve')
    const refresh = async (url: string) => {
      const response = await fetch(`${url}/v1/auth/refresh`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ refreshToken: eve.session.refreshToken }),
      })
      return { status: response.status, body: (await response.json()) as { accessToken?: string } }
    }
    const refreshing = Array.from({ length: 10 }, (_, i) => refresh(i % 2 ? a : b))
    const removing = remove(round % 2 ? a : b, eve)
    const results = await Promise.all([...refreshing, ...Array.from({ length: 10 }, (_, i) => refresh(i % 2 ? a : b))])
    assert.equal((await removing).status, 204)
    for (const { status } of results) assert.ok(status === 200 || status === 401, String(status))
    for (const { body } of results) {
      if (!body.accessToken) continue
      const headers = { authorization: `Bearer ${body.accessToken}` }
      for (const url of [a, b]) assert.equal((await fetch(`${url}/v1/me`, { headers })).status, 401)
    }
    const rows = await database.database.query(sql`select from refresh_tokens where user_id = ${eve.id}`)
    assert.equal(rows.length, 0)
  }
  assertSound(...nodes)
})

test('what a node had left to do for a deleted account when it was killed, another one does', {
  skip: withoutServices,
}, async (t) => {
  const { nodes, a, b, database } = await startScene(t, 2)
  const [ann, eve] = await Promise.all([join(b, 'ann'), join(a, 'eve')])
  const eveAtB = await connect(b, eve.session)
  t.after(() => {
    for (const person of [ann, eve, eveAtB]) person.close()
  })
  const groups: string[] = []
  for (let i = 0; i < 200; i++)
    groups.push((await ann.do('conversation:create', { type: 'group', participantIds: [eve.id] })).id)
  const annClient = await client(t, b, ann)
  assert.equal((await remove(a, eve)).status, 204)
  await eventually('it has begun', async () => (await stillIn(database, eve.id)) < groups.length)
  await nodes[0]?.kill()
  const left = groups.length - (await stillIn(database, eve.id))
  t.diagnostic(`it had left ${left} of ${groups.length}`)
  assert.ok(left < groups.length, 'the node was done already')
  await expireAttempts(database, 'leave-conversations')
  await eventually('eve is in none of them', async () => (await stillIn(database, eve.id)) === 0, 30_000)
  await eventually('her socket at the other node is closed', () => !eveAtB.socket.connected)
  const isWith = (id: string) =>
    annClient.store.get(id)?.conversation.participants.some(({ userId }) => userId === eve.id)
  await eventually('ann sees her nowhere', () => !groups.some(isWith))
  await convergesTo(t, annClient, b, ann)
  assertSound(nodes[1]!)
})

test('one conversation that somebody holds does not hold up the others', { skip: withoutServices }, async (t) => {
  const { nodes, a, database } = await startScene(t, 1)
  const [ann, eve] = await Promise.all([join(a, 'ann'), join(a, 'eve')])
  t.after(() => ann.close())
  const groups: string[] = []
  for (let i = 0; i < 120; i++) {
    groups.push((await ann.do('conversation:create', { type: 'group', participantIds: [eve.id] })).id)
  }
  await database.database.transact(async (em) => {
    await run(em, sql`select from conversations where id = ${groups.toSorted()[0]} for update`)
    assert.equal((await remove(a, eve)).status, 204)
    await eventually('all others are left', async () => (await stillIn(database, eve.id)) === 1)
  })
  await eventually('it is left, too', async () => (await stillIn(database, eve.id)) === 0, 20_000)
  assertSound(...nodes)
})

test('a node that is cut off from the others ends the account when it hears of it, and lets it nothing till then', {
  skip: withoutOwnRedis,
}, async (t) => {
  const redis = await closing(t, ownRedis())
  await redis.start()
  const { nodes, a, b, database } = await startScene(t, 2, { redis })
  const [ann, bob, eve] = await Promise.all([join(a, 'ann'), join(b, 'bob'), join(a, 'eve')])
  const eveAtB = await connect(b, eve.session)
  t.after(() => {
    for (const person of [ann, bob, eve, eveAtB]) person.close()
  })
  const group = await makeGroup(ann, bob, eve, eveAtB)
  const bobClient = await client(t, b, bob)
  await redis.stop()
  assert.equal((await remove(a, eve)).status, 204)
  await eventually('the sockets here are closed', () => !eve.socket.connected, 1_000)
  await eventually('eve has left', async () => (await stillIn(database, eve.id)) === 0)
  assert.equal(eveAtB.socket.connected, true, 'the node cannot know yet')

  const send = { conversationId: group, clientId: 'late', content: 'late' }
  assert.equal((await eveAtB.refused('message:send', send)).code, 'not_found')
  eveAtB.heard.length = 0
  const { content } = await say(bob, group)
  await ann.do('message:history', { conversationId: group })
  await eveAtB.ask('conversation:list', {})
  assert.ok(!JSON.stringify(eveAtB.heard).includes(content), 'eve hears what is said after she has gone')
  await eveAtB.ask('conversation:create', { type: 'group', participantIds: [] })
  await lookAgain(database)
  await eventually('what she has begun since ends too', async () => (await stillIn(database, eve.id)) === 0)

  await redis.start()
  await eventually('her socket is closed', () => !eveAtB.socket.connected, 5_000)
  await eventually(
    'bob sees her no more',
    () => bobClient.store.get(group)?.conversation.participants.every(({ userId }) => userId !== eve.id) === true,
  )
  await convergesTo(t, bobClient, a, bob)
  assertSound(...nodes)
})
