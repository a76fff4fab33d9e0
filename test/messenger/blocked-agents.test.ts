import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import * as agents from '../agents/scene.ts'
import { eventually } from '../faults/scene.ts'
import { type AgentSocket, ask, connectAgent, makeAgent, makeKey } from '../support/agents.ts'
import type { Person } from '../support/people.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { heardDuring, hearsMessage, historyOf, messageOf, refuses, send } from './scene.ts'

let scene: agents.AgentsScene
/** Another node, where there can be one: the external agents are there. */
let second: TestServer
let ann: Person
before(async () => {
  scene = await agents.startAgentsScene()
  second = process.env['REDIS_URL'] ? await startServer(scene.server.env) : scene.server
  ann = await scene.person('ann')
})
after(async () => {
  await second.stop()
  await scene.end()
})

async function setBlock(method: 'POST' | 'DELETE', agent: { id: string }): Promise<void> {
  const { status } = await ask(scene.url, ann.session.accessToken, method, `/me/blocks/${agent.id}`)
  assert.equal(status, 204)
}

async function accepted<T>(socket: AgentSocket, name: string, input: object): Promise<T> {
  const ack = await socket.ask(name, input)
  assert.ok(ack.ok, `${name}: ${JSON.stringify(ack)}`)
  return ack.data as T
}

async function refusal(socket: AgentSocket, name: string, input: object): Promise<string> {
  const ack = await socket.ask(name, input)
  assert.ok(!ack.ok, `${name} was not refused: ${JSON.stringify(ack)}`)
  return ack.error.code
}

test('what an external agent writes ends as stopped when it is blocked, with what stood there, and nothing begins', async () => {
  const agent = await makeAgent(scene.url, ann)
  const socket = await connectAgent(second.url, (await makeKey(scene.url, ann, agent.id)).key)
  const conversationId = await agents.writeTo(ann, agent)
  const begin = { conversationId, clientId: randomUUID() }
  const { id: messageId } = await accepted<{ id: string }>(socket, 'stream:start', begin)
  await accepted(socket, 'stream:append', { conversationId, messageId, offset: 0, text: 'so far' })
  await eventually('it is stored', async () => (await messageOf(ann, conversationId, messageId)).content === 'so far')
  await setBlock('POST', agent)
  const onward = { conversationId, messageId, offset: 6, text: ' and no further' }
  // another node takes it for a moment, until it has the news; it neither tells nor stores it
  const late = await socket.ask('stream:append', onward)
  assert.ok(!late.ok || second !== scene.server)
  const ended = await hearsMessage(ann, messageId, 'messages:updated')
  assert.deepEqual([ended.status, ended.content], ['cancelled', 'so far'])
  const [heard] = await heardDuring([ann], async () => {
    assert.equal(await refusal(socket, 'stream:append', onward), 'gone')
    assert.equal(await refusal(socket, 'stream:finish', { conversationId, messageId }), 'gone')
    assert.equal(await refusal(socket, 'stream:start', { conversationId, clientId: randomUUID() }), 'forbidden')
    assert.equal(await refusal(socket, 'message:send', { ...begin, clientId: randomUUID(), content: 'x' }), 'forbidden')
  })
  assert.deepEqual(heard, [])
  assert.deepEqual(await historyOf(ann, conversationId), [ended])
  const told = agents.deltasOf(ann, messageId).map(({ text }) => text)
  assert.equal(told.join(''), 'so far')

  await setBlock('DELETE', agent)
  const { id: anew } = await accepted<{ id: string }>(socket, 'stream:start', { ...begin, clientId: randomUUID() })
  await accepted(socket, 'stream:append', { conversationId, messageId: anew, offset: 0, text: 'again' })
  await accepted(socket, 'stream:finish', { conversationId, messageId: anew })
  assert.equal((await hearsMessage(ann, anew, 'messages:updated')).content, 'again')
  socket.close()
})

test('so does the answer of a model; none is given anew, and after the block the agent answers again', async () => {
  scene.models.reset()
  const { promise, resolve: release } = Promise.withResolvers<void>()
  scene.models.script('m1', { chunks: ['One', ' two', ' three'], holdAfter: 2, holdUntil: promise }, {})
  const agent = await agents.builtIn(scene.url, ann)
  const conversationId = await agents.writeTo(ann, agent)
  await send(ann, conversationId, 'Count.')
  const { id: messageId } = await agents.begun(ann, conversationId)
  await eventually('it is stored', async () => (await messageOf(ann, conversationId, messageId)).content === 'One two')
  await setBlock('POST', agent)
  const ended = await hearsMessage(ann, messageId, 'messages:updated')
  assert.deepEqual([ended.status, ended.content], ['cancelled', 'One two'])
  release()
  const [heard] = await heardDuring([ann], () =>
    refuses(ann, 'forbidden', 'run:regenerate', { conversationId, messageId, clientId: randomUUID() }),
  )
  assert.deepEqual(heard, [])

  await setBlock('DELETE', agent)
  await send(ann, conversationId, 'And now?')
  const answer = await agents.answerTo(ann, conversationId, 2)
  assert.deepEqual([answer.status, answer.content], ['sent', 'Hello there.'])
})
