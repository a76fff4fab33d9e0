import type { Message } from '../../../src/client/index.ts'
import { t } from '../i18n.ts'

/** What lists have room for, in UTF-16 units. */
const maxLength = 160

/** A message in one line of plain text, for lists, quotes and announcements. */
export function excerptOf(message: Pick<Message, 'content' | 'deletedAt' | 'attachments' | 'status'>): string {
  if (message.deletedAt) return t('messages:deleted')
  const text = plainOf(message.content)
  if (text) return text
  const { attachments = [] } = message
  const [first] = attachments
  if (!first) return t(withoutText[message.status])
  const isOfOneKind = attachments.every(({ kind }) => kind === first.kind)
  if (attachments.length === 1 && first.kind === 'file') return first.name ?? t('messages:files', { count: 1 })
  return t(isOfOneKind ? countedAs[first.kind] : 'messages:files', { count: attachments.length })
}

const withoutText = {
  sent: 'messages:noText',
  streaming: 'messages:writing',
  cancelled: 'messages:stoppedEarly',
  failed: 'messages:noAnswer',
} as const

const countedAs = {
  image: 'messages:images',
  video: 'messages:videos',
  audio: 'messages:sounds',
  file: 'messages:files',
} as const

/** Markdown without its marks: roughly, since what is left over is only looked at. */
export function plainOf(markdown: string): string {
  return (
    markdown
      .slice(0, 4 * maxLength)
      .replace(/^ {0,3}(?:```+|~~~+).*$/gm, ' ')
      .replace(/^ {0,3}(?:#{1,6} |> ?|[-*+] )/gm, '')
      .replace(/!?\[([^\]\n]*)\]\([^)\n]*\)/g, '$1')
      .replace(/(\*\*|__|~~|`)(?=\S)([^\n]*?\S)\1/g, '$2')
      // within a word, or between spaces, they are no marks
      .replace(/(?<![\w*])(\*|_)(?=[^\s*_])([^\n]*?[^\s*_])\1(?![\w*])/g, '$2')
      .replace(/\s+/g, ' ')
      .trim()
      .slice(0, maxLength)
  )
}
