import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import type { Agent } from '../../src/agents/agents.contract.ts'
import type { Message } from '../../src/messenger/messenger.contract.ts'
import { eventually } from '../faults/scene.ts'
import { api, historyOf, messageOf } from '../messenger/scene.ts'
import type { ModelScript } from '../support/model-server.ts'
import type { Person } from '../support/people.ts'
import * as on from './scene.ts'

let scene: on.AgentsScene
let ann: Person
let ben: Person
let poet: Agent
let critic: Agent
before(async () => {
  scene = await on.startAgentsScene()
  ;[ann, ben] = [await scene.person('ann'), await scene.person('ben')]
  poet = await on.builtIn(scene.url, ann, { displayName: 'Poet', modelId: 'm1', systemPrompt: 'Answer in verse.' })
  critic = await on.builtIn(scene.url, ann, { displayName: 'Critic', modelId: 'm2' })
})
after(() => scene?.end())
beforeEach(() => scene.models.reset())

const askedModels = (): string[] => scene.models.requests.map(({ model }) => model)

/** A group of Ann, who owns it, Ben and the agents. */
const group = (...more: { id: string }[]): Promise<string> => on.gather(ann, ben, poet, critic, ...more)

const askPoet = (person: Person, id: string, text = 'a line, please') => on.say(person, id, `@${poet.username} ${text}`)

const answersOf = async (person: Person, id: string): Promise<Message[]> =>
  (await historyOf(person, id)).filter(({ role }) => role === 'assistant')

/** The poet's answer in a group has begun, with its first word, and goes on when it is released. */
async function poetWrites(id: string, ...then: ModelScript[]) {
  const { promise, resolve: release } = Promise.withResolvers<void>()
  scene.models.script('m1', { chunks: ['Roses', ' are red.'], holdAfter: 1, holdUntil: promise }, ...then)
  await askPoet(ann, id)
  const message = await on.begun(ann, id)
  await ann.hears('stream:delta', ({ messageId }) => messageId === message.id)
  return { message, release }
}

/** The model was given up, though it had more to say. */
const isGivenUp = async (number = 1): Promise<void> => {
  const { by } = await (await scene.models.request(number)).ended
  assert.equal(by, 'client')
}

describe('an agent answers', () => {
  test('every message of a direct conversation, and never its own', async () => {
    const id = await on.writeTo(ben, poet)
    for (const number of [1, 2]) {
      await on.say(ben, id, 'hello')
      const { senderId, role, status, content, modelId, replyTo } = await on.answerTo(ben, id, number)
      assert.deepEqual(
        [senderId, role, status, content, modelId, replyTo],
        [poet.id, 'assistant', 'sent', 'Hello there.', 'm1', undefined],
      )
    }
    assert.deepEqual(askedModels(), ['m1', 'm1'])
  })

  test('a message that came over REST', async () => {
    const dan = await scene.person('dan')
    const id = await on.writeTo(dan, poet)
    const body = { clientId: 'by-rest', content: 'hello' }
    assert.equal((await api(scene.url, dan)('POST', `/conversations/${id}/messages`, body)).status, 201)
    assert.equal((await on.answerTo(dan, id)).status, 'sent')
    const repeat = await api(scene.url, dan)('POST', `/conversations/${id}/messages`, body)
    assert.equal(repeat.body['duplicate'], true)
    await on.say(dan, id, 'and again')
    await on.answerTo(dan, id, 2)
    assert.equal((await answersOf(dan, id)).length, 2, 'a repeat asks nothing')
  })

  test('in a group those who mention it or reply to it, and no others', async () => {
    const id = await group()
    await on.say(ben, id, 'hello all')
    const { id: own } = await on.say(ben, id, `@${ann.username} hello`)
    await on.say(ann, id, 'hello you', { replyToId: own })
    const { id: question } = await on.say(ben, id, `Hello, @${poet.username.toUpperCase()}!`)
    const answer = await on.answerTo(ben, id)
    assert.deepEqual([answer.senderId, answer.replyTo?.id], [poet.id, question])
    await on.say(ann, id, 'more', { replyToId: answer.id })
    assert.equal((await on.answerTo(ben, id, 2)).senderId, poet.id)
    assert.equal((await answersOf(ann, id)).length, 2)
    assert.deepEqual(askedModels(), ['m1', 'm1'])
  })

  test('beside another that is asked by the same message', async () => {
    const id = await group()
    await on.say(ann, id, `@${poet.username} and @${critic.username}: your turn`)
    const answers = [await on.answerTo(ben, id), await on.answerTo(ben, id, 2)]
    assert.deepEqual(answers.map(({ senderId }) => senderId).toSorted(), [poet.id, critic.id].toSorted())
    assert.deepEqual(askedModels().toSorted(), ['m1', 'm2'])
  })

  test('once more for all that it was asked while it wrote', async () => {
    const id = await group()
    const { release } = await poetWrites(id, { chunks: ['Violets are blue.'] })
    for (const text of ['first', 'second', 'third']) await askPoet(ben, id, text)
    release()
    assert.equal((await on.answerTo(ann, id, 1)).content, 'Roses are red.')
    assert.equal((await on.answerTo(ann, id, 2)).content, 'Violets are blue.')
    const shown = JSON.stringify(scene.models.requests[1]?.body['messages'])
    for (const text of ['Roses are red.', 'first', 'second', 'third']) assert.ok(shown.includes(text), shown)
    await askPoet(ann, id)
    await on.answerTo(ann, id, 3)
    assert.equal((await answersOf(ann, id)).length, 3)
  })

  test('by the offline model for who is in mock mode, and at no cost', async () => {
    const tester = await scene.person('mocked')
    const id = await on.writeTo(tester, poet)
    await on.say(tester, id, 'hello')
    const answer = await on.answerTo(tester, id)
    assert.match(answer.content, /offline/)
    assert.deepEqual([answer.status, answer.modelId, answer.usage?.credits], ['sent', 'offline', 0])
    assert.deepEqual([askedModels(), (await on.walletOf(scene.url, tester)).tokens.used], [[], 0])
  })
})

describe('an answer under way ends', () => {
  test('when its agent is removed, which answers nothing more', async () => {
    const id = await group()
    const { message } = await poetWrites(id)
    await ann.do('participant:remove', { conversationId: id, userId: poet.id })
    const { status, content } = await on.ended(ann, message)
    assert.deepEqual([status, content], ['cancelled', 'Roses'])
    await isGivenUp()
    await askPoet(ann, id)
    await on.say(ann, id, 'please', { replyToId: message.id })
    await on.say(ann, id, `@${critic.username} where is he?`)
    assert.equal((await on.answerTo(ann, id, 2)).senderId, critic.id)
    assert.equal((await answersOf(ann, id)).length, 2)
  })

  test('when the conversation is deleted', async () => {
    const id = await group()
    await poetWrites(id)
    await ann.do('conversation:delete', { conversationId: id })
    await isGivenUp()
  })

  test('when it is deleted, and stays so', async () => {
    const id = await group()
    const { message } = await poetWrites(id, {})
    await ann.do('message:delete', { conversationId: id, messageId: message.id })
    await isGivenUp()
    await askPoet(ben, id)
    const { status } = await on.answerTo(ben, id, 2)
    assert.equal(status, 'sent', 'the agent is free for the next question')
    const tombstone = await messageOf(ben, id, message.id)
    assert.ok(tombstone.deletedAt)
    assert.deepEqual([tombstone.content, tombstone.status], ['', 'cancelled'])
    const resumed = await on.order(ben, 'run:resume', { conversationId: id, messageId: message.id, offset: 0 })
    assert.deepEqual(resumed, { text: '', offset: 0, status: 'cancelled' })
  })
})

test('a question of somebody who is banned by then is not answered', async () => {
  const admin = await scene.person('admin')
  const pest = await scene.person('pest')
  const id = await group(pest)
  const { message, release } = await poetWrites(id)
  await askPoet(pest, id, 'nonsense')
  const ban = await api(scene.url, admin)('POST', `/admin/users/${pest.id}/ban`, { reason: 'a pest' })
  assert.equal(ban.status, 200, JSON.stringify(ban.body))
  release()
  assert.equal((await on.ended(ann, message)).status, 'sent')
  await on.say(ann, id, `@${critic.username} go on`)
  assert.equal((await on.answerTo(ann, id, 2)).senderId, critic.id)
  assert.deepEqual(askedModels(), ['m1', 'm2'])
})

describe('a model is shown', () => {
  test('in a group who said what, its own turns as its own, and who it is', async () => {
    const id = await group()
    await on.say(ben, id, 'Spring is here.')
    await askPoet(ann, id)
    const first = await on.answerTo(ann, id)
    await on.say(ben, id, 'Lovely!', { replyToId: first.id })
    await on.answerTo(ann, id, 2)
    const [system, ...turns] = await on.shownBy(scene.models, 2)
    assert.equal(system?.role, 'system')
    assert.match(system?.content ?? '', /^Answer in verse\.\n\nYou are Poet\. /)
    assert.deepEqual(turns, [
      { role: 'user', content: `ben: Spring is here.\n\nann: @${poet.username} a line, please` },
      { role: 'assistant', content: 'Hello there.' },
      { role: 'user', content: 'ben:\n> Poet: Hello there.\nLovely!' },
    ])
  })

  test('in a comparison what was asked and its own answers, never those of others', async () => {
    for (const model of ['m1', 'm2', 'm3']) scene.models.script(model, { chunks: [`This is ${model}.`] })
    const id = (
      await ann.do('conversation:create', { type: 'assistant', models: ['m1', 'm2', 'm3'], systemPrompt: 'Be brief.' })
    ).id
    await on.say(ann, id, 'Who are you?')
    for (const number of [1, 2, 3]) await on.answerTo(ann, id, number)
    await on.say(ann, id, 'And who else?')
    for (const number of [4, 5, 6]) await on.answerTo(ann, id, number)
    for (const { model, body } of scene.models.requests.slice(3)) {
      const [system, ...turns] = body['messages'] as { role: string; content: string }[]
      assert.match(system?.content ?? '', /^Be brief\./)
      assert.deepEqual(turns, [
        { role: 'user', content: 'Who are you?' },
        { role: 'assistant', content: `This is ${model}.` },
        { role: 'user', content: 'And who else?' },
      ])
    }
  })
})

test('in the books each of these answers has ended, and was charged once or not at all', async () => {
  await eventually('no model is being asked', () => scene.models.open() === 0)
  await on.readBooks(await scene.books())
})
