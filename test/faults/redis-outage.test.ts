import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Client } from '../../src/client/index.ts'
import { connect, join, type Person, register } from '../support/people.ts'
import { type OwnService, ownRedis, withoutOwnRedis } from '../support/services.ts'
import {
  assertSound,
  caughtUp,
  closing,
  eventually,
  heardMessages,
  hearsText,
  holds,
  lasting,
  say,
  signIn,
  startScene,
  storedMessages,
} from './scene.ts'

/** Longer stops show nothing else; REDIS_STOPPED_SECONDS=30 is what quality.md asks of a release. */
const stoppedMs = Number(process.env.REDIS_STOPPED_SECONDS ?? 12) * 1000
const killedMs = 3_000

/** A message every so often, so that a sender stays below its rate limit. */
const paceMs = 50
/** No command may wait for Redis longer than it takes to notice that it is away. */
const slowestAckMs = 3_000

/** Sends until told to stop; gives the texts, each acknowledged, and how long the slowest took. */
function startSending(person: Person, conversationId: string) {
  let going = true
  const texts: string[] = []
  let slowestMs = 0
  const done = (async () => {
    while (going) {
      const started = performance.now()
      texts.push((await say(person, conversationId)).content)
      slowestMs = Math.max(slowestMs, performance.now() - started)
      await lasting(paceMs)
    }
  })()
  return async () => {
    going = false
    await done
    return { texts, slowestMs }
  }
}

async function goThrough(
  t: TestContext,
  { redis, begin, ms, end }: { redis: OwnService; begin: () => unknown; ms: number; end: () => unknown },
): Promise<void> {
  const { nodes, a, b, database } = await startScene(t, 2, { redis, RATE_LIMITS: 'on' })
  const ann = await join(a, 'ann')
  const sessions = await Promise.all(['bob', 'cid', 'dan'].map((name) => register(a, name)))
  const participantIds = sessions.map(({ user }) => user.id)
  // in each conversation only one node's people send: who hears a part of it would find out by the gap
  const create = (title: string) => ann.do('conversation:create', { type: 'group', title, participantIds })
  const [fromA, fromB] = [(await create('from a')).id, (await create('from b')).id]
  const [bob, cid, dan] = (await Promise.all(sessions.map((session, i) => connect(i === 0 ? a : b, session)))) as [
    Person,
    Person,
    Person,
  ]
  const clients = await Promise.all([signIn(a, bob), signIn(b, dan)])
  t.after(async () => {
    for (const person of [ann, bob, cid, dan]) person.close()
    await Promise.all(clients.map((client) => client.close()))
  })

  await begin()
  const senders = [startSending(ann, fromA), startSending(cid, fromB)]
  const { id: born } = await ann.do('conversation:create', {
    type: 'group',
    title: 'born alone',
    participantIds: [cid.id],
  })
  await say(ann, born)
  await lasting(ms)
  const [atA, atB] = await Promise.all(senders.map((stop) => stop()))
  assert.ok(atA && atB)
  for (const [listener, id, { texts, slowestMs }] of [
    [bob, fromA, atA],
    [dan, fromB, atB],
  ] as const) {
    await caughtUp(listener)
    const heard = new Set(heardMessages(listener, id).map(({ content }) => content))
    assert.deepEqual(
      texts.filter((text) => !heard.has(text)),
      [],
      'those at the same node hear each other all the time',
    )
    assert.ok(texts.length > ms / 1000, 'sends go on')
    assert.ok(slowestMs < slowestAckMs, `an acknowledgment took ${slowestMs} ms`)
  }
  assertSound(...nodes)

  // nobody sends now, so that nothing but the return itself can tell what was missed
  for (const person of [ann, bob, cid, dan]) person.heard.length = 0
  await end()
  const rows = await Promise.all([fromA, fromB].map((id) => storedMessages(database.database, id)))
  assert.deepEqual(
    rows.map((stored) => stored.map(({ content }) => content)),
    [atA.texts, atB.texts],
  )
  const holdsAll = (client: Client) => [fromA, fromB].every((id, i) => holds(client, id, rows[i] ?? [], 50))
  await eventually('the clients at both nodes have all', () => clients.every(holdsAll), 5_000)
  for (const person of [ann, bob, cid, dan]) await person.hears('resync')

  const [across, back, inBorn] = [await say(ann, fromA), await say(cid, fromB), await say(ann, born)]
  await Promise.all([hearsText(dan, across.content), hearsText(bob, back.content), hearsText(cid, inBorn.content)])
  const watch = async () => (await ann.do('presence:watch', { userIds: [cid.id] })).presences[0]?.status
  await eventually('who is at the other node is online again', async () => (await watch()) === 'online')
  assertSound(...nodes)
}

test('Redis killed for three seconds: sends go on, and the nodes converge when it is back', {
  skip: withoutOwnRedis,
}, async (t) => {
  const redis = await closing(t, ownRedis())
  await redis.start()
  await goThrough(t, { redis, begin: () => redis.stop(), ms: killedMs, end: () => redis.start() })
})

test('Redis stopped where it stands: sends go on, and the nodes converge when it goes on', {
  skip: withoutOwnRedis,
}, async (t) => {
  const redis = await closing(t, ownRedis())
  await redis.start()
  await goThrough(t, { redis, begin: () => redis.freeze(), ms: stoppedMs, end: () => redis.thaw() })
})

test('Redis absent at the start: the nodes serve alone, and converge when it comes', {
  skip: withoutOwnRedis,
}, async (t) => {
  const redis = await closing(t, ownRedis())
  await goThrough(t, { redis, begin: () => {}, ms: 1_000, end: () => redis.start() })
})
