import { Lexer, type Token, Tokenizer, type TokensList } from 'marked'

/**
 * What a text consists of: Markdown (GFM) without HTML, which is shown as it was typed. What always holds: reading takes
 * a time that a reader does not notice, whatever the text; what would take longer is taken as plain.
 */
export interface Blocks {
  tokens: Token[]
  /** How many link definitions there are: one that comes later changes what stands before. */
  definitions: number
}

/** Quotes and lists within each other beyond this are noise, and each level costs a pass over all that is in it. */
const maxNesting = 12
const tooNested = new RegExp(`^(?:[ \\t]*(?:>|(?:[-*+]|\\d{1,9}[.)])[ \\t])[ \\t]*){${maxNesting + 1}}`, 'm')
const tooIndented = /^[ \t]{48,}(?:[-*+]|\d{1,9}[.)])[ \t]/m
/** Marks that are tried against each other: the time grows with their square. */
const maxMarks = 250

class TextTokenizer extends Tokenizer {
  override html(): undefined {}
  override tag(): undefined {}
}

const plain = (text: string): Token => ({ type: 'plain', raw: text })

/** Reads a whole text. */
export const readBlocks = (text: string): Blocks => read(withUnixLines(text))

/**
 * Reads a text that grows: only its end is read again, since what comes can change nothing before the last block but one
 * (the last may be the space after a list that goes on).
 */
export function createGrowingBlocks(): (text: string) => Blocks {
  let settled: Token[] = []
  let settledText = ''
  let links: TokensList['links'] = {}
  return (grown) => {
    const text = withUnixLines(grown)
    if (!text.startsWith(settledText)) {
      settled = []
      settledText = ''
      links = {}
    }
    const { tokens: fresh, links: found } = lex(text.slice(settledText.length), links)
    const tokens = [...settled, ...fresh]
    const newlySettled = fresh.slice(0, -2)
    const newText = newlySettled.map(({ raw }) => raw).join('')
    if (text.startsWith(newText, settledText.length)) {
      settled = [...settled, ...newlySettled]
      settledText += newText
      links = found
    }
    return { tokens, definitions: Object.keys(found).length }
  }
}

function read(text: string): Blocks {
  const { tokens, links } = lex(text, {})
  return { tokens, definitions: Object.keys(links).length }
}

const withUnixLines = (text: string): string => text.replace(/\r\n?/g, '\n')

function lex(text: string, known: TokensList['links']): { tokens: Token[]; links: TokensList['links'] } {
  if (tooNested.test(text) || tooIndented.test(text)) return { tokens: [plain(text)], links: known }
  const lexer = new Lexer({ gfm: true, breaks: true, tokenizer: new TextTokenizer() })
  Object.assign(lexer.tokens.links, known)
  try {
    lexer.blockTokens(text, lexer.tokens)
    for (const { src, tokens } of lexer.inlineQueue) {
      if (countMarks(src) > maxMarks) tokens.push({ type: 'text', raw: src, text: src })
      else lexer.inlineTokens(src, tokens)
    }
    return { tokens: [...lexer.tokens], links: lexer.tokens.links }
  } catch {
    // deeper than the stack, in a way not thought of above
    return { tokens: [plain(text)], links: known }
  }
}

function countMarks(text: string): number {
  let count = 0
  for (let at = 0; at < text.length; at++) {
    const char = text.charAt(at)
    if (char === '*' || char === '_' || char === '~') count++
  }
  return count
}
