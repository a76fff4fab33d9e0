import { sql } from 'kysely'
import type { Database } from '../database/database.ts'
import { inPages } from '../kernel/pages.ts'
import type { ExportSection, MediaUrls } from '../kernel/ports.ts'
import { type ConversationRow, conversationColumns, presentConversation } from './conversation.presenter.ts'
import { iso, type MessageRow, messageColumns, presentMessage } from './message.presenter.ts'

const pageSize = 200
/** Each conversation may bring the rows of its people. */
const conversationsAtOnce = 20

/** A conversation that the user is or was in. */
interface OwnConversation {
  id: string
  /** Whether the user is in it now. */
  present: boolean
}

/**
 * The messenger's part of the export of a user's data. What is given of a conversation follows the rule of reading: all of
 * those that one is in, checked anew with each page; of those that one has left nothing but what is one's own. What
 * stood there while one was in it is left out, too: it may have been edited since, and whoever left reads no row of it.
 */
export function messengerSections(database: Pick<Database, 'query'>): ExportSection[] {
  return [
    {
      name: 'conversations',
      about:
        'Conversations that you are in, as you see them, and those that you have left: your role, settings and position, ' +
        'when you joined and left.',
      rows: conversations,
    },
    {
      name: 'messages',
      about:
        'Messages of the conversations that you are in, with the earlier texts of edited ones; of those that you have ' +
        'left your own messages.',
      rows: messages,
    },
    { name: 'reactions', about: 'Your reactions to messages.', rows: reactions },
    { name: 'receipts', about: 'How far you had read in each conversation, and when.', rows: receipts },
  ]

  async function* conversations(userId: string): AsyncGenerator<object> {
    const own = await ownConversations(userId)
    for (let start = 0; start < own.length; start += conversationsAtOnce) {
      const ids = own.slice(start, start + conversationsAtOnce).map(({ id }) => id)
      const rows = await database.query(
        sql<ConversationRow & { role: string; joined_at: string; left_at: string | null; present: boolean }>`
          select ${conversationColumns}, me.role, me.joined_at, me.left_at, ${isPresent} as present
          from participants me join conversations c on c.id = me.conversation_id
          where me.user_id = ${userId} and me.conversation_id = any (${ids}::uuid[]) order by me.conversation_id`,
      )
      for (const row of rows) {
        const { id, type, settings, lastReadSeq, ...shared } = lasting(presentConversation(row, noUrls))
        const membership = {
          role: row.role,
          joinedAt: iso(row.joined_at),
          ...(row.left_at !== null && { leftAt: iso(row.left_at) }),
        }
        yield { id, type, ...membership, settings, lastReadSeq, ...(row.present && shared) }
      }
    }
  }

  async function* messages(userId: string): AsyncGenerator<object> {
    for (const { id, present } of await ownConversations(userId)) {
      if (present) yield* allMessages(id, userId)
      else yield* ownMessages(id, userId)
    }
  }

  async function* allMessages(conversationId: string, userId: string): AsyncGenerator<object> {
    const rows = inPages<MessageRow & Revised>((after) =>
      database.query(
        sql<MessageRow & Revised>`
          select ${messageColumns}, ${revisions} as revisions from messages m
          where m.conversation_id = ${conversationId} and m.seq > ${after?.seq ?? 0} and exists (
            select from participants me join conversations c on c.id = me.conversation_id
            where me.conversation_id = ${conversationId} and me.user_id = ${userId} and ${isPresent}
          )
          order by m.seq limit ${pageSize}`,
      ),
    )
    for await (const row of rows)
      yield { ...lasting(presentMessage(row, noUrls)), ...(row.revisions && { revisions: row.revisions }) }
  }

  /** One's own words, without what others have added to them since, or had said before them. */
  async function* ownMessages(conversationId: string, userId: string): AsyncGenerator<object> {
    const rows = inPages<MessageRow & Revised>((after) =>
      database.query(
        sql<MessageRow & Revised>`
          select ${messageColumns}, ${revisions} as revisions from messages m
          where m.conversation_id = ${conversationId} and m.sender_id = ${userId} and m.seq > ${after?.seq ?? 0}
          order by m.seq limit ${pageSize}`,
      ),
    )
    for await (const row of rows) {
      const { change: _, reactions: __, replyTo, ...own } = lasting(presentMessage(row, noUrls))
      yield {
        ...own,
        ...(replyTo && { replyTo: { id: replyTo.id, seq: replyTo.seq } }),
        ...(row.revisions && { revisions: row.revisions }),
      }
    }
  }

  async function* reactions(userId: string): AsyncGenerator<object> {
    for (const { id: conversationId } of await ownConversations(userId)) {
      const rows = inPages<{ message_id: string; emoji: string; created_at: string }>((after) =>
        database.query(
          sql`
            select message_id, emoji, created_at from reactions
            where conversation_id = ${conversationId} and user_id = ${userId}
              ${after ? sql`and (message_id, emoji) > (${after.message_id}::uuid, ${after.emoji})` : sql``}
            order by message_id, emoji limit ${pageSize}`,
        ),
      )
      for await (const { message_id, emoji, created_at } of rows)
        yield { conversationId, messageId: message_id, emoji, createdAt: iso(created_at) }
    }
  }

  async function* receipts(userId: string): AsyncGenerator<object> {
    for (const { id: conversationId } of await ownConversations(userId)) {
      const rows = inPages<{ up_to_seq: number; read_at: string }>((after) =>
        database.query(
          sql`
            select up_to_seq, read_at from read_receipts
            where conversation_id = ${conversationId} and user_id = ${userId} and up_to_seq > ${after?.up_to_seq ?? 0}
            order by up_to_seq limit ${pageSize}`,
        ),
      )
      for await (const { up_to_seq, read_at } of rows)
        yield { conversationId, lastReadSeq: up_to_seq, readAt: iso(read_at) }
    }
  }

  /** Ids alone, so that thousands of them are little. */
  async function ownConversations(userId: string): Promise<OwnConversation[]> {
    return await database.query(
      sql<OwnConversation>`
        select c.id, ${isPresent} as present
        from participants me join conversations c on c.id = me.conversation_id
        where me.user_id = ${userId} order by c.id`,
    )
  }
}

/** Of `participants me` in `conversations c`; one that was deleted is as good as left. */
const isPresent = sql<boolean>`(me.left_at is null and c.deleted_at is null)`

/** An export is kept for longer than an address of media is good: none is signed for it. The files are a section of their own. */
const noUrls: MediaUrls = { of: () => '' }
const addresses = new Set(['url', 'thumbnailUrl', 'avatarUrl'])

const lasting = <T extends object>(shown: T): T =>
  JSON.parse(JSON.stringify(shown, (key, value: unknown) => (addresses.has(key) ? undefined : value))) as T

interface Revised {
  revisions: { content: string; editedAt: string }[] | null
}

/** The earlier texts of a message `m`, and when each was replaced. */
const revisions = sql`
  case when m.edited_at is not null then (
    select json_agg(json_build_object('content', r.content, 'editedAt', r.edited_at) order by r.id)
    from message_revisions r where r.conversation_id = m.conversation_id and r.message_id = m.id
  ) end`
