import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join as joinPath } from 'node:path'
import { type TestContext, test } from 'node:test'
import { sql } from 'kysely'
import { run } from '../../src/database/database.ts'
import type { Message } from '../../src/messenger/messenger.contract.ts'
import { assertSound, closing, eventually, makeGroup, say } from '../faults/scene.ts'
import { connect, hearsMessage, join, messageOf } from '../messenger/scene.ts'
import { makeAgent } from '../support/agents.ts'
import { type ModelServer, startModelServer } from '../support/model-server.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { withoutServices } from '../support/services.ts'
import {
  answerAfter,
  askModel,
  connectWriter,
  further,
  heardText,
  hearsEnd,
  hearsUpTo,
  openChat,
  openStage,
  pieces,
  standingOf,
  startWriters,
} from './nodes.ts'
import { modelEnv } from './scene.ts'

/** The lease of a run and a round of the reaper, and a second for the work. */
const terminalMs = 19_000
/** As the protocol has it, for a question that nobody has taken up. */
const takenUpMs = 10_000

/** The model says so much and then nothing. */
function hang(models: ModelServer, model = 'm1') {
  const chunks = pieces(20)
  const gate = Promise.withResolvers<void>()
  models.script(model, { chunks: [...chunks, 'the end'], holdAfter: chunks.length, holdUntil: gate.promise })
  return { text: chunks.join(''), go: () => gate.resolve() }
}

test('the node that writes an answer is killed: it ends as failed, keeps its text, costs nothing, and others go on', {
  skip: withoutServices,
}, async (t) => {
  const { nodes, a, b, models, database } = await startWriters(t, 2)
  const [first, second] = nodes
  assert.ok(first && second)
  const ann = await join(a, 'ann')
  const annAtB = await further(b, ann)
  t.after(() => {
    for (const person of [ann, annAtB]) person.close()
  })
  const chat = await openChat(ann, 'm1')
  const before = await standingOf(b, ann)
  const { text } = hang(models)
  const answer = await askModel(ann, chat)
  await hearsUpTo(annAtB, answer.id, text.length)
  await eventually('all of it is stored', async () => (await messageOf(annAtB, chat, answer.id)).content === text)
  const during = await standingOf(b, ann)
  assert.ok(during.used > before.used, 'something is set aside')

  await first.kill()
  const killed = performance.now()
  await eventually(
    'the answer has ended',
    async () => (await messageOf(annAtB, chat, answer.id)).status !== 'streaming',
    terminalMs,
  )
  t.diagnostic(`ended ${Math.round(performance.now() - killed)} ms after the kill`)
  const ended = await hearsEnd(annAtB, answer)
  assert.deepEqual([ended.status, ended.error, ended.content], ['failed', 'interrupted', text])
  assert.equal(ended.usage?.credits, 0)
  assert.deepEqual(await standingOf(b, ann), before)
  const [row] = await database.database.query(
    sql<{ status: string }>`select status from agent_runs where message_id = ${answer.id}`,
  )
  assert.equal(row?.status, 'failed')

  models.script('m1', { chunks: ['I am', ' another.'] })
  const next = await askModel(annAtB, chat, 'And now?')
  assert.deepEqual([(await hearsEnd(annAtB, next)).content], ['I am another.'])
  assertSound(second)
})

test('the node that stored a question is killed before anyone takes it up: another node answers', {
  skip: withoutServices,
}, async (t) => {
  const { nodes, a, b, models, database } = await startWriters(t, 2)
  const [first, second] = nodes
  assert.ok(first && second)
  const [ann, bob] = [await join(a, 'ann'), await join(b, 'bob')]
  t.after(() => {
    for (const person of [ann, bob]) person.close()
  })
  const poet = await makeAgent(a, ann, { kind: 'built_in', modelId: 'm1', isPublic: true })
  const group = await makeGroup(ann, bob)
  await ann.do('participant:add', { conversationId: group, userId: poet.id })
  models.script('m1', { chunks: ['a', ' verse'] })

  // nobody can begin an answer while this is held, and the question is stored all the same
  const held = Promise.withResolvers<void>()
  const locked = Promise.withResolvers<void>()
  const lock = database.database.transact(async (em) => {
    await run(em, sql`lock table agent_runs in exclusive mode`)
    locked.resolve()
    await held.promise
  })
  await locked.promise
  const { seq } = await say(ann, group, `@${poet.username} a poem`)
  await first.kill()
  held.resolve()
  await lock
  const killed = performance.now()
  assert.equal(models.requests.length, 0)

  const answer = await answerAfter(bob, group, seq)
  const ended = await hearsEnd(bob, answer)
  t.diagnostic(`answered ${Math.round(performance.now() - killed)} ms after the kill`)
  assert.ok(performance.now() - killed < takenUpMs)
  assert.deepEqual([ended.status, ended.content, ended.senderId], ['sent', 'a verse', poet.id])
  assert.equal(models.requests.length, 1, 'it is answered once')
  assert.deepEqual(await database.database.query(sql`select seq from message_triggers`), [])
  assertSound(second)
})

test('the only node is killed and started again: what it wrote ends as failed, and nothing is held', async (t) => {
  const folder = await mkdtemp(joinPath(tmpdir(), 'kintsugi-killed-'))
  const nodes: TestServer[] = []
  // ends first: what `after` was given first ends first
  t.after(async () => {
    for (const node of nodes) await node.kill()
    await rm(folder, { recursive: true, force: true })
  })
  const models = await closing(t, startModelServer())
  const start = async (): Promise<TestServer> => {
    const node = await startServer({ ...modelEnv(models.url), DATA_DIR: folder })
    nodes.push(node)
    return node
  }
  const first = await start()
  const ann = await join(first.url, 'ann')
  const chat = await openChat(ann, 'm1')
  const before = await standingOf(first.url, ann)
  const { text } = hang(models)
  const answer = await askModel(ann, chat)
  await eventually('it is stored', async () => (await messageOf(ann, chat, answer.id)).content === text)
  ann.close()
  await first.kill()
  const killed = performance.now()

  const second = await start()
  const again = await connect(second.url, ann.session)
  const started = performance.now()
  await eventually(
    'the answer has ended',
    async () => (await messageOf(again, chat, answer.id)).status !== 'streaming',
    terminalMs,
  )
  t.diagnostic(
    `ended ${Math.round(performance.now() - killed)} ms after the kill, ${Math.round(performance.now() - started)} ms after the start`,
  )
  const ended = await messageOf(again, chat, answer.id)
  assert.deepEqual([ended.status, ended.error, ended.content], ['failed', 'interrupted', text])
  assert.deepEqual(await standingOf(second.url, again), before)

  models.script('m1', { chunks: ['here', ' again'] })
  const next = await askModel(again, chat, 'And now?')
  assert.equal((await hearsEnd(again, next)).content, 'here again')
  again.close()
  assertSound(second)
})

/** The first of these nodes is told to end: a short answer and a long one are on their way in it. */
async function endInMidAnswers(t: TestContext, node: TestServer, models: ModelServer): Promise<void> {
  const ann = await join(node.url, 'ann')
  const chats = await Promise.all(['m1', 'm2'].map((model) => openChat(ann, model)))
  const [short, long] = [hang(models, 'm1'), hang(models, 'm2')]
  const answers = await Promise.all(chats.map((chat) => askModel(ann, chat)))
  await Promise.all(answers.map(({ id }) => hearsUpTo(ann, id, short.text.length)))
  const endings = Promise.all(answers.map((answer) => hearsEnd(ann, answer)))
  const started = performance.now()
  const exit = node.stop()
  short.go()
  const [finished, interrupted] = await endings
  assert.deepEqual([finished?.status, finished?.content], ['sent', `${short.text}the end`])
  const { status, error, content, usage } = interrupted as Message
  assert.deepEqual([status, error, content, usage?.credits], ['failed', 'interrupted', long.text, 0])
  assert.equal(await exit, 0, node.output())
  const tookMs = performance.now() - started
  t.diagnostic(`exit after ${Math.round(tookMs)} ms`)
  assert.ok(tookMs < 10_000)
  assert.equal(node.output().includes('"level":50'), false, node.output())
}

test('at a shutdown a short answer comes to its end, a long one ends as interrupted with its text, and the exit is 0', async (t) => {
  const models = await closing(t, startModelServer())
  const node = await startServer(modelEnv(models.url))
  await endInMidAnswers(t, node, models)
})

test('at a shutdown of one of two nodes only what came to its end is paid for, and an external agent goes on at the other', {
  skip: withoutServices,
}, async (t) => {
  const { nodes, a, b, models, database } = await startWriters(t, 2)
  const [first, second] = nodes
  assert.ok(first && second)
  const [ann, bob] = [await join(b, 'ann'), await join(b, 'bob')]
  t.after(() => {
    for (const person of [ann, bob]) person.close()
  })
  const { key, conversationId } = await openStage(b, ann, bob)
  const parts = pieces(60)
  const text = parts.join('')
  const writer = await connectWriter(a, key)
  const messageId = await writer.begin(conversationId)
  let durable = 0
  let length = 0
  for (const part of parts.slice(0, 30)) {
    const reached = await writer.do('stream:append', { conversationId, messageId, offset: length, text: part })
    length = reached.offset ?? 0
    durable = reached.durable ?? 0
  }
  const closed = writer.closed()
  const exit = endInMidAnswers(t, first, models)
  await closed
  assert.ok(durable < length, 'a part is not known to be stored')
  const successor = await closing(t, connectWriter(b, key))
  const reached = await successor.do('stream:append', {
    ...{ conversationId, messageId },
    ...{ offset: durable, text: text.slice(durable, length) },
  })
  assert.equal(reached.offset, length)
  assert.equal(reached.durable, length, 'the node has stored all before it went')
  await successor.do('stream:append', { conversationId, messageId, offset: length, text: text.slice(length) })
  await successor.do('stream:finish', { conversationId, messageId })
  const ended = await hearsMessage(bob, messageId, 'messages:updated')
  assert.deepEqual([ended.status, ended.content], ['sent', text])
  assert.equal(heardText(bob, messageId), text)
  await exit
  const wallets = await database.database.query(sql<{ held: number; used: number }>`
    select held::int, tokens_used::int as used from wallets where tokens_used > 0`)
  assert.deepEqual(wallets, [{ held: 0, used: 10 + 21 }], 'the model server said 10 and 21 of the one that ended')
  assertSound(second)
})
