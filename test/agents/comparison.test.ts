import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import type { Message } from '../../src/messenger/messenger.contract.ts'
import { historyOf, messageOf } from '../messenger/scene.ts'
import type { Person } from '../support/people.ts'
import * as on from './scene.ts'

let scene: on.AgentsScene
let ann: Person
before(async () => {
  scene = await on.startAgentsScene()
  ann = await scene.person('ann')
})
after(() => scene?.end())

const models = ['gpt-4o-mini', 'm2', 'm3', 'm4']

/** The answers to a question by their models, as they are now. */
const byModel = async (conversationId: string, after: number): Promise<Map<string, Message>> => {
  const answers = (await historyOf(ann, conversationId)).filter(({ seq, role }) => seq > after && role === 'assistant')
  return new Map(answers.map((message) => [message.modelId ?? '', message]))
}

test('four models are compared, and the conversation goes on with the best', async (t) => {
  const slow = Promise.withResolvers<void>()
  const more = (tokens: number) => ({ usage: { prompt_tokens: 20, completion_tokens: tokens } })
  scene.models.script('gpt-4o-mini', { chunks: ['A sonnet', ' has fourteen lines.'], ...more(6) })
  scene.models.script('m2', { chunks: ['Fourteen.'], ...more(3) })
  scene.models.script('m3', {
    chunks: ['Well', ', let me see: fourteen.'],
    ...more(9),
    holdAfter: 1,
    holdUntil: slow.promise,
  })
  scene.models.script('m4', { chunks: ['Four'], fault: 'reset' })

  let conversationId = ''
  let question = { id: '', seq: 0 }
  let answers = new Map<string, Message>()
  const answerOf = (model: string): Message => answers.get(model) as Message

  await t.test('Ann asks all of them at once, and each begins an answer of its own', async () => {
    conversationId = await on.openChat(ann, ...models)
    question = await on.say(ann, conversationId, 'How many lines has a sonnet?')
    await on.begun(ann, conversationId, 4)
    const began = on.answersIn(ann, conversationId)
    assert.deepEqual(
      began.map(({ modelId, seq, senderId, status }) => [modelId, seq, senderId, status]),
      models.map((model, place) => [model, question.seq + 1 + place, undefined, 'streaming']),
    )
    const events = ann.heard.filter(
      ({ event, payload }) => event === 'messages:created' && payload['conversationId'] === conversationId,
    )
    assert.equal(events.length, 1, 'in one event, and her own message in none')
  })

  await t.test('two have answered and one has failed while the slow one still thinks', async () => {
    const began = on.answersIn(ann, conversationId)
    for (const message of began.filter(({ modelId }) => modelId !== 'm3')) await on.ended(ann, message)
    await ann.hears('stream:delta', ({ messageId }) => messageId === began[2]?.id)
    answers = await byModel(conversationId, question.seq)
    assert.deepEqual(
      models.map((model) => [answerOf(model).status, answerOf(model).error]),
      [
        ['sent', undefined],
        ['sent', undefined],
        ['streaming', undefined],
        ['failed', 'upstream_failed'],
      ],
    )
    assert.equal(answerOf('m4').content, 'Four', 'what came of the failed one stays')
  })

  await t.test('in the end each shows its own text, tokens and time', async () => {
    slow.resolve()
    await on.ended(ann, answerOf('m3'))
    answers = await byModel(conversationId, question.seq)
    const figures = models.slice(0, 3).map((model) => {
      const { status, content, usage } = answerOf(model)
      assert.ok((usage?.processingTimeMs ?? 0) > 0)
      return [status, content, usage?.inputTokens, usage?.outputTokens, usage?.credits]
    })
    assert.deepEqual(figures, [
      ['sent', 'A sonnet has fourteen lines.', 20, 6, 0],
      ['sent', 'Fourteen.', 20, 3, 0],
      ['sent', 'Well, let me see: fourteen.', 20, 9, 0],
    ])
    for (const { id, content } of answers.values()) assert.equal(on.told(ann, id), content)
    const { title } = await ann.do('conversation:get', { conversationId })
    assert.equal(title, 'How many lines has a sonnet?')
  })

  await t.test('she pays for the three that answered, and nothing for the one that failed', async () => {
    const { items, total } = await on.usageOf(scene.url, ann)
    assert.deepEqual(
      items
        .map(({ modelId, runs, inputTokens, outputTokens }) => [modelId, runs, inputTokens, outputTokens])
        .toSorted(),
      [
        ['gpt-4o-mini', 1, 20, 6],
        ['m2', 1, 20, 3],
        ['m3', 1, 20, 9],
      ],
    )
    assert.equal(total.runs, 3)
    const { tokens, held } = await on.walletOf(scene.url, ann)
    assert.deepEqual([tokens.used, held], [78, 0])
  })

  let breakout = ''
  await t.test('she goes on with the one that she liked, from its answer on', async () => {
    const messageId = answerOf('gpt-4o-mini').id
    const begun = await ann.do('conversation:create', {
      ...{ type: 'assistant', clientId: randomUUID(), parentId: conversationId },
      ...{ breakoutModelId: 'gpt-4o-mini', messageId },
    })
    breakout = begun.id
    assert.deepEqual([begun.models, begun.parentId], [['gpt-4o-mini'], conversationId])
    assert.deepEqual(
      (await historyOf(ann, breakout)).map(({ role, content }) => [role, content]),
      [
        ['user', 'How many lines has a sonnet?'],
        ['assistant', 'A sonnet has fourteen lines.'],
      ],
    )
    scene.models.reset()
    await on.say(ann, breakout, 'And a haiku?')
    const answer = await on.answerTo(ann, breakout)
    assert.deepEqual([answer.status, answer.modelId], ['sent', 'gpt-4o-mini'])
    assert.equal(scene.models.requests.length, 1, 'the others are not asked')
    assert.deepEqual((await on.shownBy(scene.models, 1)).slice(1), [
      { role: 'user', content: 'How many lines has a sonnet?' },
      { role: 'assistant', content: 'A sonnet has fourteen lines.' },
      { role: 'user', content: 'And a haiku?' },
    ])
  })

  await t.test('the comparison is deleted, and what came of it lives on', async () => {
    await ann.do('conversation:delete', { conversationId })
    const { parentId, title } = await ann.do('conversation:get', { conversationId: breakout })
    assert.deepEqual([parentId, title], [undefined, 'How many lines has a sonnet?'])
    await on.say(ann, breakout, 'Thank you!')
    const { id } = await on.answerTo(ann, breakout, 2)
    assert.equal((await messageOf(ann, breakout, id)).status, 'sent')
    assert.equal((await historyOf(ann, breakout)).length, 6)
    assert.equal((await on.walletOf(scene.url, ann)).tokens.used, 78 + 2 * 13)
  })

  await t.test('the books agree', async () => {
    const books = [...(await on.readBooks(await scene.books())).values()]
    assert.deepEqual(books.map(({ run, reservation, charged }) => [run, reservation, charged]).toSorted(), [
      ['failed', 'cancelled', null],
      ['succeeded', 'settled', 13],
      ['succeeded', 'settled', 13],
      ['succeeded', 'settled', 23],
      ['succeeded', 'settled', 26],
      ['succeeded', 'settled', 29],
    ])
  })
})
