import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Redis } from 'ioredis'
import type { Client } from '../../src/client/index.ts'
import { join, type Person } from '../support/people.ts'
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
  signIn,
  startScene,
} from './scene.ts'
import { openWay } from './way.ts'

/** Ann at a node whose way to Redis can be cut, Bob at another; many conversations, so that no message reveals another's loss. */
async function startPair(t: TestContext) {
  const redis = await closing(t, ownRedis())
  await redis.start()
  const way = await closing(t, openWay(redis.url))
  const one = await startScene(t, 1, { redis: way })
  const two = await startScene(t, 1, { redis, database: one.database })
  const [ann, bob] = await Promise.all([join(one.a, 'ann'), join(two.a, 'bob')])
  const [warm = '', ...conversations] = await Promise.all(Array.from({ length: 61 }, () => makeGroup(ann, bob)))
  const client = await signIn(two.a, bob)
  t.after(async () => {
    for (const person of [ann, bob]) person.close()
    await client.close()
  })
  const linkIs = async (state: 0 | 1) =>
    (await fetch(`${one.a}/metrics`).then((answer) => answer.text())).includes(`\nkintsugi_link_up ${state}\n`)
  const warmUp = await say(ann, warm)
  await hearsText(bob, warmUp.content)
  return {
    redis,
    way,
    linkIs,
    nodes: [...one.nodes, ...two.nodes],
    ann,
    bob,
    client,
    warm,
    conversations,
  }
}

/** One message in each conversation; nothing follows there that could show the gap. */
const sayInEach = async (ann: Person, conversations: string[]) => {
  const sent: { conversationId: string; id: string }[] = []
  for (const conversationId of conversations) sent.push({ conversationId, id: (await say(ann, conversationId)).id })
  return sent
}

/** Every message has reached the client at the other node, live or by a sync that it was told to make. */
const arrive = (client: Client, sent: { conversationId: string; id: string }[]) =>
  eventually(
    'the client at the other node has all',
    () =>
      sent.every(({ conversationId, id }) =>
        client.store.get(conversationId)?.messages.some((message) => message.id === id),
      ),
    5_000,
  )

test('what was sent at a node that alone had lost Redis for a moment reaches the others', {
  skip: withoutOwnRedis,
}, async (t) => {
  const { way, linkIs, nodes, ann, client, conversations } = await startPair(t)
  way.sever()
  await eventually('the node has noticed', () => linkIs(0))
  const sent = await sayInEach(ann, conversations)
  way.mend()
  await eventually('the link is back', () => linkIs(1))
  await arrive(client, sent)
  assertSound(...nodes)
})

test('what was sent at a node whose link returned later than that of the others reaches them', {
  skip: withoutOwnRedis,
}, async (t) => {
  const { way, linkIs, nodes, ann, bob, client, conversations } = await startPair(t)
  way.sever()
  // the other node takes this one for dead, and its clients sync, before anything is sent
  await bob.hears('resync')
  await client.command('conversation:list', {})
  await client.synced()
  const sent = await sayInEach(ann, conversations)
  way.mend()
  await eventually('the link is back', () => linkIs(1))
  await arrive(client, sent)
  assertSound(...nodes)
})

test('what was sent while a node could hear and not publish reaches the others', {
  skip: withoutOwnRedis,
}, async (t) => {
  const { redis, nodes, ann, bob, client, warm, conversations } = await startPair(t)
  const admin = new Redis(redis.url)
  t.after(() => admin.disconnect())
  admin.on('error', () => {})
  const sent: { conversationId: string; id: string }[] = []
  for (let round = 0; round < 2; round++) {
    await eventually('it publishes', async () => {
      const { content } = await say(ann, warm)
      await caughtUp(bob)
      return heardMessages(bob, warm).some((message) => message.content === content)
    })
    const list = String(await admin.call('CLIENT', 'LIST'))
    const publishers = list.split('\n').filter((line) => line.includes('cmd=publish'))
    assert.ok(publishers.length > 0)
    for (const line of publishers) await admin.call('CLIENT', 'KILL', 'ID', /id=(\d+)/.exec(line)?.[1] ?? '')
    sent.push(...(await sayInEach(ann, conversations.slice(round * 30, (round + 1) * 30))))
  }
  await arrive(client, sent)
  assertSound(...nodes)
})
