import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { sql } from 'kysely'
import { connect, join, type Person, register } from '../support/people.ts'
import { ownRedis, withoutOwnRedis } from '../support/services.ts'
import {
  assertSound,
  caughtUp,
  closing,
  eventually,
  heardMessages,
  hearsText,
  makeGroup,
  say,
  startScene,
} from './scene.ts'
import { openWay, type Way } from './way.ts'

/**
 * When the link between the nodes returns, and when a socket connects, a node reads its rooms from the database. Here that
 * reading is disturbed: the second node's ways to Redis and to the database can be cut, and the answers of the latter held.
 */
async function startDisturbed(t: TestContext) {
  const redis = await closing(t, ownRedis())
  await redis.start()
  const one = await startScene(t, 1, { redis })
  const [way, link] = await Promise.all([closing(t, openWay(one.database.url)), closing(t, openWay(redis.url))])
  const two = await startScene(t, 1, { redis: link, database: { ...one.database, url: way.url } })
  const [ann, bobSession, eveSession] = [
    await join(one.a, 'ann'),
    await register(one.a, 'bob'),
    await register(one.a, 'eve'),
  ]
  // the first of the node's sockets is Eve's, so that her rooms are read first
  const eve = await connect(two.a, eveSession)
  const bob = await connect(two.a, bobSession)
  t.after(() => {
    for (const person of [ann, bob, eve]) person.close()
  })
  const linkIs = async (state: 0 | 1) => {
    const metrics = await fetch(`${two.a}/metrics`).then((answer) => answer.text())
    return metrics.includes(`\nkintsugi_link_up ${state}\n`)
  }
  return { ...one, b: two.a, nodes: [...one.nodes, ...two.nodes], way, link, ann, bob, eve, linkIs }
}

/** Lets through what is kept back now; what is asked because of it is held again. */
function step(way: Way): void {
  way.release()
  way.hold()
}

/** Lets so many answers through, and waits until the next is kept back; false where there is none, since the work is done. */
async function advance(way: Way, answers: number, isDone: () => boolean): Promise<boolean> {
  for (let i = 0; ; i++) {
    await eventually('the node asks the database', () => way.isWaited() || isDone())
    if (!way.isWaited()) return false
    if (i === answers) return true
    step(way)
  }
}

const texts = (person: Person, conversationId: string) =>
  heardMessages(person, conversationId).map(({ content }) => content)

test('a removal is acknowledged once the other node has taken it', { skip: withoutOwnRedis }, async (t) => {
  const { nodes, database, link, ann, bob, eve } = await startDisturbed(t)
  const id = await makeGroup(ann, bob, eve)
  link.hold()
  let isAcknowledged = false
  const removing = ann.do('participant:remove', { conversationId: id, userId: eve.id }).then(() => {
    isAcknowledged = true
  })
  await eventually('the removal is committed', async () => {
    const gone = await database.database.query(sql`
      select from participants where conversation_id = ${id} and user_id = ${eve.id} and left_at is not null`)
    return gone.length > 0
  })
  await Promise.all([caughtUp(ann), caughtUp(bob), caughtUp(ann)])
  assert.equal(isAcknowledged, false, 'the other node does not know of it')
  link.release()
  await removing
  // typing is told to whoever is in the room; no row is read that would say that she is not
  await bob.do('typing', { conversationId: id, isTyping: true })
  await caughtUp(eve)
  assert.deepEqual(
    eve.heard.filter(({ event }) => event === 'typing'),
    [],
  )
  assertSound(...nodes)
})

test('who is removed or added while rooms are read anew after a break, is, at whatever point', {
  skip: withoutOwnRedis,
}, async (t) => {
  const { nodes, way, link, ann, bob, eve, linkIs } = await startDisturbed(t)
  const isOver = () => eve.heard.some(({ event }) => event === 'resync')
  for (let answers = 0; ; answers++) {
    const [left, joined] = [await makeGroup(ann, bob, eve), await makeGroup(ann, bob)]
    eve.heard.length = 0
    link.sever()
    await eventually('the node has noticed', () => linkIs(0))
    way.hold()
    link.mend()
    const isUnderWay = await advance(way, answers, isOver)
    if (isUnderWay) {
      await ann.do('participant:remove', { conversationId: left, userId: eve.id })
      await ann.do('participant:add', { conversationId: joined, userId: eve.id })
      await eve.hears('conversation:created', (payload) => payload.id === joined)
    }
    way.release()
    if (!isUnderWay) {
      assert.ok(answers > 0, 'nothing was read')
      break
    }
    await eve.hears('resync')
    const own = await say(bob, left)
    const across = await say(ann, left)
    await hearsText(bob, across.content)
    const { content } = await say(bob, joined)
    await caughtUp(eve)
    assert.deepEqual(texts(eve, left), [], `she hears ${own.content} after ${answers} answers`)
    assert.deepEqual(texts(eve, joined), [content], `after ${answers} answers`)
  }
  assertSound(...nodes)
})

test('who is removed while their socket connects hears nothing that comes after, at whatever point', {
  skip: withoutOwnRedis,
}, async (t) => {
  const { nodes, b, way, ann, bob, eve } = await startDisturbed(t)
  const elsewhere = await makeGroup(ann, bob)
  const { session } = eve
  for (let answers = 0; ; answers++) {
    const id = await makeGroup(ann, bob)
    await ann.do('participant:add', { conversationId: id, userId: eve.id })
    way.hold()
    let isConnected = false
    const connecting = connect(b, session).finally(() => {
      isConnected = true
    })
    const isUnderWay = await advance(way, answers, () => isConnected)
    if (isUnderWay) {
      await ann.do('participant:remove', { conversationId: id, userId: eve.id })
      step(way)
      await eventually('the node asks on', () => way.isWaited() || isConnected)
      await say(ann, id)
      // the node has dealt with the one before when this is heard
      await hearsText(bob, (await say(ann, elsewhere)).content)
    }
    way.release()
    const back = await connecting
    await caughtUp(back)
    assert.deepEqual(texts(back, id), [], `after ${answers} answers`)
    back.close()
    if (isUnderWay) continue
    assert.ok(answers > 0, 'nothing was read')
    break
  }
  assertSound(...nodes)
})

test('what a node missed is made up for also where the database was away when the link returned', {
  skip: withoutOwnRedis,
}, async (t) => {
  const { nodes, a, b, way, link, ann, bob, eve, linkIs } = await startDisturbed(t)
  await makeGroup(ann, bob, eve)
  link.sever()
  await eventually('the node has noticed', () => linkIs(0))
  const { id } = await ann.do('conversation:create', { type: 'group', title: 'missed', participantIds: [bob.id] })
  const headers = { authorization: `Bearer ${eve.session.accessToken}` }
  assert.equal((await fetch(`${a}/v1/auth/logout`, { method: 'POST', headers })).status, 204)
  way.sever()
  link.mend()
  await eventually('the link is back', () => linkIs(1))
  await eventually('the node misses the database', async () => (await fetch(`${b}/readyz`)).status === 503)
  way.mend()
  await eventually('the missed logout ends her socket', () => !eve.socket.connected)
  await eventually('he hears the conversation that he was put into', async () => {
    const { content } = await say(ann, id)
    await caughtUp(bob)
    return texts(bob, id).includes(content)
  })
  assertSound(...nodes)
})
