import { sql } from 'kysely'
import type { Database } from '../database/database.ts'
import { notFound } from '../kernel/errors.ts'
import type { Fanout, MediaUrls } from '../kernel/ports.ts'
import { type ConversationRow, conversationColumns, presentConversation } from './conversation.presenter.ts'
import type { Conversation } from './messenger.contract.ts'

/** Conversations as their participants see them. */
export function createConversationViews({
  database,
  fanout,
  urls,
}: {
  database: Pick<Database, 'query'>
  fanout: Pick<Fanout, 'toUsers'>
  urls: MediaUrls
}) {
  /** Those of these conversations that the user is in, as the user sees them; in no particular order. */
  async function viewMany(conversationIds: string[], userId: string): Promise<Conversation[]> {
    if (conversationIds.length === 0) return []
    const rows = await database.query(
      sql<ConversationRow>`
        select ${conversationColumns}
        from participants me join conversations c on c.id = me.conversation_id
        where me.user_id = ${userId} and me.left_at is null and c.deleted_at is null
          and me.conversation_id = any (${conversationIds}::uuid[])`,
    )
    return rows.map((row) => presentConversation(row, urls))
  }

  /** @throws AppError not_found */
  async function view(conversationId: string, userId: string): Promise<Conversation> {
    const [found] = await viewMany([conversationId], userId)
    if (!found) throw notFound('conversation')
    return found
  }

  /** Tells each of these users of a conversation that begins for them, as they see it. */
  async function announceTo(conversationId: string, userIds: string[]): Promise<void> {
    const rows = await database.query(
      sql<ConversationRow & { viewer: string }>`
        select ${conversationColumns}, me.user_id as viewer
        from participants me join conversations c on c.id = me.conversation_id
        where me.conversation_id = ${conversationId} and me.left_at is null and me.user_id = any (${userIds}::uuid[])`,
    )
    for (const row of rows) fanout.toUsers([row.viewer], 'conversation:created', presentConversation(row, urls))
  }

  return { viewMany, view, announceTo }
}

export type ConversationViews = ReturnType<typeof createConversationViews>
