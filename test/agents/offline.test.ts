import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Agent } from '../../src/agents/agents.contract.ts'
import type { User } from '../../src/identity/identity.contract.ts'
import { messageOf } from '../messenger/scene.ts'
import { ask } from '../support/agents.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import { join, type Person } from '../support/people.ts'
import * as on from './scene.ts'

let server: Backend
let ann: Person
before(async () => {
  server = await startBackend()
  ann = await join(server.url, 'ann')
})
after(async () => {
  ann?.close()
  await server?.end()
})

test('on a server with nothing configured a new user finds somebody to write to, who answers', async (t) => {
  const by = <T>(path: string) => ask<T>(server.url, ann.session.accessToken, 'GET', path)
  let agent = { id: '' }
  let conversationId = ''

  await t.test('the agent of the server is found by its name, and seen to be an agent', async () => {
    const { body } = await by<{ items: User[] }>('/users?query=kintsugi')
    assert.deepEqual(
      body.items.map(({ kind, username, displayName }) => [kind, username, displayName]),
      [['agent', 'kintsugi', 'Kintsugi']],
    )
    agent = body.items[0] as User
    const { isPublic, ownerId, kind } = (await by<Agent>(`/agents/${agent.id}`)).body
    assert.deepEqual([isPublic, ownerId, kind], [true, undefined, 'built_in'])
  })

  await t.test('it answers in a text that grows word by word, and says that it is offline', async () => {
    conversationId = await on.writeTo(ann, agent)
    await on.say(ann, conversationId, 'hello')
    const { id, status, content } = await on.begun(ann, conversationId)
    assert.deepEqual([status, content], ['streaming', ''])
    const answer = await on.answerTo(ann, conversationId)
    assert.equal(answer.status, 'sent')
    assert.match(answer.content, /I am offline: no language model is configured on this server/)
    assert.ok(on.deltasOf(ann, id).length > 5, 'it comes in many parts')
    assert.equal(on.told(ann, id), answer.content)
    assert.deepEqual(await messageOf(ann, conversationId, id), answer)
  })

  await t.test('it does what it said it could', async () => {
    await on.say(ann, conversationId, '6 * 7')
    assert.equal((await on.answerTo(ann, conversationId, 2)).content, '6 * 7 = 42')
  })

  await t.test('it can be stopped', async () => {
    await on.say(ann, conversationId, 'write 2000 words')
    const { id } = await on.begun(ann, conversationId, 3)
    await ann.hears('stream:delta', ({ messageId }) => messageId === id)
    await on.order(ann, 'run:stop', { conversationId, messageId: id })
    const { status, content } = await on.answerTo(ann, conversationId, 3)
    assert.equal(status, 'cancelled')
    assert.equal(content, on.told(ann, id))
    assert.ok(content.length > 0 && content.length < 5_000)
  })

  await t.test('its model is the one there is for a chat, and nothing of all this costs anything', async () => {
    const { body } = await by<{ items: { id: string }[] }>('/models')
    assert.deepEqual(
      body.items.map(({ id }) => id),
      ['offline'],
    )
    const chat = await on.openChat(ann, 'offline')
    await on.say(ann, chat, 'count to 3')
    const { content, usage } = await on.answerTo(ann, chat)
    assert.match(content, /1, 2, 3$/)
    assert.equal(usage?.credits, 0)
    const wallet = await on.walletOf(server.url, ann)
    assert.deepEqual([wallet.tokens.used, wallet.credits, wallet.held], [0, 1000, 0])
    assert.equal((await on.usageOf(server.url, ann)).total.runs, 0)
  })
})
