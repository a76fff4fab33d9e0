import type { Conversation, Message, User } from '../../../src/client/index.ts'
import { withTitle } from './filter.ts'

/** A line of the list. Conversations go by their id: each line follows its own. */
export type Row =
  | { kind: 'conversation'; id: string }
  | { kind: 'archive'; count: number; isOpen: boolean }
  | { kind: 'heading'; of: 'people' | 'messages' }
  | { kind: 'person'; user: User }
  | { kind: 'hit'; message: Message }

/** What a search brings beside the conversations. */
interface FoundRows {
  people: readonly User[]
  messages: readonly Message[]
}

const rowOf = ({ id }: Conversation): Row => ({ kind: 'conversation', id })

/** All conversations, the archived ones apart and only where that part is open. */
export function listRows(conversations: readonly Conversation[], isArchiveOpen: boolean): Row[] {
  const archived = conversations.filter(({ settings }) => settings.isArchived)
  const rows = conversations.filter(({ settings }) => !settings.isArchived).map(rowOf)
  if (archived.length === 0) return rows
  rows.push({ kind: 'archive', count: archived.length, isOpen: isArchiveOpen })
  return isArchiveOpen ? [...rows, ...archived.map(rowOf)] : rows
}

/** Conversations by their titles, archived or not, then people with whom there is none yet, then messages. */
export function searchRows(options: {
  conversations: readonly Conversation[]
  query: string
  titleOf(conversation: Conversation): string
  found: FoundRows
}): Row[] {
  const { conversations, query, titleOf, found } = options
  const named = withTitle(conversations, query, titleOf)
  const met = new Set(
    named.filter(({ type }) => type === 'direct').flatMap((one) => one.participants.map(({ userId }) => userId)),
  )
  const people = found.people.filter(({ id }) => !met.has(id)).map((user): Row => ({ kind: 'person', user }))
  const hits = found.messages.map((message): Row => ({ kind: 'hit', message }))
  return [...named.map(rowOf), ...headed('people', people), ...headed('messages', hits)]
}

const headed = (of: 'people' | 'messages', rows: Row[]): Row[] =>
  rows.length === 0 ? [] : [{ kind: 'heading', of }, ...rows]

/** Tells lines apart while they move. */
export function keyOf(row: Row): string {
  if (row.kind === 'conversation') return row.id
  if (row.kind === 'person') return `person.${row.user.id}`
  if (row.kind === 'hit') return `hit.${row.message.id}`
  return row.kind === 'heading' ? `heading.${row.of}` : 'archive'
}

/** Small signs beside a conversation, as they are shown. */
interface EntryMarks {
  /** Nothing where all is read; `99+` from a hundred on. */
  unread: string
  isMentioned: boolean
  isPinned: boolean
  isMuted: boolean
  isAgent: boolean
}

const maxCount = 99

export function marksOf({ type, settings, unreadCount, unreadMentions, participants }: Conversation): EntryMarks {
  return {
    unread: unreadCount > maxCount ? `${maxCount}+` : String(unreadCount || ''),
    isMentioned: unreadMentions > 0,
    isPinned: settings.isPinned,
    isMuted: settings.isMuted,
    isAgent: type === 'direct' && participants.some(({ kind }) => kind === 'agent'),
  }
}

/** Who is named before the last message: in groups its sender, and oneself everywhere but in AI chats. */
export function speakerOf({ type, lastMessage }: Conversation, myId: string): 'self' | 'other' | undefined {
  if (!lastMessage || lastMessage.role === 'system' || type === 'assistant') return undefined
  if (lastMessage.senderId === myId) return 'self'
  return type === 'group' && lastMessage.senderId ? 'other' : undefined
}
