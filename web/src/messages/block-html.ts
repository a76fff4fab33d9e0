import DOMPurify, { type Config } from 'dompurify'
import { Parser, Renderer, type Token, type Tokens } from 'marked'
import { splitMentions } from './mentions.ts'

/** The usernames, in lower case, that a message mentions, and whether that is oneself. */
export type Mentions = ReadonlyMap<string, boolean>

/** What Preact takes for `dangerouslySetInnerHTML`: where the browser has Trusted Types, a `TrustedHTML`. */
export type CleanHtml = { __html: string }

const reachable = /^(?:https?|mailto):/i

const blockTags = ['p', 'br', 'hr', 'strong', 'em', 'del', 'code', 'a', 'mark', 'blockquote', 'ul', 'ol', 'li']
const tableTags = ['table', 'thead', 'tbody', 'tr', 'th', 'td']
const blockConfig = {
  ALLOWED_TAGS: [...blockTags, 'pre', 'h3', 'h4', 'h5', 'h6', ...tableTags],
  ALLOWED_ATTR: ['href', 'title', 'target', 'rel', 'start', 'align', 'data-mention'],
  ALLOWED_URI_REGEXP: reachable,
  // all others but well-known ones would have to be addresses
  ADD_URI_SAFE_ATTR: ['start', 'align', 'data-mention'],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
} satisfies Config
const codeConfig = {
  ALLOWED_TAGS: ['span'],
  ALLOWED_ATTR: ['class'],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
} satisfies Config

// whatever made a link: it opens beside this page, which it learns nothing of
DOMPurify.addHook('afterSanitizeAttributes', (node) => {
  if (node.nodeName !== 'A') return
  node.setAttribute('target', '_blank')
  node.setAttribute('rel', 'noopener noreferrer nofollow ugc')
})

/** The HTML of one block, of which nothing but text and its marking is left. */
export const htmlOfBlock = (token: Token, mentions: Mentions): CleanHtml =>
  clean(Parser.parse([token], { gfm: true, breaks: true, renderer: new TextRenderer(mentions) }), blockConfig)

/** Highlighted code, of which nothing but text and classes of spans is left. */
export const htmlOfCode = (highlighted: string): CleanHtml => clean(highlighted, codeConfig)

function clean(html: string, config: Config): CleanHtml {
  const trusted = DOMPurify.sanitize(html, { ...config, RETURN_TRUSTED_TYPE: true })
  return { __html: trusted as unknown as string }
}

const escapes: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (char) => escapes[char] ?? char)

class TextRenderer extends Renderer {
  readonly mentions: Mentions

  constructor(mentions: Mentions) {
    super()
    this.mentions = mentions
  }

  override html({ text }: Tokens.HTML | Tokens.Tag): string {
    return escapeHtml(text)
  }

  /** Below the headings of the page. */
  override heading({ tokens, depth }: Tokens.Heading): string {
    const level = Math.min(depth + 2, 6)
    return `<h${level}>${this.parser.parseInline(tokens)}</h${level}>`
  }

  override checkbox({ checked }: Tokens.Checkbox): string {
    return checked ? '☑ ' : '☐ '
  }

  override link({ href, title, tokens }: Tokens.Link): string {
    const text = this.parser.parseInline(tokens)
    if (!reachable.test(href)) return text
    return `<a href="${escapeHtml(href)}"${title ? ` title="${escapeHtml(title)}"` : ''}>${text}</a>`
  }

  /** A picture from elsewhere would tell its server who reads, and when: it is a link to follow or not. */
  override image({ href, text }: Tokens.Image): string {
    const shown = escapeHtml(text || href)
    return reachable.test(href) ? `<a href="${escapeHtml(href)}">${shown}</a>` : shown
  }

  override text(token: Tokens.Text | Tokens.Escape): string {
    if ('tokens' in token && token.tokens) return this.parser.parseInline(token.tokens)
    if (this.mentions.size === 0 || !token.text.includes('@')) return escapeHtml(token.text)
    return splitMentions(token.text, this.mentions)
      .map(({ text, username }) => {
        if (username === undefined) return escapeHtml(text)
        const who = this.mentions.get(username) ? 'self' : 'other'
        return `<mark data-mention="${who}">${escapeHtml(text)}</mark>`
      })
      .join('')
  }
}
