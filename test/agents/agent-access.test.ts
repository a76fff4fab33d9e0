import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import type { Agent } from '../../src/agents/agents.contract.ts'
import type { Json } from '../../src/transport/schemas.ts'
import { openGroup, send } from '../messenger/scene.ts'
import { type AgentSocket, ask, connectAgent, makeAgent, makeKey } from '../support/agents.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import { type Ack, join, type Person } from '../support/people.ts'
import { operationsOf } from '../support/routes.ts'

/** Who may call what, written down once more: what is declared otherwise, or not written here, fails. */
const forAll = [
  ...['sync', 'conversation:list', 'conversation:get', 'conversation:settings', 'participant:list', 'message:send'],
  ...['message:edit', 'message:history', 'message:revisions', 'message:search', 'message:readers', 'reaction:add'],
  ...['reaction:remove', 'receipt:read', 'receipt:delivered', 'typing', 'presence:watch', 'message:delete'],
  ...['run:stop', 'run:resume', 'conversation:leave'],
]
const forPeople = [
  ...['conversation:create', 'conversation:update', 'conversation:delete', 'conversation:breakout'],
  ...['participant:add', 'participant:remove', 'participant:update', 'session:refresh', 'run:regenerate'],
]
const forAgents = ['stream:start', 'stream:append', 'stream:finish', 'stream:fail']

const routesForAll = [
  'DELETE /v1/attachments/{attachmentId}',
  'GET /v1/attachments/{attachmentId}',
  'GET /v1/conversations',
  'GET /v1/conversations/{conversationId}/messages',
  'POST /v1/conversations/{conversationId}/messages',
  'POST /v1/sync',
  'POST /v1/uploads',
]

let server: Backend
let owner: Person
let agent: Agent
let key: string
let online: AgentSocket

before(async () => {
  server = await startBackend()
  owner = await join(server.url, 'owner')
  agent = await makeAgent(server.url, owner)
  ;({ key } = await makeKey(server.url, owner, agent.id))
  online = await connectAgent(server.url, key)
})
after(async () => {
  online.close()
  owner.close()
  await server.end()
})

const documentOf = async (name: string): Promise<Json> =>
  (await (await fetch(`${server.url}/${name}.json`)).json()) as Json

const codeOf = (ack: Ack): string => (ack.ok ? 'ok' : ack.error.code)

interface Command {
  name: string
  /** The credentials that the document names. */
  credentials: string[]
}

async function commands(): Promise<Command[]> {
  const document = await documentOf('asyncapi')
  const { messages } = (document.channels as { default: { messages: Record<string, { name: string }> } }).default
  return Object.entries(document.operations as Record<string, { action: string; security: { $ref: string }[] }>)
    .filter(([, { action }]) => action === 'receive')
    .map(([id, { security }]) => ({
      name: messages[id]?.name ?? '',
      credentials: security.map(({ $ref }) => $ref.split('/').at(-1) ?? ''),
    }))
}

describe('the commands of sockets', () => {
  test('are each for people, for agents or for both, as the table has it, and the document says so', async () => {
    for (const { name, credentials } of await commands()) {
      const lists = [forAll, forPeople, forAgents].filter((list) => list.includes(name))
      assert.equal(lists.length, 1, `${name} stands once in the table`)
      const expected = { accessToken: !forAgents.includes(name), agentKey: !forPeople.includes(name) }
      const named = { accessToken: credentials.includes('accessToken'), agentKey: credentials.includes('agentKey') }
      assert.deepEqual(named, expected, name)
    }
  })

  test('that are for people refuse an agent, whatever it gives', async () => {
    for (const { name } of await commands()) {
      if (!forPeople.includes(name)) continue
      const ack = await online.ask(name, { conversationId: randomUUID(), token: 'x', type: 'group' })
      assert.equal(codeOf(ack), 'forbidden', name)
      assert.match(ack.ok ? '' : ack.error.message, /^This is for people/)
    }
  })

  test('that are for agents refuse a person', async () => {
    for (const { name } of await commands()) {
      if (!forAgents.includes(name)) continue
      assert.equal((await owner.refused(name, {})).code, 'forbidden', name)
    }
  })

  test('that are for all do for an agent what they do for a person', async () => {
    const conversationId = await openGroup(owner)
    await owner.do('participant:add', { conversationId, userId: agent.id })
    const { id: asked, seq } = await send(owner, conversationId, 'Hello')
    const work = async (name: string, input: object) => {
      const ack = await online.ask(name, input)
      assert.ok(ack.ok, `${name}: ${JSON.stringify(ack)}`)
      done.add(name)
      return ack.data as { id: string }
    }
    const done = new Set<string>()
    const of = { conversationId }
    const own = await work('message:send', { ...of, clientId: randomUUID(), content: 'Here I am' })
    for (const [name, input] of [
      ['sync', {}],
      ['conversation:list', {}],
      ['conversation:get', of],
      ['conversation:settings', { ...of, isMuted: true }],
      ['participant:list', of],
      ['message:edit', { ...of, messageId: own.id, content: 'There I was' }],
      ['message:history', of],
      ['message:revisions', { ...of, messageId: own.id }],
      ['message:search', { query: 'was' }],
      ['message:readers', { ...of, messageId: own.id }],
      ['reaction:add', { ...of, messageId: asked, emoji: '👍' }],
      ['reaction:remove', { ...of, messageId: asked, emoji: '👍' }],
      ['receipt:delivered', { ...of, seq }],
      ['receipt:read', { ...of, seq }],
      ['typing', { ...of, isTyping: true }],
      ['presence:watch', { userIds: [owner.id] }],
      ['message:delete', { ...of, messageId: own.id }],
      ['conversation:leave', of],
    ] as const)
      await work(name, input)
    // what is asked of an answer that is being written needs one
    const ofRuns = ['run:stop', 'run:resume']
    assert.deepEqual(
      forAll.filter((name) => !done.has(name)),
      ofRuns,
    )
    const mounted = new Set((await commands()).map(({ name }) => name))
    for (const name of ofRuns.filter((one) => mounted.has(one)))
      assert.notEqual(codeOf(await online.ask(name, {})), 'forbidden', name)
  })

  test('show an agent nothing of conversations that it is not in', async () => {
    const conversationId = await openGroup(owner)
    const { id } = await send(owner, conversationId, 'secret')
    const inputs: [string, object][] = [
      ['conversation:get', { conversationId }],
      ['message:history', { conversationId }],
      ['message:send', { conversationId, clientId: randomUUID(), content: 'from outside' }],
      ['reaction:add', { conversationId, messageId: id, emoji: '👍' }],
      ['participant:list', { conversationId }],
    ]
    for (const [name, input] of inputs) assert.equal(codeOf(await online.ask(name, input)), 'not_found', name)
    const listed = await online.ask('conversation:list', {})
    assert.ok(listed.ok && !JSON.stringify(listed.data).includes(conversationId))
    assert.ok(!JSON.stringify(online.heard).includes(conversationId), 'nor did it hear of it')
  })
})

describe('the routes of REST', () => {
  test('take a key where the document says so, and nowhere else', async () => {
    const operations = operationsOf(await documentOf('openapi'))
    for (const [name, { security }] of operations) {
      const credentials = (security as object[]).flatMap(Object.keys)
      assert.equal(credentials.includes('agentKey'), routesForAll.includes(name), name)
      if (!credentials.includes('accessToken') || routesForAll.includes(name)) continue
      const [method = '', path = ''] = name.split(' ')
      const address = path.replace('/v1', '').replaceAll(/\{\w+\}/g, randomUUID())
      const { status, body } = await ask(server.url, key, method, address, method === 'GET' ? undefined : {})
      assert.deepEqual([status, body.code], [403, 'forbidden'], name)
    }
    for (const name of routesForAll) assert.ok(operations.has(name), name)
  })

  test('that take a key do for an agent what they do for a person', async () => {
    const conversationId = await openGroup(owner)
    await owner.do('participant:add', { conversationId, userId: agent.id })
    const messages = `/conversations/${conversationId}/messages`
    const sent = await ask(server.url, key, 'POST', messages, { clientId: 'one', content: 'By REST' })
    assert.equal(sent.status, 201)
    const history = await ask<{ messages: { senderId: string }[] }>(server.url, key, 'GET', messages)
    assert.equal(history.body.messages.at(-1)?.senderId, agent.id)
    const list = await ask(server.url, key, 'GET', '/conversations')
    assert.ok(list.status === 200 && JSON.stringify(list.body).includes(conversationId))
    const synced = await ask(server.url, key, 'POST', '/sync', {})
    assert.ok(synced.status === 200 && JSON.stringify(synced.body).includes('By REST'))
  })

  test('refuse what only looks like a key', async () => {
    for (const wrong of [`${key}x`, key.slice(0, -1), 'kag_', 'kag_x', key.slice(4), `KAG_${key.slice(4)}`]) {
      const { status, body } = await ask(server.url, wrong, 'GET', '/conversations')
      assert.deepEqual([status, body.code], [401, 'unauthenticated'], wrong.slice(0, 8))
    }
  })
})
