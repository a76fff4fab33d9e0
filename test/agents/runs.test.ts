import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { countTokens } from '../../src/agents/tokens.ts'
import type { Message } from '../../src/messenger/messenger.contract.ts'
import { eventually } from '../faults/scene.ts'
import { historyOf, messageOf } from '../messenger/scene.ts'
import { ask } from '../support/agents.ts'
import { type ModelScript, startAiMock } from '../support/model-server.ts'
import type { Person } from '../support/people.ts'
import * as on from './scene.ts'

const aiMock = 'raw,openai,mock'

let scene: on.AgentsScene
let ai: Awaited<ReturnType<typeof startAiMock>>
before(async () => {
  ai = await startAiMock()
  scene = await on.startAgentsScene({
    ...{ AI_PROVIDERS: aiMock, AI_MOCK_BASE_URL: ai.url, AI_MOCK_MODELS: 'mocked=32000' },
    ...{ AI_IDLE_SECONDS: '2', AI_TOTAL_SECONDS: '6', SIGNUP_CREDITS: '0' },
  })
})
after(async () => {
  await scene?.end()
  await ai.close()
})
beforeEach(() => scene.models.reset())

/** How each answer must stand in the books, by its message. */
const expected = new Map<string, Omit<on.Entry, 'messageId'>>()

interface End {
  status: Message['status']
  error?: string
  content?: string
  /** Tokens that are charged; none unless given. */
  charged?: number
}

/**
 * The answer has ended like that: for those who hear it and those who read it, and for the wallet and the usage log of who
 * asked; and nobody is kept waiting for a model.
 */
async function settles(person: Person, message: Message, end: End): Promise<void> {
  const { status, error, content = '', charged = 0 } = end
  const { id, conversationId, usage } = message
  assert.deepEqual([message.status, message.error, message.content], [status, error, content])
  assert.equal(on.told(person, id), content, 'what was told is what is stored')
  assert.deepEqual(await messageOf(person, conversationId, id), message)
  assert.equal(on.answersIn(person, conversationId).length, 1)
  if (charged > 0) assert.equal((usage?.inputTokens ?? 0) + (usage?.outputTokens ?? 0), charged)
  assert.equal((await on.walletOf(scene.url, person)).tokens.used, charged)
  const { runs, inputTokens, outputTokens } = (await on.usageOf(scene.url, person)).total
  assert.deepEqual([runs, inputTokens + outputTokens], [charged > 0 ? 1 : 0, charged])
  await eventually('the connection is closed', () => scene.models.open() === 0, 2_000)
  expected.set(id, {
    ...{ status, error: error ?? null, content, charged: charged > 0 ? charged : null },
    run: status === 'sent' ? 'succeeded' : (status as 'failed' | 'cancelled'),
    reservation: charged > 0 ? 'settled' : 'cancelled',
  })
}

/** A new person has asked a model that answers by these scripts, one a request. */
async function asking(...scripts: ModelScript[]): Promise<{ person: Person; chat: string; askedAt: number }> {
  scene.models.script('m1', ...scripts)
  const person = await scene.person()
  const chat = await on.openChat(person, 'm1')
  const askedAt = performance.now()
  await on.say(person, chat, 'How are you?')
  return { person, chat, askedAt }
}

async function answered(...scripts: ModelScript[]): Promise<{ person: Person; message: Message }> {
  const { person, chat } = await asking(...scripts)
  return { person, message: await on.answerTo(person, chat) }
}

const requests = (): number => scene.models.requests.length

describe('an answer that comes to its end', () => {
  test('is stored and charged once, by what a server that is not ours says it took', async () => {
    const content = 'It is a long answer, which comes in many parts.'
    ai.mock.onMessage('How are you?', { content, usage: { prompt_tokens: 12, completion_tokens: 11 } })
    const person = await scene.person()
    const chat = await on.openChat(person, 'mocked')
    await on.say(person, chat, 'How are you?')
    const message = await on.answerTo(person, chat)
    await settles(person, message, { status: 'sent', content, charged: 23 })
    const { inputTokens, outputTokens, credits } = message.usage ?? {}
    assert.deepEqual([inputTokens, outputTokens, credits, message.modelId], [12, 11, 0, 'mocked'])
  })

  test('without a word of what it took is counted here', async () => {
    const content = 'It is a fine day.'
    const { person, message } = await answered({ chunks: [content], usage: null })
    const outputTokens = await countTokens(content)
    assert.equal(message.usage?.outputTokens, outputTokens)
    const { inputTokens } = message.usage ?? { inputTokens: 0 }
    assert.ok(inputTokens > 5 && inputTokens < 50, `${inputTokens} tokens of "How are you?" and an introduction`)
    await settles(person, message, { status: 'sent', content, charged: inputTokens + outputTokens })
  })

  test('at the most that it may take is sent', async () => {
    const { person, message } = await answered({ chunks: ['One', ' two'], finish: 'length' })
    await settles(person, message, { status: 'sent', content: 'One two', charged: 12 })
  })

  test('keeps characters whole that came in halves, and has none that cannot be stored', async () => {
    const chunks = ['a\ud83d', '\ude00b', '\0', 'c\ud83d', 'd', '\ude00', 'e\ud83d']
    const { person, message } = await answered({ chunks })
    assert.ok(message.content.isWellFormed() && !message.content.includes('\0'))
    assert.equal(message.content.replaceAll('\ufffd', ''), 'a😀bcde')
    await settles(person, message, { status: 'sent', content: message.content, charged: 17 })
  })

  for (const [what, ...faults] of [
    ['too many requests', { fault: 'status', status: 429, headers: { 'retry-after-ms': '10' } }],
    ['a reset before the first word', { chunks: [], fault: 'reset' }],
    ['an end without a word', { chunks: [], finish: null }],
    ['a passing error, twice', { fault: 'status', status: 503 }, { fault: 'status', status: 500 }],
  ] satisfies [string, ...ModelScript[]][]) {
    test(`after ${what} is asked for again, and charged once`, async () => {
      const { person, message } = await answered(...faults, { chunks: ['Fine', '.'] })
      assert.equal(requests(), faults.length + 1)
      await settles(person, message, { status: 'sent', content: 'Fine.', charged: 12 })
    })
  }
})

describe('an answer that fails', () => {
  const cases: [string, ModelScript, Required<Pick<End, 'error' | 'content'>>, number?][] = [
    ['ends without saying how', { finish: null }, { error: 'upstream_failed', content: 'Hello there.' }],
    ['breaks off', { fault: 'reset' }, { error: 'upstream_failed', content: 'Hello there.' }],
    ['falls silent', { fault: 'stall' }, { error: 'timeout', content: 'Hello there.' }],
    ['never begins', { chunks: [], fault: 'stall' }, { error: 'timeout', content: '' }],
    ['is no JSON', { fault: 'bad-json' }, { error: 'upstream_failed', content: 'Hello there.' }],
    ['is empty', { chunks: [] }, { error: 'empty', content: '' }],
    ['is filtered', { finish: 'content_filter' }, { error: 'refused', content: 'Hello there.' }],
    ['is refused', { fault: 'status', status: 400 }, { error: 'upstream_failed', content: '' }],
    ['is an error each time', { fault: 'status', status: 500 }, { error: 'upstream_failed', content: '' }, 3],
  ]
  for (const [what, script, end, tries = 1] of cases) {
    test(`since it ${what} costs nothing, and keeps its text`, async () => {
      const { person, message } = await answered(script)
      await settles(person, message, { status: 'failed', ...end })
      assert.equal(requests(), tries, 'it is asked for again only while nothing has come')
    })
  }

  test('since it takes too long costs nothing, and keeps its text', async () => {
    const { person, message } = await answered({ chunks: Array.from({ length: 100 }, (_, i) => `${i} `), pauseMs: 100 })
    assert.match(message.content, /^0 1 2 /)
    await settles(person, message, { status: 'failed', error: 'timeout', content: message.content })
  })
})

describe('an answer that is stopped', () => {
  test('keeps its text, and costs what it brought', async () => {
    const { person, chat } = await asking({ chunks: Array.from({ length: 200 }, () => 'word '), pauseMs: 20 })
    const { id } = await on.begun(person, chat)
    await person.hears('stream:delta', ({ messageId }) => messageId === id)
    const stoppedAt = Date.now()
    await on.order(person, 'run:stop', { conversationId: chat, messageId: id })
    const message = await on.answerTo(person, chat)
    assert.match(message.content, /^(word )+$/)
    const { inputTokens = 0, outputTokens = 0 } = message.usage ?? {}
    assert.equal(outputTokens, await countTokens(message.content))
    await settles(person, message, {
      ...{ status: 'cancelled', content: message.content, charged: inputTokens + outputTokens },
    })
    const [request] = scene.models.requests
    assert.ok(request?.closedByClientAt && request.closedByClientAt - stoppedAt < 1_000)
  })

  test('before its first word costs nothing', async () => {
    const { person, chat } = await asking({ holdUntil: new Promise(() => {}) })
    const { id } = await on.begun(person, chat)
    await scene.models.request(1)
    await on.order(person, 'run:stop', { conversationId: chat, messageId: id })
    await settles(person, await on.answerTo(person, chat), { status: 'cancelled' })
  })
})

test('an answer that cannot be paid or asked for says why, and costs nobody anything', async () => {
  const owner = await scene.person()
  const large = await on.builtIn(scene.url, owner, { modelId: 'big', maxOutputTokens: 100_000 })
  const stranded = await on.builtIn(scene.url, owner, { description: 'stranded' })
  const person = await scene.person()
  const withCredits = await scene.person()
  const { accessToken } = withCredits.session
  assert.equal((await ask(scene.url, accessToken, 'PATCH', '/me/wallet', { overageEnabled: true })).status, 200)

  for (const [asker, agent, error] of [
    [person, large, 'quota_exceeded'],
    [withCredits, large, 'insufficient_credits'],
    [person, stranded, 'model_unavailable'],
  ] as const) {
    const conversationId = await on.writeTo(asker, agent)
    await on.say(asker, conversationId, 'How are you?')
    const message = await on.answerTo(asker, conversationId)
    assert.deepEqual([message.status, message.error, message.content], ['failed', error, ''])
    assert.equal(message.senderId, agent.id)
    assert.deepEqual((await historyOf(asker, conversationId)).at(-1), message)
  }
  for (const one of [owner, person, withCredits]) {
    const { tokens, held } = await on.walletOf(scene.url, one)
    assert.deepEqual([tokens.used, held, (await on.usageOf(scene.url, one)).total.runs], [0, 0, 0])
  }
  assert.equal(requests(), 0)
})

describe('while it grows, a text', () => {
  test('is told at most 20 times a second, and in all as it is stored', async () => {
    const chunks = Array.from({ length: 250 }, (_, i) => `${i} `)
    const { person, chat, askedAt } = await asking({ chunks, pauseMs: 4 })
    const message = await on.answerTo(person, chat)
    const seconds = (performance.now() - askedAt) / 1000
    await settles(person, message, { status: 'sent', content: chunks.join(''), charged: 260 })
    const { length } = on.deltasOf(person, message.id)
    // the first and the last go out at once
    assert.ok(length > 5 && length <= 20 * seconds + 2, `${length} deltas in ${seconds} s`)
  })

  test('is told from its first words on, before any others have come', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const { person, chat } = await asking({ holdAfter: 1, holdUntil: promise })
    const { id } = await on.begun(person, chat)
    const delta = await person.hears('stream:delta', ({ messageId }) => messageId === id)
    assert.deepEqual([delta['offset'], delta['text']], [0, 'Hello'])
    resolve()
    const message = await on.answerTo(person, chat)
    await settles(person, message, { status: 'sent', content: 'Hello there.', charged: 13 })
  })

  test('is stored meanwhile, which is no change of the conversation', async () => {
    const chunks = Array.from({ length: 28 }, (_, i) => `${i} `)
    const { person, chat } = await asking({ chunks, pauseMs: 100 })
    const { id, change } = await on.begun(person, chat)
    await person.hears('stream:delta', ({ messageId }) => messageId === id)
    await eventually('it is stored', async () => (await messageOf(person, chat, id)).content !== '', 2_000)
    const growing = await messageOf(person, chat, id)
    assert.deepEqual([growing.status, growing.change], ['streaming', change])
    assert.equal((await person.do('conversation:get', { conversationId: chat })).lastChange, change)
    assert.ok(chunks.join('').startsWith(growing.content))
    const message = await on.answerTo(person, chat)
    await settles(person, message, { status: 'sent', content: chunks.join(''), charged: 38 })
    assert.equal(message.change, change + 1)
  })
})

test('in the books each of these answers has ended once, and was charged once or not at all', async () => {
  const books = await on.readBooks(await scene.books())
  for (const [messageId, entry] of expected) assert.deepEqual(books.get(messageId), { messageId, ...entry })
  assert.equal(books.size, expected.size)
})
