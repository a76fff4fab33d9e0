import { sql } from 'kysely'
import type { Database } from '../database/database.ts'
import { decodeCursor, encodeCursor, invalidCursor } from '../kernel/cursors.ts'
import type { UserContext } from '../kernel/operation.ts'
import { requireParticipant } from './conversation-lock.ts'
import { type MessageRow, messageColumns, presentMessage } from './message.presenter.ts'
import type { CommandOutput, ParsedInput } from './messenger.contract.ts'

/**
 * Full-text search in the conversations that one is in. The query is read as people type it (quotes for phrases, `-` to
 * exclude, `or`) and can hold any character. Words are matched whole and without regard to case, in any language.
 */
export function createSearch({ database }: { database: Database }) {
  return {
    async search(input: ParsedInput<'message:search'>, { actor }: UserContext): Promise<CommandOutput<'message:search'>> {
      const { query, conversationId, senderId, limit } = input
      if (conversationId) await requireParticipant(database, conversationId, actor.userId)
      const before = input.cursor === undefined ? undefined : searchPosition(input.cursor)
      // ids are made in the order of time
      const rows = await database.query(
        sql<MessageRow>`
          select ${messageColumns}
          from messages m
          join participants me on me.conversation_id = m.conversation_id and me.user_id = ${actor.userId} and me.left_at is null
          join conversations c on c.id = m.conversation_id and c.deleted_at is null
          where to_tsvector('simple', m.content) @@ websearch_to_tsquery('simple', ${query})
            ${conversationId ? sql`and m.conversation_id = ${conversationId}` : sql``}
            ${senderId ? sql`and m.sender_id = ${senderId}` : sql``}
            ${before ? sql`and m.id < ${before}::uuid` : sql``}
          order by m.id desc limit ${limit + 1}`,
      )
      const page = rows.slice(0, limit)
      const last = page.at(-1)
      const more = rows.length > page.length && last
      return { messages: page.map(presentMessage), ...(more && { nextCursor: encodeCursor([last.id]) }) }
    },
  }
}

function searchPosition(cursor: string): string {
  const [id = ''] = decodeCursor(cursor, 1)
  if (!/^[0-9a-f-]{36}$/.test(id)) throw invalidCursor()
  return id
}
