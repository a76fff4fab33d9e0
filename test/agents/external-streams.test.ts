import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, beforeEach, describe, test } from 'node:test'
import { pino } from 'pino'
import { maxAppendLength, maxStreamLength } from '../../src/agents/agents.contract.ts'
import { createExternalStreams } from '../../src/agents/external-streams.service.ts'
import { createPump } from '../../src/agents/pump.ts'
import { createRuns } from '../../src/agents/runs.service.ts'
import type { Meter } from '../../src/billing/index.ts'
import { createMetrics } from '../../src/kernel/metrics.ts'
import type { ConversationEvent } from '../../src/kernel/ports.ts'
import type { Message } from '../../src/messenger/messenger.contract.ts'
import { createStreams } from '../../src/messenger/streams.service.ts'
import { assertSound, caughtUp, closing, eventually, lasting, part } from '../faults/scene.ts'
import { hearsMessage, join, messageOf, type Person, send } from '../messenger/scene.ts'
import { ask } from '../support/agents.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import { startMessenger } from '../support/messenger.ts'
import { ownRedis, withoutOwnRedis } from '../support/services.ts'
import { connectWriter, deltasOf, further, heardText, openStage, pieces, startWriters, type Writer } from './nodes.ts'

/** How many of these somebody heard begin. */
const beginningsOf = (person: Person, messageId: string): number =>
  person.heard
    .filter(({ event }) => event === 'messages:created')
    .flatMap(({ payload }) => part<Message[]>(payload, 'messages'))
    .filter(({ id }) => id === messageId).length

describe('a message that an external agent writes', () => {
  let server: Backend
  let ann: Person
  let bob: Person
  let stage: Awaited<ReturnType<typeof openStage>>
  let conversationId: string
  let writer: Writer
  before(async () => {
    server = await startBackend()
    ;[ann, bob] = await Promise.all([join(server.url, 'ann'), join(server.url, 'bob')])
  })
  beforeEach(async () => {
    writer?.close()
    stage = await openStage(server.url, ann, bob)
    conversationId = stage.conversationId
    writer = await connectWriter(server.url, stage.key)
  })
  after(async () => {
    writer.close()
    for (const person of [ann, bob]) person.close()
    await server.end()
    assert.equal(/"level":[56]0|rejection/.test(server.output()), false, server.output())
  })

  const append = (messageId: string, offset: number, text: string) =>
    writer.do('stream:append', { conversationId, messageId, offset, text })
  const finish = (messageId: string, more: object = {}) =>
    writer.do('stream:finish', { conversationId, messageId, ...more })
  const code = async (name: string, input: object, by: Writer = writer) => (await by.refused(name, input)).code

  test('grows for its readers from the first words on, and ends with what was said, once', async () => {
    const started = await writer.do<{ id: string; seq: number; change: number }>('stream:start', {
      conversationId,
      clientId: randomUUID(),
    })
    const begun = await hearsMessage(bob, started.id)
    assert.deepEqual([begun.status, begun.content, begun.senderId], ['streaming', '', stage.agent.id])
    assert.deepEqual([begun.seq, begun.change], [started.seq, started.change])
    let text = ''
    for (const piece of pieces(50)) {
      await append(started.id, text.length, piece)
      text += piece
    }
    const usage = { inputTokens: 3, outputTokens: 50 }
    const numbers = await finish(started.id, { usage })
    const ended = await hearsMessage(bob, started.id, 'messages:updated')
    assert.deepEqual([ended.status, ended.content, ended.change], ['sent', text, numbers.change])
    assert.deepEqual([ended.usage?.inputTokens, ended.usage?.outputTokens], [3, 50])
    assert.equal(heardText(bob, started.id), text)
    assert.equal(deltasOf(bob, started.id)[0]?.offset, 0)
    assert.deepEqual(await messageOf(ann, conversationId, started.id), ended)

    assert.deepEqual(await finish(started.id), numbers, 'repeated, it gives the same numbers')
    const late = { conversationId, messageId: started.id, offset: text.length, text: 'late' }
    assert.equal(await code('stream:append', late), 'gone')
    assert.equal((await messageOf(bob, conversationId, started.id)).content, text)
  })

  test('begins once for one clientId, also where it is asked for often at once', async () => {
    const input = { conversationId, clientId: randomUUID() }
    const answers = await Promise.all(Array.from({ length: 5 }, () => writer.do<{ id: string }>('stream:start', input)))
    for (const answer of answers) assert.deepEqual(answer, answers[0])
    const id = answers[0]?.id ?? ''
    await append(id, 0, 'once')
    await finish(id)
    assert.deepEqual(await writer.do('stream:start', input), answers[0], 'also after its end')
    await caughtUp(bob)
    assert.equal(beginningsOf(bob, id), 1)

    const clientId = randomUUID()
    await writer.do('message:send', { conversationId, clientId, content: 'not grown' })
    assert.equal(await code('stream:start', { conversationId, clientId }), 'idempotency_conflict')
  })

  test('takes repeats for what they are, trims what overlaps and refuses what leaves a gap', async () => {
    const id = await writer.begin(conversationId)
    assert.equal((await append(id, 0, 'hello')).offset, 5)
    assert.equal((await append(id, 0, 'hello')).offset, 5)
    assert.equal((await append(id, 2, 'l')).offset, 5)
    assert.equal((await append(id, 3, 'lo world')).offset, 11)
    const gap = await writer.refused('stream:append', { conversationId, messageId: id, offset: 12, text: 'far' })
    assert.equal(gap.code, 'conflict')
    const durable = gap.details?.['durable']
    assert.ok(typeof durable === 'number' && durable <= 11)
    await eventually('all is stored in a moment', async () => (await append(id, 0, 'h')).durable === 11, 3_000)
    await finish(id)
    assert.equal((await hearsMessage(bob, id, 'messages:updated')).content, 'hello world')
    assert.equal(heardText(bob, id), 'hello world')
  })

  test('is the only one of the agent in its conversation while it grows', async () => {
    const [first, second] = [randomUUID(), randomUUID()]
    const { id } = await writer.do<{ id: string }>('stream:start', { conversationId, clientId: first })
    assert.equal(await code('stream:start', { conversationId, clientId: second }), 'conflict')
    const other = await ann.do('conversation:create', {
      ...{ type: 'group', title: 'another', participantIds: [stage.agent.id] },
    })
    const elsewhere = await writer.begin(other.id)
    await writer.do('stream:append', { conversationId: other.id, messageId: elsewhere, offset: 0, text: 'there' })
    await append(id, 0, 'here')
    await finish(id)
    await writer.do('stream:start', { conversationId, clientId: second })
    await writer.do('stream:finish', { conversationId: other.id, messageId: elsewhere })
    assert.equal((await messageOf(ann, other.id, elsewhere)).content, 'there')
  })

  test('is stopped by any participant: the agent hears it, and nothing is taken any more', async () => {
    const id = await writer.begin(conversationId)
    await append(id, 0, 'so far')
    const ack = await bob.ask('run:stop', { conversationId, messageId: id })
    assert.ok(ack.ok, JSON.stringify(ack))
    const ended = await hearsMessage(bob, id, 'messages:updated')
    assert.deepEqual([ended.status, ended.content], ['cancelled', 'so far'])
    await eventually('the agent hears it', () =>
      writer.heard.some(({ event, payload }) => event === 'stream:stop' && payload.messageId === id),
    )
    const more = { conversationId, messageId: id, offset: 6, text: ' and on' }
    assert.equal(await code('stream:append', more), 'gone')
    assert.equal(await code('stream:finish', { conversationId, messageId: id }), 'gone')
    assert.equal(await code('stream:fail', { conversationId, messageId: id }), 'gone')
    assert.deepEqual(await messageOf(ann, conversationId, id), ended)
    await writer.begin(conversationId)
  })

  test('fails as the agent says, keeps its text, and fails without any', async () => {
    const id = await writer.begin(conversationId)
    await append(id, 0, 'half a')
    const numbers = await writer.do('stream:fail', { conversationId, messageId: id, error: 'out_of_paper' })
    const ended = await hearsMessage(bob, id, 'messages:updated')
    assert.deepEqual([ended.status, ended.error, ended.content], ['failed', 'out_of_paper', 'half a'])
    assert.deepEqual(await writer.do('stream:fail', { conversationId, messageId: id }), numbers)
    assert.equal(
      await code('stream:fail', { conversationId, messageId: id, error: 'Out of paper!' }),
      'invalid_request',
    )

    const plain = await writer.begin(conversationId)
    await writer.do('stream:fail', { conversationId, messageId: plain })
    assert.equal((await hearsMessage(bob, plain, 'messages:updated')).error, 'agent_failed')
    const empty = await writer.begin(conversationId)
    const ofEmpty = await finish(empty)
    assert.deepEqual(await finish(empty), ofEmpty)
    const nothing = await hearsMessage(bob, empty, 'messages:updated')
    assert.deepEqual([nothing.status, nothing.error], ['failed', 'empty'])
  })

  test('that has failed is not finished, nor failed once it was finished', async () => {
    const failed = await writer.begin(conversationId)
    await append(failed, 0, 'half a')
    await writer.do('stream:fail', { conversationId, messageId: failed })
    assert.equal(await code('stream:finish', { conversationId, messageId: failed }), 'gone')
    const finished = await writer.begin(conversationId)
    await append(finished, 0, 'whole')
    await finish(finished)
    assert.equal(await code('stream:fail', { conversationId, messageId: finished }), 'gone')
  })

  test('is no way for people to write, nor for another agent', async () => {
    const id = await writer.begin(conversationId)
    await append(id, 0, 'mine')
    const target = { conversationId, messageId: id }
    const commands: [string, object][] = [
      ['stream:append', { ...target, offset: 4, text: ' and yours' }],
      ['stream:finish', target],
      ['stream:fail', target],
    ]
    for (const [name, input] of [['stream:start', { conversationId, clientId: 'x' }] as const, ...commands]) {
      assert.equal((await ann.refused(name, input)).code, 'forbidden')
    }
    const others = await openStage(server.url, bob)
    const other = await connectWriter(server.url, others.key)
    assert.equal(await code('stream:start', { conversationId, clientId: 'x' }, other), 'not_found')
    for (const [name, input] of commands) assert.equal(await code(name, input, other), 'not_found')
    // it is its owner's alone until it is public; then it stands beside the one that writes
    await ask(server.url, bob.session.accessToken, 'PATCH', `/agents/${others.agent.id}`, { isPublic: true })
    await ann.do('participant:add', { conversationId, userId: others.agent.id })
    for (const [name, input] of commands) assert.equal(await code(name, input, other), 'not_found')
    other.close()
    await finish(id)
    assert.equal((await messageOf(bob, conversationId, id)).content, 'mine')
  })

  test('ends at once where the agent is removed', async () => {
    const id = await writer.begin(conversationId)
    await append(id, 0, 'so far')
    await ann.do('participant:remove', { conversationId, userId: stage.agent.id })
    const target = { conversationId, messageId: id }
    assert.equal(await code('stream:append', { ...target, offset: 6, text: ' and on' }), 'not_found')
    assert.equal(await code('stream:finish', target), 'not_found')
    assert.equal(await code('stream:fail', target), 'not_found')
    assert.equal(await code('stream:start', { conversationId, clientId: randomUUID() }), 'not_found')
    const ended = await hearsMessage(bob, id, 'messages:updated')
    assert.deepEqual([ended.status, ended.content], ['cancelled', 'so far'])
  })

  test('comes to so much and no more', async () => {
    const id = await writer.begin(conversationId)
    const target = { conversationId, messageId: id }
    assert.equal(
      await code('stream:append', { ...target, offset: 0, text: 'x'.repeat(maxAppendLength + 1) }),
      'invalid_request',
    )
    let length = 0
    while (length < maxStreamLength) {
      const text = 'x'.repeat(Math.min(maxAppendLength, maxStreamLength - length))
      length = (await append(id, length, text)).offset ?? 0
    }
    assert.equal(await code('stream:append', { ...target, offset: length, text: 'y' }), 'payload_too_large')
    await finish(id)
    const ended = await hearsMessage(bob, id, 'messages:updated')
    assert.deepEqual([ended.status, ended.content.length], ['sent', maxStreamLength])
  })

  test('replies to a message of the conversation, and to no other', async () => {
    const { id: question } = await send(bob, conversationId, 'Why?')
    const id = await writer.begin(conversationId, { replyToId: question })
    assert.equal((await hearsMessage(bob, id)).replyTo?.id, question)
    await append(id, 0, 'Because.')
    await finish(id)
    const unknown = {
      conversationId,
      clientId: randomUUID(),
      replyToId: id.replace(/.$/, (last) => (last === '0' ? '1' : '0')),
    }
    assert.equal(await code('stream:start', unknown), 'unprocessable')
  })

  test('goes on with the next connection of the agent', async () => {
    const id = await writer.begin(conversationId)
    await append(id, 0, 'before')
    writer.close()
    writer = await connectWriter(server.url, stage.key)
    assert.equal((await append(id, 0, 'before')).offset, 6)
    await append(id, 6, ' and after')
    await finish(id)
    assert.equal((await hearsMessage(bob, id, 'messages:updated')).content, 'before and after')
    assert.equal(heardText(bob, id), 'before and after')
  })
})

test('an agent that says nothing for too long is ended, and one that goes on is not', async (t) => {
  const messenger = await closing(t, startMessenger())
  const { database } = messenger
  const told: ConversationEvent[] = []
  const fanout = {
    toConversations: async (events: ConversationEvent[]) => void told.push(...events),
    isInRoom: () => true,
  }
  const log = pino({ level: 'silent' })
  const streams = createStreams({ database, fanout, searchIndex: { note: () => {} }, urls: { of: () => '' } })
  const externalIdleMs = 500
  const pump = createPump({ database, streams, clustered: false, externalIdleMs, metrics: createMetrics(), log })
  const runs = createRuns({
    ...{ database, streams, log, nodeId: 'a', tokensPerHour: 1 },
    // nothing is set aside for what external agents write
    meter: {} as Meter,
    tellWallet: async () => {},
    onAsked: () => {},
  })
  const external = createExternalStreams({ database, streams, runs, pump, fanout, nodeId: 'a' })
  const [person, agent] = [await messenger.person(), await messenger.agent()]
  const { id: conversationId } = await messenger.call(person.id, 'conversation:create', {
    ...{ type: 'group', title: 'a group', participantIds: [agent.id] },
  })
  const context = {
    ...{ requestId: 'test', ip: '192.0.2.1', userAgent: 'test' },
    actor: { userId: agent.id, kind: 'agent', sessionId: 'key', role: 'user' } as const,
  }
  const { id: messageId } = await external.start({ conversationId, clientId: 'once' }, context)
  const ended = () => told.find(({ event }) => event === 'messages:updated')
  let offset = 0
  for (const until = Date.now() + 2 * externalIdleMs; Date.now() < until; await lasting(externalIdleMs / 10)) {
    offset = (await external.append({ conversationId, messageId, offset, text: 'on ' }, context)).offset
  }
  assert.equal(ended(), undefined)
  await eventually('it is ended', () => ended() !== undefined, 10 * externalIdleMs)
  const [message] = (ended() as { payload: { messages: Message[] } }).payload.messages
  assert.deepEqual([message?.status, message?.error, message?.content], ['failed', 'timeout', 'on '.repeat(offset / 3)])
  const late = external.append({ conversationId, messageId, offset, text: 'late' }, context)
  await assert.rejects(late, { code: 'gone' })
  await assert.rejects(external.finish({ conversationId, messageId }, context), { code: 'gone' })
})

test('an external agent on two nodes', { skip: withoutOwnRedis }, async (t) => {
  const redis = await closing(t, ownRedis())
  await redis.start()
  const { nodes, a, b } = await startWriters(t, 2, { redis })
  const ann = await join(a, 'ann')
  const bob = await join(b, 'bob')
  const annAtB = await further(b, ann)
  t.after(() => {
    for (const person of [ann, annAtB, bob]) person.close()
  })

  await t.test('goes on at the other one, and what the first one still held changes nothing', async () => {
    const { key, conversationId } = await openStage(a, ann, bob)
    const first = await connectWriter(a, key)
    const messageId = await first.begin(conversationId)
    const target = { conversationId, messageId }
    await first.do('stream:append', { ...target, offset: 0, text: 'the beginning, ' })
    await eventually('it is stored', async () => {
      const { durable } = await first.do('stream:append', { ...target, offset: 0, text: 't' })
      return durable === 15
    })
    // the first node has this, and has not stored it when the second takes over
    const [{ offset }, second] = await Promise.all([
      first.do('stream:append', { ...target, offset: 15, text: 'one way' }),
      connectWriter(b, key),
    ])
    assert.equal(offset, 22)
    const gap = await second.refused('stream:append', { ...target, offset: 1_000, text: '?' })
    assert.equal(gap.code, 'conflict')
    const durable = Number(gap.details?.['durable'])
    first.close()
    await second.do('stream:append', { ...target, offset: durable, text: 'another way, and on to the end.' })
    await second.do('stream:finish', target)
    const text = `${'the beginning, one way'.slice(0, durable)}another way, and on to the end.`
    for (const person of [annAtB, bob, ann]) {
      const ended = await hearsMessage(person, messageId, 'messages:updated')
      assert.deepEqual([ended.status, ended.content], ['sent', text])
    }
    await caughtUp(ann)
    assert.equal((await messageOf(ann, conversationId, messageId)).content, text)
    second.close()
  })

  await t.test('comes and goes between them while its readers at both read all of it', async () => {
    const { key, conversationId } = await openStage(a, ann, bob)
    // cut anywhere
    const text = pieces(90).join('').replaceAll('🌊', '~')
    const messageId = await closing(t, connectWriter(a, key)).then((starter) => starter.begin(conversationId))
    const target = { conversationId, messageId }
    let durable = 0
    for (let round = 0; durable < text.length; round++) {
      const writer = await connectWriter(round % 2 ? a : b, key)
      for (let offset = durable; offset < Math.min(durable + 400, text.length); ) {
        const reached = await writer.do<{ offset: number; durable: number }>('stream:append', {
          ...{ ...target, offset, text: text.slice(offset, offset + 20) },
        })
        offset = reached.offset
      }
      await eventually('a part of it is stored', async () => {
        const reached = await writer.do('stream:append', { ...target, offset: 0, text: text.slice(0, 1) })
        const isFurther = (reached.durable ?? 0) > durable
        if (isFurther) durable = reached.durable ?? 0
        return isFurther
      })
      if (durable === text.length) await writer.do('stream:finish', target)
      writer.close()
    }
    for (const person of [annAtB, bob, ann]) {
      const ended = await hearsMessage(person, messageId, 'messages:updated')
      assert.deepEqual([ended.status, ended.content], ['sent', text])
      assert.equal(heardText(person, messageId), text)
    }
  })

  await t.test('hears at one node that it was stopped at the other', async () => {
    const { key, conversationId } = await openStage(a, ann, bob)
    const writer = await closing(t, connectWriter(a, key))
    const messageId = await writer.begin(conversationId)
    await writer.do('stream:append', { conversationId, messageId, offset: 0, text: 'so far' })
    assert.ok((await bob.ask('run:stop', { conversationId, messageId })).ok)
    assert.equal((await hearsMessage(bob, messageId, 'messages:updated')).status, 'cancelled')
    await eventually('it hears it', () => writer.heard.some(({ event }) => event === 'stream:stop'))
    const late = { conversationId, messageId, offset: 6, text: 'late' }
    assert.equal((await writer.refused('stream:append', late)).code, 'gone')
  })

  await t.test(
    'writes nothing that anyone hears once it was removed at the other, also while the link is down',
    async () => {
      const { agent, key, conversationId } = await openStage(a, ann, bob)
      const writer = await closing(t, connectWriter(a, key))
      const messageId = await writer.begin(conversationId)
      const target = { conversationId, messageId }
      await writer.do('stream:append', { ...target, offset: 0, text: 'so far' })
      await hearsMessage(ann, messageId)
      await redis.stop()
      await annAtB.do('participant:remove', { conversationId, userId: agent.id })
      await writer.ask('stream:append', { ...target, offset: 6, text: ' and on' })
      const ended = await hearsMessage(ann, messageId, 'messages:updated')
      assert.equal(ended.status, 'cancelled')
      assert.ok(['so far', 'so far and on'].includes(ended.content))
      const { code } = await writer.refused('stream:append', { ...target, offset: 13, text: ' and on' })
      assert.ok(['gone', 'not_found'].includes(code), code)
      assert.ok(deltasOf(ann, messageId).every(({ text }) => !text.includes('and on')))
      await redis.start()
    },
  )

  await t.test('writes where it came to be at the other while the link is down', async () => {
    const { agent, key } = await openStage(a, ann)
    const writer = await closing(t, connectWriter(b, key))
    await redis.stop()
    const { id: conversationId } = await ann.do('conversation:create', {
      ...{ type: 'group', title: 'unheard of', participantIds: [agent.id] },
    })
    const messageId = await writer.begin(conversationId)
    await writer.do('stream:append', { conversationId, messageId, offset: 0, text: 'all the same' })
    await writer.do('stream:finish', { conversationId, messageId })
    assert.equal((await messageOf(ann, conversationId, messageId)).content, 'all the same')
    await redis.start()
  })

  assertSound(...nodes)
})
