import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { connect, join, type Person } from '../support/people.ts'
import { type OwnService, ownRedis, withoutOwnRedis, withoutServices } from '../support/services.ts'
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

/** Ann, Bob and Eve with a socket at each node, in a group that is Ann's. */
async function startParty(t: TestContext, options: { redis?: OwnService } = {}) {
  const scene = await startScene(t, 2, options)
  const { a, b } = scene
  const [ann, bob, eve] = await Promise.all([join(a, 'ann'), join(b, 'bob'), join(a, 'eve')])
  const [annAtB, bobAtA, eveAtB] = await Promise.all([
    connect(b, ann.session),
    connect(a, bob.session),
    connect(b, eve.session),
  ])
  t.after(() => {
    for (const person of [ann, bob, eve, annAtB, bobAtA, eveAtB]) person.close()
  })
  const id = await makeGroup(ann, bob, eve, annAtB, bobAtA, eveAtB)
  return { ...scene, id, ann, bob, eve, annAtB, bobAtA, eveAtB }
}

/** What of a conversation a socket has heard, but for its end. */
const heardOf = (person: Person, id: string): string[] =>
  person.heard
    .filter(({ event, payload }) => payload.conversationId === id && event !== 'conversation:removed')
    .map(({ event }) => event)

/** Everything that a member can do to be heard, at both nodes; settles when members at the same node have heard it. */
async function makeNoise({ id, ann, annAtB, bob, bobAtA }: Awaited<ReturnType<typeof startParty>>): Promise<void> {
  const [atB, atA] = [await say(bob, id), await say(ann, id)]
  await Promise.all(
    [ann, annAtB, bob, bobAtA].map((person) => person.do('typing', { conversationId: id, isTyping: true })),
  )
  await bob.do('reaction:add', { conversationId: id, messageId: atA.id, emoji: '👍' })
  await bob.do('receipt:read', { conversationId: id, seq: atA.seq })
  await ann.do('message:edit', { conversationId: id, messageId: atA.id, content: 'edited' })
  await ann.do('conversation:update', { conversationId: id, title: 'without her' })
  await Promise.all([hearsText(annAtB, atB.content), hearsText(bobAtA, atA.content)])
  // receipts are gathered for a moment
  const isHere = (payload: { [key: string]: unknown }) => payload.conversationId === id
  await annAtB.hears('receipts:changed', isHere)
}

test('a removed participant hears nothing more on any node', { skip: withoutServices }, async (t) => {
  const party = await startParty(t)
  const { nodes, id, ann, bob, eve, annAtB, eveAtB } = party

  await t.test('from the moment of the acknowledgment, while others go on sending', async () => {
    for (let round = 0; round < 5; round++) {
      if (round > 0) {
        await ann.do('participant:add', { conversationId: id, userId: eve.id })
        const welcome = await say(bob, id)
        await Promise.all([hearsText(eve, welcome.content), hearsText(eveAtB, welcome.content)])
      }
      let removed = false
      const late: string[] = []
      const chatter = [bob, annAtB].map(async (person) => {
        for (let after = 0; after < 20; ) {
          const isLate = removed
          const { content } = await say(person, id)
          if (!isLate) continue
          late.push(content)
          after++
        }
      })
      await ann.do('participant:remove', { conversationId: id, userId: eve.id })
      removed = true
      await Promise.all(chatter)
      const last = await say(bob, id)
      await hearsText(annAtB, last.content)
      for (const socket of [eve, eveAtB]) {
        await socket.hears('conversation:removed', (payload) => payload.conversationId === id)
        await caughtUp(socket)
        const heard = new Set(heardMessages(socket, id).map(({ content }) => content))
        assert.deepEqual(
          late.filter((content) => heard.has(content)),
          [],
        )
      }
    }
  })

  await t.test('of no kind of event', async () => {
    for (const socket of [eve, eveAtB]) socket.heard.length = 0
    await makeNoise(party)
    const { content } = await say(ann, id)
    await hearsText(annAtB, content)
    for (const socket of [eve, eveAtB]) {
      await caughtUp(socket)
      assert.deepEqual(heardOf(socket, id), [])
    }
  })

  await t.test('and one who leaves, or whose conversation is deleted, neither', async () => {
    const [left, deleted] = [
      await makeGroup(ann, annAtB, bob, eve, eveAtB),
      await makeGroup(ann, annAtB, bob, eve, eveAtB),
    ]
    await eve.do('conversation:leave', { conversationId: left })
    const { content } = await say(bob, left)
    await hearsText(annAtB, content)
    await ann.do('conversation:delete', { conversationId: deleted })
    await eveAtB.hears('conversation:removed', (payload) => payload.conversationId === deleted)
    assert.equal(
      (await bob.refused('message:send', { conversationId: deleted, clientId: 'late', content: 'late' })).code,
      'not_found',
    )
    assert.equal((await bob.refused('typing', { conversationId: deleted, isTyping: true })).code, 'not_found')
    for (const socket of [eve, eveAtB]) {
      await caughtUp(socket)
      assert.deepEqual(heardMessages(socket, left), [])
    }
  })

  assertSound(...nodes)
})

for (const [how, stop] of [
  ['gone', (redis) => redis.stop()],
  ['frozen', (redis) => redis.freeze()],
] as [string, (redis: OwnService) => void | Promise<void>][]) {
  test(`a participant removed at one node while Redis is ${how} hears no message at the other`, {
    skip: withoutOwnRedis,
  }, async (t) => {
    const redis = await closing(t, ownRedis())
    await redis.start()
    const party = await startParty(t, { redis })
    const { nodes, id, ann, bob, eve, annAtB, eveAtB } = party
    for (const socket of [eve, eveAtB]) socket.heard.length = 0

    await stop(redis)
    await ann.do('participant:remove', { conversationId: id, userId: eve.id })
    await makeNoise(party)
    const { content } = await say(bob, id)
    await hearsText(annAtB, content)
    for (const socket of [eve, eveAtB]) {
      await caughtUp(socket)
      assert.deepEqual(heardOf(socket, id), [])
    }
    assertSound(...nodes)
  })
}

test('the end of a login ends its sockets on every node', { skip: withoutOwnRedis }, async (t) => {
  const redis = await closing(t, ownRedis())
  await redis.start()
  const { nodes, a, b } = await startScene(t, 2, { redis })

  const post = (path: string, { session }: Person) =>
    fetch(`${a}/v1/auth/${path}`, { method: 'POST', headers: { authorization: `Bearer ${session.accessToken}` } })
  /** The same person at both nodes by one login, and at the second by another. */
  const guests = async () => {
    const [first, witness] = await Promise.all([join(a, 'eve'), join(b, 'ann')])
    const login = await fetch(`${a}/v1/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ username: first.username, password: 'correct horse' }),
    })
    const second = (await login.json()) as Person['session']
    const [here, elsewhere, other] = [first, await connect(b, first.session), await connect(b, second)]
    t.after(() => {
      for (const person of [here, elsewhere, other, witness]) person.close()
    })
    return { here, elsewhere, other, witness }
  }
  const ended = (...people: Person[]) =>
    eventually('they are closed', () => people.every(({ socket }) => !socket.connected), 1_000)

  await t.test('a logout, within a second, and no other login', async () => {
    const { here, elsewhere, other } = await guests()
    assert.equal((await post('logout', here)).status, 204)
    await ended(here, elsewhere)
    await caughtUp(other)
    assert.equal(other.socket.connected, true)
  })

  await t.test('a logout everywhere, within a second, all of them, and nobody else', async () => {
    const { here, elsewhere, other, witness } = await guests()
    assert.equal((await post('logout-all', here)).status, 204)
    await ended(here, elsewhere, other)
    await caughtUp(witness)
    assert.equal(witness.socket.connected, true)
  })

  await t.test('a logout that the other node could not hear of, when the link returns', async () => {
    const { here, elsewhere, other, witness } = await guests()
    await redis.stop()
    assert.equal((await post('logout', here)).status, 204)
    await ended(here)
    assert.equal(elsewhere.socket.connected, true, 'the node cannot know yet')
    await redis.start()
    await eventually('the missed logout is made up for', () => !elsewhere.socket.connected, 5_000)
    await other.hears('resync')
    await witness.hears('resync')
    for (const person of [other, witness]) {
      await caughtUp(person)
      assert.equal(person.socket.connected, true)
    }
    assertSound(...nodes)
  })
})
