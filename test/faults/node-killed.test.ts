import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from 'kysely'
import { memoryStorage, type Sent } from '../../src/client/index.ts'
import { run } from '../../src/database/database.ts'
import { connect, join, type Person, register } from '../support/people.ts'
import { ownRedis, withoutOwnRedis, withoutServices } from '../support/services.ts'
import {
  assertSound,
  closing,
  eventually,
  holds,
  makeGroup,
  newClient,
  signIn,
  startScene,
  storedMessages,
} from './scene.ts'

const each = 150

test('a node killed during sends: nothing acknowledged is lost, nothing is doubled, all converge', {
  skip: withoutServices,
}, async (t) => {
  const { nodes, a, b, database } = await startScene(t, 2)
  const people = await Promise.all(['ann', 'bob', 'cid', 'dan'].map((name, i) => join(i < 2 ? a : b, name)))
  const [ann, bob, cid, dan] = people as [Person, Person, Person, Person]
  const shared = await makeGroup(ann, bob, cid, dan)
  const pair = await makeGroup(bob, cid)
  for (const person of people) person.close()

  // those of the first node keep login and outbox in a storage, as an app does that is started anew
  const storages = [memoryStorage(), memoryStorage()]
  const clients = await Promise.all([
    signIn(a, ann, storages[0]),
    signIn(a, bob, storages[1]),
    signIn(b, cid),
    signIn(b, dan),
  ])
  t.after(() => Promise.all(clients.map((client) => client.close())))

  const acknowledged: { conversationId: string; clientId: string; sent: Sent }[] = []
  const firstNodesAcks = new Set<string>()
  let reachedTheMiddle = (): void => {}
  const middle = new Promise<void>((resolve) => {
    reachedTheMiddle = resolve
  })
  for (let i = 0; i < each; i++) {
    for (const [n, client] of clients.entries()) {
      const conversationId = n === 1 && i % 3 === 0 ? pair : shared
      const { clientId, acknowledged: answer } = client.send(conversationId, `${n}: ${i}`)
      answer.then(
        (sent) => {
          acknowledged.push({ conversationId, clientId, sent })
          if (n < 2) firstNodesAcks.add(clientId)
          if (firstNodesAcks.size === 60) reachedTheMiddle()
        },
        // the client was closed; its successor has the message
        () => {},
      )
    }
  }
  await middle
  await nodes[0]?.kill()
  await Promise.all(clients.slice(0, 2).map((client) => client.close()))
  assert.ok(firstNodesAcks.size < 2 * each, 'the node was killed too late to show anything')

  for (const [n, storage] of storages.entries()) {
    const successor = newClient(b, storage)
    clients[n] = successor
    await successor.connect()
  }
  await Promise.all(clients.map((client) => client.synced()))

  const rows = new Map([
    [shared, await storedMessages(database.database, shared)],
    [pair, await storedMessages(database.database, pair)],
  ])
  assert.equal([...rows.values()].flat().length, 4 * each, 'each message is stored, and once')
  for (const { conversationId, clientId, sent } of acknowledged) {
    const row = rows.get(conversationId)?.[sent.seq - 1]
    assert.deepEqual(
      [row?.client_id, row?.id],
      [clientId, sent.id],
      'what was acknowledged is stored where the answer said',
    )
  }
  await eventually('all stores are in the order of the server', () =>
    clients.every((client) =>
      [...rows].every(([id, stored]) => !client.store.get(id) || holds(client, id, stored, 50)),
    ),
  )
  const own = rows.get(shared)?.filter(({ content }) => content.startsWith('0: ')) ?? []
  assert.deepEqual(
    own.map(({ content }) => content),
    Array.from({ length: each }, (_, i) => `0: ${i}`),
    'in the order of sending',
  )
  assertSound(...nodes.slice(1))
})

test('a node killed between commit and fan-out: the others hear of the message all the same', {
  skip: withoutServices,
}, async (t) => {
  const { nodes, a, b, database } = await startScene(t, 2)
  const [ann, bob] = await Promise.all([join(a, 'ann'), join(b, 'bob')])
  const id = await makeGroup(ann, bob)
  const client = await signIn(a, ann)
  t.after(() => client.close())
  t.after(() => ann.close())
  const input = { conversationId: id, clientId: crypto.randomUUID(), content: 'last words' }

  // the sender's row is held, so that the statement waits in the database; the node is stopped; and only then is the
  // row let go: the database commits, and the node never gets to know it
  await database.database.transact(async (em) => {
    await run(em, sql`select from participants where conversation_id = ${id} and user_id = ${bob.id} for update`)
    bob.socket.emit('message:send', input)
    await eventually('the statement waits for the row', async () => {
      const waiting = await database.database.query(sql`
        select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`)
      return waiting.length > 0
    })
    nodes[1]?.process.kill('SIGSTOP')
  })
  await eventually('the message is stored', async () => (await storedMessages(database.database, id)).length === 1)
  await nodes[1]?.kill()
  const killed = performance.now()
  const rows = await storedMessages(database.database, id)

  await ann.hears('resync')
  await eventually('the client has the message', () => holds(client, id, rows, 1))
  assert.ok(performance.now() - killed < 10_000)
  const again = await connect(a, bob.session)
  t.after(() => again.close())
  const answer = await again.do('message:send', input)
  assert.deepEqual([answer.id, answer.seq, answer.duplicate], [rows[0]?.id, 1, true])
  assertSound(...nodes.slice(0, 1))
})

test("a dead node's people go offline for those who watch them, but for who is elsewhere too", {
  skip: withoutOwnRedis,
}, async (t) => {
  const redis = await closing(t, ownRedis())
  await redis.start()
  const { nodes, a, b } = await startScene(t, 2, { redis })
  const [ann, bob, cid] = await Promise.all([join(a, 'ann'), join(b, 'bob'), join(b, 'cid')])
  const cidToo = await connect(a, cid.session)
  t.after(() => {
    for (const person of [ann, cidToo]) person.close()
  })
  await makeGroup(ann, bob, cid)
  const online = async () => (await ann.do('presence:watch', { userIds: [bob.id, cid.id] })).presences
  await eventually('both are online', async () => (await online()).every(({ status }) => status === 'online'))

  await nodes[1]?.kill()
  const { lastSeenAt } = await ann.hears(
    'presence:changed',
    ({ userId, status }) => userId === bob.id && status === 'offline',
  )
  assert.equal(typeof lastSeenAt, 'string')
  const presences = new Map((await online()).map(({ userId, status }) => [userId, status]))
  assert.deepEqual([presences.get(bob.id), presences.get(cid.id)], ['offline', 'online'])
  assert.equal(
    ann.heard.some(
      ({ event, payload }) => event === 'presence:changed' && payload.userId === cid.id && payload.status === 'offline',
    ),
    false,
  )
  assertSound(...nodes.slice(0, 1))
})

test('SIGTERM under load: exit 0 within 10 s, what was acknowledged is stored, sockets end', {
  skip: withoutServices,
}, async (t) => {
  const { nodes, a, b, database } = await startScene(t, 2)
  const [first, second] = nodes
  assert.ok(first && second)
  const sessions = await Promise.all(['ann', 'bob', 'cid'].map((name) => register(a, name)))
  const people = await Promise.all(sessions.map((session) => connect(a, session)))
  const [ann, bob, cid] = people as [Person, Person, Person]
  const watcher = await join(b, 'dan')
  t.after(() => {
    for (const person of [...people, watcher]) person.close()
  })
  const id = await makeGroup(ann, bob, cid, watcher)
  const client = await signIn(b, watcher)
  t.after(() => client.close())
  await watcher.do('presence:watch', { userIds: people.map((person) => person.id) })

  const acknowledged = new Map<string, string>()
  const refusals: string[] = []
  let isLoaded = (): void => {}
  const loaded = new Promise<void>((resolve) => {
    isLoaded = resolve
  })
  // each keeps ten messages on the way, until the socket ends
  const senders = people.flatMap((person) =>
    Array.from({ length: 10 }, async () => {
      while (person.socket.connected) {
        const clientId = crypto.randomUUID()
        const ack = await person
          .ask('message:send', { conversationId: id, clientId, content: clientId })
          .catch(() => undefined)
        if (ack?.ok) acknowledged.set(clientId, (ack.data as Sent).id)
        else if (ack) refusals.push(ack.error.code)
        if (acknowledged.size >= 200) isLoaded()
      }
    }),
  )
  await loaded
  const started = performance.now()
  assert.equal(await first.stop(), 0, first.output())
  assert.ok(performance.now() - started < 10_000)
  await Promise.all(senders)
  assert.deepEqual(
    [...new Set(refusals)].filter((code) => code !== 'draining' && code !== 'unavailable'),
    [],
  )

  const rows = await storedMessages(database.database, id)
  const stored = new Map(rows.map((row) => [row.client_id, row.id]))
  for (const [clientId, messageId] of acknowledged) assert.equal(stored.get(clientId), messageId)
  await eventually('the client at the other node has all', () => holds(client, id, rows, 50))
  for (const person of people) {
    await watcher.hears('presence:changed', ({ userId, status }) => userId === person.id && status === 'offline')
  }
  assert.equal(first.output().includes('"level":50'), false, first.output())
  assertSound(second)
})
