import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { ask } from '../support/agents.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import type { Heard } from '../support/people.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { upload } from '../support/uploads.ts'
import {
  cast,
  heardDuring,
  hearsMessage,
  historyOf,
  join,
  openDirect,
  openGroup,
  type Person,
  refuses,
  send,
  stateOf,
} from './scene.ts'

let server: Backend
/** Another node, where there can be one. */
let second: TestServer
let people: Person[] = []
before(async () => {
  server = await startBackend()
  second = process.env['REDIS_URL'] ? await startServer(server.env) : server
})
after(async () => {
  for (const person of people) person.close()
  await second.stop()
  await server.end()
})

/** A new pair, one at each node. */
async function pair(): Promise<[Person, Person]> {
  const both = await Promise.all([join(server.url, 'ann'), join(second.url, 'ben')])
  people = people.concat(both)
  return both as [Person, Person]
}

async function setBlock(method: 'POST' | 'DELETE', person: Person, other: Person, url = server.url): Promise<void> {
  const { status, body } = await ask(url, person.session.accessToken, method, `/me/blocks/${other.id}`)
  assert.equal(status, 204, JSON.stringify(body))
}
const block = (person: Person, other: Person, url?: string) => setBlock('POST', person, other, url)
const unblock = (person: Person, other: Person) => setBlock('DELETE', person, other)

for (const who of ['the one who has blocked', 'the one who was blocked']) {
  test(`${who} writes nothing in the direct conversation, and reads on`, async () => {
    const [ann, ben] = await pair()
    const [blocker, blocked] = who === 'the one who has blocked' ? [ann, ben] : [ben, ann]
    const conversationId = await openDirect(ann, ben)
    const elsewhere = await openGroup(ann, ben)
    const { id: own, ...first } = await send(ann, conversationId, 'mine', { clientId: 'the first' })
    const { id: theirs } = await send(ben, conversationId, 'theirs')
    const { id: source } = await send(ben, elsewhere, 'from elsewhere')
    await ann.do('reaction:add', { conversationId, messageId: theirs, emoji: '👍' })
    const { id: attachmentId } = await upload(server.url, ann.session.accessToken)
    await block(blocker, blocked)

    const toSend = () => ({ conversationId, clientId: randomUUID() })
    const refused: [name: string, input: object][] = [
      ['message:send', { ...toSend(), content: 'hello?' }],
      ['message:send', { ...toSend(), content: 'hello?', replyToId: theirs }],
      ['message:send', { ...toSend(), attachmentIds: [attachmentId] }],
      ['message:send', { ...toSend(), forward: { conversationId: elsewhere, messageId: source } }],
      ['message:edit', { conversationId, messageId: own, content: 'edited' }],
      ['reaction:add', { conversationId, messageId: theirs, emoji: '👎' }],
      ['reaction:remove', { conversationId, messageId: theirs, emoji: '👍' }],
      ['typing', { conversationId, isTyping: true }],
    ]
    const earlier = await stateOf(ben, conversationId)
    const heard = await heardDuring([ann, ben], async () => {
      for (const [name, input] of refused) {
        const { message } = await refuses(ann, 'forbidden', name, input)
        assert.equal(message, 'Messages cannot be sent in this conversation.')
      }
    })
    assert.deepEqual(heard, [[], []])
    assert.deepEqual(await stateOf(ben, conversationId), earlier)
    assert.equal((await historyOf(ann, conversationId)).length, 2)

    // what was sent is sent, and can be taken back
    const again = await send(ann, conversationId, 'mine', { clientId: 'the first' })
    assert.partialDeepStrictEqual(again, { id: own, seq: first.seq, duplicate: true })
    await ann.do('message:delete', { conversationId, messageId: own })
    // between them alone it is closed
    const { id } = await send(ann, elsewhere, 'still here')
    await hearsMessage(ben, id)
  })
}

test('the conversation opens again when the last block is taken back', async () => {
  const [ann, ben] = await pair()
  const conversationId = await openDirect(ann, ben)
  const closed = async () => {
    for (const person of [ann, ben])
      await refuses(person, 'forbidden', 'message:send', { conversationId, clientId: randomUUID(), content: 'x' })
  }
  await block(ann, ben)
  await block(ben, ann)
  await closed()
  await unblock(ann, ben)
  await closed()
  await unblock(ben, ann)
  const { id } = await send(ann, conversationId, 'at last')
  assert.equal((await hearsMessage(ben, id)).content, 'at last')
  await ben.do('typing', { conversationId, isTyping: true })
  await ann.hears('typing')
  await block(ben, ann)
  await closed()
})

test('two with a block between them begin nothing new; the conversation that they have is given', async () => {
  const [ann, ben] = await pair()
  const [cat] = await cast(server.url, 'cat')
  people.push(cat)
  const group = await openGroup(ann, cat)
  const bens = await openGroup(ben, cat)
  await block(ann, ben)
  const heard = await heardDuring([ann, ben, cat], async () => {
    for (const [person, other] of [
      [ann, ben],
      [ben, ann],
    ] as const) {
      for (const type of ['direct', 'group']) {
        await refuses(person, 'not_found', 'conversation:create', { type, participantIds: [other.id] })
      }
    }
    await refuses(ann, 'not_found', 'participant:add', { conversationId: group, userId: ben.id })
    await refuses(ben, 'not_found', 'participant:add', { conversationId: bens, userId: ann.id })
  })
  assert.deepEqual(heard, [[], [], []])

  const [dan, eve] = await pair()
  const direct = await openDirect(dan, eve)
  await block(dan, eve)
  for (const [person, other] of [
    [dan, eve],
    [eve, dan],
  ] as const) {
    const given = await person.do('conversation:create', { type: 'direct', participantIds: [other.id] })
    assert.equal(given.id, direct)
  }
})

test('nobody watches who has a block with them', async () => {
  const [ann, ben] = await pair()
  await openGroup(ann, ben)
  const watched = async (person: Person, other: Person) =>
    (await person.do('presence:watch', { userIds: [other.id] })).presences.map(({ userId }) => userId)
  assert.deepEqual([await watched(ann, ben), await watched(ben, ann)], [[ben.id], [ann.id]])
  await block(ann, ben)
  assert.deepEqual([await watched(ann, ben), await watched(ben, ann)], [[], []])
  await unblock(ann, ben)
  assert.deepEqual(await watched(ben, ann), [ann.id])
})

test('who watches somebody hears nothing more of them after a block', async () => {
  const [ann, ben] = await pair()
  const cat = await join(server.url, 'cat')
  await openGroup(ann, ben, cat)
  for (const watcher of [ann, cat]) await watcher.do('presence:watch', { userIds: [ben.id] })
  await block(ben, ann, second.url)
  ben.close()
  const isOfBen = (payload: Heard['payload']) => payload.userId === ben.id
  await cat.hears('presence:changed', isOfBen)
  const [heard] = await heardDuring([ann], async () => {})
  assert.deepEqual(heard, [])
  assert.ok(!ann.heard.some(({ event, payload }) => event === 'presence:changed' && isOfBen(payload)))
  cat.close()
})

describe('at the same moment', () => {
  test('as messages are sent, a block lets those through that were before it, and none after', async () => {
    for (let round = 0; round < 5; round++) {
      const [ann, ben] = await pair()
      const conversationId = await openDirect(ann, ben)
      const sending = [ann, ben].flatMap((person) =>
        Array.from({ length: 80 }, () =>
          person.ask('message:send', { conversationId, clientId: randomUUID(), content: 'quick' }),
        ),
      )
      await Promise.race(sending)
      await block(ben, ann, second.url)
      const blocked = await historyOf(ann, conversationId)
      const acks = await Promise.all(sending)
      assert.deepEqual(await historyOf(ann, conversationId), blocked)
      const sent = acks.flatMap((ack) => (ack.ok ? [(ack.data as { id: string }).id] : []))
      assert.deepEqual(sent.toSorted(), blocked.map(({ id }) => id).toSorted())
      for (const ack of acks) if (!ack.ok) assert.equal(ack.error.code, 'forbidden')
    }
  })

  test('as a direct conversation begins, it is not begun or closed from its first moment on', async () => {
    for (let round = 0; round < 12; round++) {
      const [ann, ben] = await pair()
      const [ack] = await Promise.all([
        ann.ask('conversation:create', { type: 'direct', participantIds: [ben.id] }),
        block(...((round % 2 ? [ann, ben] : [ben, ann]) as [Person, Person]), second.url),
      ])
      if (!ack.ok) assert.equal(ack.error.code, 'not_found')
      else {
        const { id: conversationId } = ack.data as { id: string }
        for (const person of [ann, ben])
          await refuses(person, 'forbidden', 'message:send', { conversationId, clientId: randomUUID(), content: 'x' })
      }
      ann.close()
      ben.close()
    }
  })

  test('as both block each other and take it back, what the conversation says is what the blocks say', async () => {
    const [ann, ben] = await pair()
    const conversationId = await openDirect(ann, ben)
    for (let round = 0; round < 10; round++) {
      await Promise.all([
        setBlock(round % 2 ? 'POST' : 'DELETE', ann, ben),
        setBlock(round % 3 ? 'DELETE' : 'POST', ben, ann, second.url),
      ])
      const isClosed = round % 2 !== 0 || round % 3 === 0
      const ack = await ann.ask('message:send', { conversationId, clientId: randomUUID(), content: 'x' })
      assert.equal(ack.ok, !isClosed, `round ${round}`)
    }
  })
})
