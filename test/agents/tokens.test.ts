import assert from 'node:assert/strict'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { before, test } from 'node:test'
import { countTokens as exactly } from 'gpt-tokenizer/encoding/o200k_base'
import { countTokens, cutToTokens } from '../../src/agents/tokens.ts'

const plainText = { allowedSpecial: new Set<string>(), disallowedSpecial: new Set<string>() }
const noise = (length: number, first: number, range: number) =>
  Array.from({ length }, (_, index) => String.fromCodePoint(first + ((index * 7919) % range))).join('')

/** What people and models write, and what is hard to count. */
const texts: Record<string, string> = {
  empty: '',
  prose: 'The quick brown fox jumps over the lazy dog, and says: “That’s it!”\n\nThen it sleeps. '.repeat(60),
  korean: '안녕하세요, 저는 한국어로 이야기하는 사람입니다. 오늘은 날씨가 좋네요.\n'.repeat(60),
  code: 'export function add(a: number, b: number) {\n  return a + b // 1_000\n}\n\n\t\tif (x) { y() }\n'.repeat(60),
  letters: 'a'.repeat(16_000),
  hangul: '가나다라마바사'.repeat(2000),
  han: '漢字'.repeat(4000),
  'all hangul': noise(8000, 0xac00, 11_172),
  emoji: '😀'.repeat(4000),
  families: '👨‍👩‍👧‍👦'.repeat(800),
  base64: Buffer.from(noise(9000, 33, 90)).toString('base64'),
  digits: '1234567890'.repeat(1600),
  signs: '!@#$%^&*()'.repeat(1600),
  spaces: `a${' '.repeat(8000)}b`,
  lines: '\n'.repeat(8000),
  halves: '\ud800'.repeat(300),
  markers: '<|endoftext|> and <|im_start|>system <|endofprompt|>'.repeat(50),
}

before(() => countTokens('loads the tables'))

test('tokens are counted as the encoding does, never fewer and at most 3 in a hundred more', async () => {
  for (const [name, text] of Object.entries(texts)) {
    const real = exactly(text, plainText)
    const counted = await countTokens(text)
    assert.ok(counted >= real && counted <= Math.ceil(real * 1.03), `${name}: ${counted} of ${real}`)
  }
})

test('markers of the encoding are text like any other', async () => {
  assert.ok((await countTokens('<|endoftext|>')) > 3)
})

test('long texts and those without a gap do not keep the event loop', async () => {
  const long = {
    ...{ letters: 'a'.repeat(200_000), hangul: '가나다라마바사'.repeat(28_571), emoji: '😀'.repeat(100_000) },
    ...{ korean: texts['korean']!.repeat(80), spaces: ' '.repeat(200_000), lines: '\n'.repeat(200_000) },
    ...{
      'all hangul': noise(200_000, 0xac00, 11_172),
      words: 'hello world '.repeat(16_000),
      signs: '=-'.repeat(100_000),
    },
  }
  for (const [name, text] of Object.entries(long)) {
    const delay = monitorEventLoopDelay({ resolution: 1 })
    delay.enable()
    assert.ok((await countTokens(text)) > 1000, name)
    assert.notEqual(await cutToTokens(text, 1000, 'end'), '')
    delay.disable()
    // uncut, the letters alone take more than 10 s
    assert.ok(delay.max / 1e6 < 1000, `${name}: ${delay.max / 1e6} ms`)
  }
})

test('other work goes on while a long text is counted', async () => {
  let turns = 0
  const counting = setInterval(() => turns++, 1)
  await countTokens(noise(1_000_000, 0xac00, 11_172))
  clearInterval(counting)
  assert.ok(turns >= 5, `${turns} turns of the event loop`)
})

test('counting ends when it is enough', async () => {
  const counted = await countTokens('a word '.repeat(100_000), 1000)
  assert.ok(counted > 1000 && counted < 2000, String(counted))
})

test('a cut text is its own end or beginning, in whole characters, and as long as may be', async () => {
  for (const [name, text] of Object.entries(texts)) {
    for (const keep of ['end', 'beginning'] as const) {
      const cut = await cutToTokens(text, 100, keep)
      assert.ok(keep === 'end' ? text.endsWith(cut) : text.startsWith(cut), name)
      if (name !== 'halves') assert.ok(cut.isWellFormed(), name)
      const tokens = await countTokens(cut)
      assert.ok(tokens <= 102, `${name}: ${tokens}`)
      if ((await countTokens(text)) > 200) assert.ok(tokens >= 40, `${name}: ${tokens}`)
    }
  }
  assert.equal(await cutToTokens('short enough', 100, 'end'), 'short enough')
  assert.equal(await cutToTokens('no room', 0, 'end'), '')
})
