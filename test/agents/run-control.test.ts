import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, beforeEach, describe, test } from 'node:test'
import { eventually } from '../faults/scene.ts'
import { heardDuring, historyOf, messageOf, refuses, stateOf } from '../messenger/scene.ts'
import type { Person } from '../support/people.ts'
import * as on from './scene.ts'

let scene: on.AgentsScene
let ann: Person
let ben: Person
let stranger: Person
before(async () => {
  scene = await on.startAgentsScene()
  ;[ann, ben, stranger] = [await scene.person('ann'), await scene.person('ben'), await scene.person('stranger')]
})
after(() => scene?.end())
beforeEach(() => scene.models.reset())

const anyId = '0197a3c2-7d1e-7c40-9b7e-2f6d0a1b3c4d'

/** A question in a chat, and its answer. The chat has a title, so that its name is no further change. */
async function exchange(...models: string[]) {
  const chat = await ann.do('conversation:create', { type: 'assistant', models, title: 'Small talk' })
  const conversationId = chat.id
  const { id: question } = await on.say(ann, conversationId, 'How are you?')
  return { conversationId, question, answer: await on.answerTo(ann, conversationId) }
}

/** An answer in a group of Ann, Ben and an agent that is being written until it is released. */
async function growing() {
  const { promise, resolve: release } = Promise.withResolvers<void>()
  scene.models.script('m1', { chunks: ['One', ' two 😀', ' three'], holdAfter: 2, holdUntil: promise }, {})
  const agent = await on.builtIn(scene.url, ann)
  const conversationId = await on.gather(ann, ben, agent)
  await on.say(ann, conversationId, `@${agent.username} count`)
  const message = await on.begun(ann, conversationId)
  const stored = async () => (await messageOf(ann, conversationId, message.id)).content
  await eventually('what has come is stored', async () => (await stored()) === 'One two 😀')
  return { agent, conversationId, messageId: message.id, message, release }
}

describe('an answer is given anew', () => {
  test('by the same model, beside the earlier one, and charged like it', async () => {
    const { conversationId, answer } = await exchange('m1')
    scene.models.script('m1', { chunks: ['Even better.'] })
    const used = (await on.walletOf(scene.url, ann)).tokens.used
    const clientId = randomUUID()
    const input = { conversationId, messageId: answer.id, clientId }
    const begun = await on.order(ann, 'run:regenerate', input)
    const other = await on.answerTo(ann, conversationId, 2)
    assert.deepEqual(begun, { id: other.id, seq: 3, prevChange: answer.change, change: answer.change + 1 })
    assert.deepEqual([other.content, other.modelId, other.status], ['Even better.', 'm1', 'sent'])
    assert.deepEqual(await messageOf(ann, conversationId, answer.id), answer)
    assert.equal((await on.walletOf(scene.url, ann)).tokens.used, used + 11)
    const [, ...turns] = await on.shownBy(scene.models, 2)
    assert.deepEqual(turns, [{ role: 'user', content: 'How are you?' }], 'the earlier answer is not shown')
    assert.deepEqual(await on.order(ann, 'run:regenerate', input), begun, 'a repeat gives the first result')
    assert.equal((await historyOf(ann, conversationId)).length, 3)
  })

  test('by another model, also one that does not take part', async () => {
    const { conversationId, answer } = await exchange('m1')
    const input = { conversationId, messageId: answer.id, clientId: 'other', modelId: 'm3' }
    await on.order(ann, 'run:regenerate', input)
    const { modelId, status } = await on.answerTo(ann, conversationId, 2)
    assert.deepEqual([modelId, status], ['m3', 'sent'])
    await refuses(ann, 'not_found', 'run:regenerate', { ...input, clientId: 'unknown', modelId: 'no-such' })
    await refuses(ann, 'not_found', 'run:regenerate', { ...input, clientId: 'strange', modelId: 'claude-3-opus' })
  })

  test('to the very question, whatever was said between the two', async () => {
    const { agent, conversationId, message, release } = await growing()
    scene.models.script('m1', { chunks: ['To the second.'] })
    await on.say(ann, conversationId, `@${agent.username} and the second?`)
    await on.say(ben, conversationId, 'Nothing to do with it.')
    release()
    await on.ended(ann, message)
    const second = await on.answerTo(ann, conversationId, 2)
    const question = second.replyTo?.id
    await on.order(ann, 'run:regenerate', { conversationId, messageId: second.id, clientId: 'the-second-anew' })
    const anew = await on.answerTo(ann, conversationId, 3)
    assert.equal(anew.replyTo?.id, question)
    assert.match((await on.shownBy(scene.models, 3)).at(-1)?.content ?? '', /and the second\?$/)
  })

  test('once, however often it is asked for at the same time', async () => {
    const { conversationId, answer } = await exchange('m1')
    const input = { conversationId, messageId: answer.id, clientId: 'ten' }
    const begun = await Promise.all(Array.from({ length: 10 }, () => on.order(ann, 'run:regenerate', input)))
    assert.deepEqual(new Set(begun.map(({ id }) => id)).size, 1)
    await on.answerTo(ann, conversationId, 2)
    assert.equal((await historyOf(ann, conversationId)).length, 3)
    assert.equal(scene.models.requests.length, 2)
  })

  test('not while the same one is writing, nor to a stranger, nor what is no answer', async () => {
    const { conversationId, messageId, release } = await growing()
    const input = { conversationId, messageId, clientId: 'again' }
    await refuses(ben, 'conflict', 'run:regenerate', input)
    await refuses(stranger, 'not_found', 'run:regenerate', input)
    const { id: own } = await on.say(ben, conversationId, 'hm')
    await refuses(ben, 'unprocessable', 'run:regenerate', { ...input, messageId: own })
    await refuses(ben, 'not_found', 'run:regenerate', { ...input, messageId: anyId })
    release()
    await on.answerTo(ann, conversationId)
    await on.order(ben, 'run:regenerate', input)
    assert.equal((await on.answerTo(ann, conversationId, 2)).status, 'sent')
    const { used } = (await on.walletOf(scene.url, ben)).tokens
    assert.equal(used, 13, 'who asks for it pays for it')
  })
})

describe('a text that grows', () => {
  test('is read on from any offset, and from no other place', async () => {
    const { conversationId, messageId, release } = await growing()
    const read = (offset: number) => on.order(ben, 'run:resume', { conversationId, messageId, offset })
    assert.deepEqual(await read(0), { text: 'One two 😀', offset: 0, status: 'streaming' })
    assert.deepEqual(await read(4), { text: 'two 😀', offset: 4, status: 'streaming' })
    assert.deepEqual(await read(10), { text: '', offset: 10, status: 'streaming' })
    assert.deepEqual(await read(99), { text: '', offset: 10, status: 'streaming' })
    for (const wrong of [{ offset: -1 }, { offset: 1.5 }, { offset: '0' }, {}, { offset: 0, more: 1 }]) {
      await refuses(ben, 'invalid_request', 'run:resume', { conversationId, messageId, ...wrong })
    }
    await refuses(stranger, 'not_found', 'run:resume', { conversationId, messageId, offset: 0 })
    await refuses(ben, 'not_found', 'run:resume', { conversationId, messageId: anyId, offset: 0 })
    release()
    await on.answerTo(ann, conversationId)
    assert.deepEqual(await read(7), { text: ' 😀 three', offset: 7, status: 'sent' })
  })

  test('is stopped by any who takes part, once', async () => {
    const { conversationId, messageId } = await growing()
    await on.order(ben, 'run:stop', { conversationId, messageId })
    await on.order(ann, 'run:stop', { conversationId, messageId })
    const { status, content, change } = await on.answerTo(ann, conversationId)
    assert.deepEqual([status, content], ['cancelled', 'One two 😀'])
    await on.order(ben, 'run:stop', { conversationId, messageId })
    assert.equal((await messageOf(ann, conversationId, messageId)).change, change)
    assert.equal((await (await scene.models.request(1)).ended).by, 'client')
  })

  test('is not stopped by others, and they cannot tell that it is there', async () => {
    const { conversationId, messageId, release } = await growing()
    await ann.do('participant:remove', { conversationId, userId: ben.id })
    const before = await stateOf(ann, conversationId)
    const [heard] = await heardDuring([ann], async () => {
      for (const person of [ben, stranger]) {
        const refused = await refuses(person, 'not_found', 'run:stop', { conversationId, messageId })
        const unknown = await refuses(person, 'not_found', 'run:stop', { conversationId, messageId: anyId })
        assert.deepEqual(refused, unknown)
        await refuses(person, 'not_found', 'run:regenerate', { conversationId, messageId, clientId: 'x' })
        await refuses(person, 'not_found', 'run:resume', { conversationId, messageId, offset: 0 })
      }
    })
    assert.deepEqual(heard, [])
    assert.deepEqual(await stateOf(ann, conversationId), before)
    release()
    assert.equal((await on.answerTo(ann, conversationId)).content, 'One two 😀 three')
    const theirs = ben.heard.filter(
      ({ event, payload }) => event === 'stream:delta' && payload['messageId'] === messageId,
    )
    assert.ok(!theirs.some(({ payload }) => payload['text'] === ' three'), 'who was removed hears nothing more of it')
  })
})

test('what is not asked properly is refused, and changes nothing', async () => {
  const { conversationId, answer, question } = await exchange('m1')
  const before = await stateOf(ann, conversationId)
  const place = { conversationId, messageId: answer.id }
  const wrong: [string, unknown][] = [
    ...[null, [], 'x', { conversationId }, { ...place, more: 1 }, { ...place, messageId: 1 }].map(
      (input): [string, unknown] => ['run:stop', input],
    ),
    ...[place, { ...place, clientId: '' }, { ...place, clientId: 'x'.repeat(65) }, { ...place, clientId: 'a\0' }].map(
      (input): [string, unknown] => ['run:regenerate', input],
    ),
    ['run:regenerate', { ...place, clientId: 'x', modelId: '' }],
    ['run:regenerate', { ...place, clientId: 'x', modelId: { id: 'm1' } }],
  ]
  for (const [name, input] of wrong) await refuses(ann, 'invalid_request', name, input)
  await refuses(ann, 'not_found', 'run:stop', { conversationId, messageId: question })
  for (const name of ['stream:start', 'stream:append', 'stream:finish', 'stream:fail']) {
    const error = await ann.refused(name, { ...place, clientId: 'x', offset: 0, text: 'x' })
    assert.ok(['forbidden', 'invalid_request'].includes(error.code), `${name}: ${error.code}`)
  }
  assert.deepEqual(await stateOf(ann, conversationId), before)
  assert.equal(scene.models.requests.length, 1)
})

test('in the books each of these answers has ended, and was charged once or not at all', async () => {
  await on.readBooks(await scene.books())
})
