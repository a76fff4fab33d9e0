import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { calculate } from '../../src/agents/arithmetic.ts'
import { buildContext } from '../../src/agents/context.ts'
import { createOfflineModel } from '../../src/agents/offline-model.ts'
import { countTokens } from '../../src/agents/tokens.ts'
import type { ModelChunk, ModelTurn } from '../../src/kernel/model-ports.ts'

const model = createOfflineModel({ pauseMs: 0 })
before(() => countTokens('loads the tables'))

const earlier: ModelTurn[] = [
  { role: 'user', content: 'Hello' },
  { role: 'assistant', content: 'Hello! I am offline.' },
]

async function ask(turns: ModelTurn[], { maxOutputTokens = 100_000, from = model } = {}) {
  const request = { modelId: 'offline', turns, maxOutputTokens, temperature: undefined }
  const chunks: ModelChunk[] = []
  for await (const chunk of from.stream(request, new AbortController().signal)) chunks.push(chunk)
  const texts = chunks.filter((chunk) => chunk.kind === 'text').map((chunk) => chunk.text)
  return { texts, text: texts.join(''), rest: chunks.filter((chunk) => chunk.kind !== 'text') }
}

/** What it answers in the middle of a conversation. */
const answer = async (content: string) => (await ask([...earlier, { role: 'user', content }])).text

test('in its first answer it greets and says that it is offline and what it can do', async () => {
  for (const content of ['Hello', 'What is the meaning of life?', 'help', '']) {
    const { text } = await ask([{ role: 'user', content }])
    assert.match(text, /^Hello! I am offline: no language model is configured/)
    assert.match(text, /`echo .*`count to 20`.*`2 \+ 2 \* 3`.*`write 300 words`/)
  }
  assert.match((await ask([{ role: 'user', content: 'echo well' }])).text, /^Hello! I am offline.*\n\nwell$/s)
  assert.match((await ask([{ role: 'user', content: '안녕하세요' }])).text, /^안녕하세요! 저는 오프라인 상태입니다/)
})

test('what it cannot answer it repeats, and says that it is offline', async () => {
  assert.match(await answer('Who wrote Faust?'), /^I have read “Who wrote Faust\?”, but I am offline/)
  assert.match(await answer('파우스트는 누가 썼나요?'), /“파우스트는 누가 썼나요\?”.*오프라인/)
  assert.ok((await answer('very long '.repeat(1000))).length < 300)
  assert.ok((await answer(`${'😀'.repeat(300)}`)).isWellFormed())
})

test('it helps, echoes, counts and greets, in English and Korean', async () => {
  assert.match(await answer('help'), /^I can repeat/)
  assert.match(await answer('도움말'), /^말을 따라 하고/)
  assert.equal(await answer('echo Good  morning,\n\nall of you'), 'Good  morning,\n\nall of you')
  assert.equal(await answer('say: hi'), 'hi')
  assert.equal(await answer('따라해 좋은 아침'), '좋은 아침')
  assert.equal(await answer('Count to 5'), '1, 2, 3, 4, 5')
  assert.equal(await answer('3까지 세어 줘'), '1, 2, 3')
  assert.match(await answer('count to 100000000'), /to 500 at most/)
  assert.match(await answer('Hi there!'), /^Hello! I can/)
})

test('it calculates', async () => {
  const results: Record<string, string> = {
    '2 + 2 * 3': '2 + 2 * 3 = 8',
    'What is (2 + 2) * 3?': '(2 + 2) * 3 = 12',
    '0.1+0.2=': '0.1+0.2 = 0.3',
    '-2 ^ 2': '-2 ^ 2 = -4',
    '2^3^2': '2^3^2 = 512',
    '1,000 × 3 ÷ 4': '1,000 × 3 ÷ 4 = 750',
    '10 % 4 - -1': '10 % 4 - -1 = 3',
    '3 + 4는 얼마예요?': '3 + 4 = 7',
    '1 / 0': 'Nothing can be divided by zero.',
    '5 % (1 - 1)': 'Nothing can be divided by zero.',
    '1/0은?': '0으로는 나눌 수 없습니다.',
    '9^9^9^9': 'The result is too large for me.',
  }
  for (const [question, result] of Object.entries(results)) assert.equal(await answer(question), result)
})

test('long questions and such as are hard to search are answered at once', async () => {
  const paragraphs = `\n\n${'.'.repeat(780)}`.repeat(20)
  const runs = ['.', ' =', '! ', '1 ', '-', '(', '@a', '> a\n'].map((part) => part.repeat(7990))
  for (const content of [...runs, paragraphs, `긴${' '.repeat(15_990)}`].map((part) => `${part}x`)) {
    const began = performance.now()
    await answer(content)
    assert.ok(performance.now() - began < 1000, content.slice(0, 20))
  }
  assert.equal(await answer(`echo ${'a '.repeat(7000)}b`), `${'a '.repeat(7000)}b`)
})

test('what is no expression is not calculated, and nothing in it is run', () => {
  for (const text of ['', '2', '2 +', '(2 + 3', '2 + 3)', '2 3 + 4', '1..2 + 3', 'process.exit()', '2 + x', '+', '()'])
    assert.equal(calculate(text), undefined, text)
  assert.equal(calculate(`${'('.repeat(16_000)}1+1`), undefined)
  assert.equal(calculate('-'.repeat(16_000)), undefined)
})

test('it writes as many words as it is asked for', async () => {
  assert.equal((await answer('write 300 words')).split(' ').length, 300)
  assert.equal((await answer('Please write 7 words about cats')).split(' ').length, 7)
  assert.equal((await answer('50단어 써 줘')).split(' ').length, 50)
  assert.equal((await answer('write 999999 words')).split(' ').length, 2000)
  assert.ok((await answer('long')).length > 1000)
})

test('of several messages in a row the last one that it knows is answered', async () => {
  assert.equal(await answer('what?\n\ncount to 2'), '1, 2')
  assert.equal(await answer('count to 2\n\n1 + 1'), '1 + 1 = 2')
})

test('in a group it knows names, mentions and quotes from what is asked', async () => {
  const message = { role: 'user', type: 'text', status: 'sent', senderName: 'Ann', senderId: 'ann' } as const
  const { turns } = await buildContext({
    messages: [
      { ...message, id: '1', content: 'echo first' },
      { ...message, id: '2', senderId: 'bot', senderName: 'Bot', role: 'assistant', content: 'first' },
      { ...message, id: '3', content: '@bot 1 + 1', replyTo: { senderName: 'Bot', excerpt: 'first' } },
    ],
    ...{ self: { agentId: 'bot', name: 'Bot' }, systemPrompt: 'Be brief.', isGroup: true, budget: 1000 },
  })
  assert.equal((await ask(turns)).text, '1 + 1 = 2')
  assert.match(await answer('note: count to 2'), /“note: count to 2”/, 'between two a colon is nothing special')
})

test('it streams word by word, then how it ended and what it took', async () => {
  const turns: ModelTurn[] = [...earlier, { role: 'user', content: 'count to 4' }]
  const { texts, rest } = await ask(turns)
  assert.deepEqual(texts, ['1,', ' 2,', ' 3,', ' 4'])
  assert.deepEqual(rest, [
    { kind: 'finish', reason: 'stop' },
    { kind: 'usage', inputTokens: await countTokens(turns.map(({ content }) => content).join('\n')), outputTokens: 10 },
  ])
})

test('it ends at the most tokens that it may answer', async () => {
  const { text, rest } = await ask([...earlier, { role: 'user', content: 'write 300 words' }], { maxOutputTokens: 20 })
  assert.ok((await countTokens(text)) <= 20)
  assert.deepEqual(rest[0], { kind: 'finish', reason: 'length' })
})

test('it pauses between words like a model', async () => {
  const began = performance.now()
  await ask([...earlier, { role: 'user', content: 'count to 11' }], { from: createOfflineModel() })
  const took = performance.now() - began
  assert.ok(took >= 190 && took < 1500, `${took} ms for ten pauses of 20 to 30`)
})

test('after the signal it says nothing more', async () => {
  const stop = new AbortController()
  const request = { modelId: 'offline', turns: [...earlier, { role: 'user' as const, content: 'count to 400' }] }
  const slow = createOfflineModel({ pauseMs: 60_000 })
  const chunks: ModelChunk[] = []
  for await (const chunk of slow.stream({ ...request, maxOutputTokens: 9999, temperature: undefined }, stop.signal)) {
    chunks.push(chunk)
    // while it waits for the pause to end
    setImmediate(() => stop.abort())
  }
  assert.deepEqual(chunks, [{ kind: 'text', text: '1,' }])
})

test('it goes by no name of a real model', async () => {
  assert.equal(model.name, 'offline')
  const said = [await answer('Who are you?'), await answer('help'), (await ask([])).text, await answer('long')].join(
    ' ',
  )
  assert.doesNotMatch(said, /gpt|openai|claude|anthropic|gemini|google|llama|chatgpt/i)
})
