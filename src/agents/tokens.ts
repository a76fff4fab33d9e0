import { setImmediate as nextTurn } from 'node:timers/promises'

/**
 * Tokens as OpenAI's newer models count them (o200k_base); others come close. The tables of the encoding cost about 0.2 s
 * and 80 MB, so they are loaded with the first text that is counted.
 */
type Encoding = typeof import('gpt-tokenizer/encoding/o200k_base')

let loading: Promise<Encoding> | undefined

function loadEncoding(): Promise<Encoding> {
  loading ??= import('gpt-tokenizer/encoding/o200k_base').then((encoding) => {
    // what it remembers of words keeps the texts alive that they were cut from: the standard, 100,000, would be gigabytes
    encoding.setMergeCacheSize(2000)
    return encoding
  })
  return loading
}

/** Markers of the encoding, such as `<|endoftext|>`, are text like any other in what people write. */
const plainText = { allowedSpecial: new Set<string>(), disallowedSpecial: new Set<string>() }

/**
 * Up to a hundred words, or a part of what is no word: the encoding takes time by the square of what has no gap in it. The
 * cuts lie where tokens end anyhow, but those in such runs, of which each may count a token more.
 */
const slice = /(?:\s{0,64}\S{1,64}(?=\s|$)){1,100}|\s{0,128}\S{1,128}|\s{1,128}/gu

/** The longest that counting keeps the event loop, in milliseconds. */
const stintMs = 8
let stintBegan = 0

/** All counting together gives way to other work in time, however it is divided among callers. */
async function giveWay(): Promise<void> {
  if (performance.now() - stintBegan < stintMs) return
  await nextTurn()
  stintBegan = performance.now()
}

/**
 * How many tokens the text is; never less than the encoding says, and at most a few percent more.
 * @param enough counting ends once it is passed, and what is returned is then some number above it
 */
export async function countTokens(text: string, enough = Number.POSITIVE_INFINITY): Promise<number> {
  if (text === '') return 0
  const encoding = await loadEncoding()
  let tokens = 0
  for (const [part] of text.matchAll(slice)) {
    await giveWay()
    tokens += encoding.countTokens(part, plainText)
    if (tokens > enough) break
  }
  return tokens
}

/** The longest end (or beginning) of the text that is at most so many tokens, give or take 16 characters. */
export async function cutToTokens(text: string, tokens: number, keep: 'beginning' | 'end'): Promise<string> {
  if ((await countTokens(text, tokens)) <= tokens) return text
  const encoding = await loadEncoding()
  const parts = Array.from(text.matchAll(/\s{0,16}\S{1,16}|\s{1,16}/gu), ([part]) => part)
  if (keep === 'end') parts.reverse()
  let left = tokens
  const kept: string[] = []
  for (const part of parts) {
    await giveWay()
    left -= encoding.countTokens(part, plainText)
    if (left < 0) break
    kept.push(part)
  }
  return (keep === 'end' ? kept.reverse() : kept).join('')
}
