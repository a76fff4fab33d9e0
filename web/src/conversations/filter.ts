import type { Conversation, User } from '../../../src/client/index.ts'

/** Letters without case and marks, so that `café` is found by `Cafe`. */
const folded = (text: string): string =>
  text
    .normalize('NFKD')
    .replaceAll(/\p{Mn}/gu, '')
    .normalize('NFC')
    .toLowerCase()

/** Whether every word of the query begins a word of the text, or stands somewhere in it where words have no spaces. */
export function matches(text: string, query: string): boolean {
  const among = folded(text)
  return folded(query)
    .split(/\s+/)
    .every((word) => among.includes(word))
}

/** Those whose title has all words of the query, in their order. */
export function withTitle(
  conversations: readonly Conversation[],
  query: string,
  titleOf: (conversation: Conversation) => string,
): Conversation[] {
  const wanted = query.trim()
  if (wanted === '') return [...conversations]
  return conversations.filter((conversation) => matches(titleOf(conversation), wanted))
}

/** As many as fit without a look through. */
const maxAcquaintances = 8

/** The others of direct conversations, those of the newest first. */
export function acquaintancesIn(conversations: readonly Conversation[], myId: string): User[] {
  return conversations
    .filter(({ type, settings }) => type === 'direct' && !settings.isArchived)
    .flatMap(({ participants }) => participants.filter(({ userId }) => userId !== myId))
    .slice(0, maxAcquaintances)
    .map(({ userId, kind, username, displayName, avatarUrl }) => ({
      id: userId,
      kind,
      username,
      displayName,
      avatarUrl,
    }))
}

/** A word as a pattern that finds just it. */
const literal = (word: string): string => word.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&')

/** Letters before the first hit that are kept in a line. */
const lead = 24

/** A text in pieces, those that the query names apart; cut so that the first of them is in sight. */
export function marked(text: string, query: string): { text: string; isHit: boolean }[] {
  const words = query.trim().split(/\s+/).filter(Boolean)
  if (words.length === 0) return [{ text, isHit: false }]
  const pattern = new RegExp(`(${words.map(literal).join('|')})`, 'giu')
  const first = text.search(pattern)
  const shown = first > 2 * lead ? `…${text.slice(first - lead)}` : text
  return shown
    .split(pattern)
    .map((piece, index) => ({ text: piece, isHit: index % 2 === 1 }))
    .filter((piece) => piece.text !== '')
}
