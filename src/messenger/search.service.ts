import { sql } from 'kysely'
import { z } from 'zod'
import type { Database } from '../database/database.ts'
import { decodeCursor, encodeCursor, keyId } from '../kernel/cursors.ts'
import type { UserContext } from '../kernel/operation.ts'
import type { MediaUrls } from '../kernel/ports.ts'
import { requireParticipant } from './conversation-lock.ts'
import { type MessageRow, messageColumns, presentMessage } from './message.presenter.ts'
import type { CommandOutput, ParsedInput } from './messenger.contract.ts'

const searchKey = z.tuple([keyId])

/**
 * Full-text search in the conversations that one is in. The query is read as people type it (quotes for phrases, `-` to
 * exclude, `or`) and can hold any character. Words are matched whole and without regard to case, in any language. What
 * the index of words does not have yet is read from the messages.
 */
export function createSearch({ database, urls }: { database: Database; urls: MediaUrls }) {
  return {
    async search(
      input: ParsedInput<'message:search'>,
      { actor }: UserContext,
    ): Promise<CommandOutput<'message:search'>> {
      const { query, conversationId, senderId, limit } = input
      if (conversationId) await requireParticipant(database, conversationId, actor.userId)
      const before = input.cursor === undefined ? undefined : decodeCursor(input.cursor, searchKey)[0]
      // ids are made in the order of time
      const rows = await database.query(
        sql<MessageRow>`
          with own as materialized (
            select me.conversation_id, coalesce(s.change, 0) as indexed
            from participants me
            join conversations c on c.id = me.conversation_id and c.deleted_at is null
            left join search_positions s on s.conversation_id = me.conversation_id
            where me.user_id = ${actor.userId} and me.left_at is null
              ${conversationId ? sql`and me.conversation_id = ${conversationId}` : sql``}
          ), wanted as (
            select websearch_to_tsquery('simple', ${query}) as words
          ), found as (
            select m.* from wanted
            join message_search w on w.words @@ wanted.words
            join own on own.conversation_id = w.conversation_id
            join messages m on m.conversation_id = w.conversation_id and m.seq = w.seq and m.change <= own.indexed
            union all
            select m.* from wanted cross join own
            join messages m on m.conversation_id = own.conversation_id and m.change > own.indexed
            where m.deleted_at is null and to_tsvector('simple', m.content) @@ wanted.words
          )
          select ${messageColumns} from found m
          where true
            ${senderId ? sql`and m.sender_id = ${senderId}` : sql``}
            ${before ? sql`and m.id < ${before}::uuid` : sql``}
          order by m.id desc limit ${limit + 1}`,
      )
      const page = rows.slice(0, limit)
      const last = page.at(-1)
      const more = rows.length > page.length && last
      return {
        messages: page.map((row) => presentMessage(row, urls)),
        ...(more && { nextCursor: encodeCursor([last.id]) }),
      }
    },
  }
}
