import { sql } from 'kysely'
import { type Database, run } from '../database/database.ts'
import type { AttachmentUse } from '../kernel/ports.ts'

/**
 * Where the messenger refers to attachments: in messages, and as avatars of conversations. Those of a deleted conversation
 * count for as long as it has them (see dissolution.ts), though nobody sees them there any more.
 */
export function createAttachmentUse(database: Pick<Database, 'query'>): AttachmentUse {
  return {
    async usedAmong(em, attachmentIds) {
      const rows = await run(
        em,
        sql<{ id: string }>`
          select a.id from unnest(${attachmentIds}::uuid[]) as a (id)
          where exists (select from message_attachments ma where ma.attachment_id = a.id)
            or exists (select from conversations c where c.avatar_id = a.id)`,
      )
      return rows.map(({ id }) => id)
    },

    async isVisibleTo(userId, attachmentId) {
      const rows = await database.query(
        sql`
          select 1 where exists (
            select from message_attachments ma
            join conversations c on c.id = ma.conversation_id and c.deleted_at is null
            join participants me on me.conversation_id = c.id and me.user_id = ${userId} and me.left_at is null
            where ma.attachment_id = ${attachmentId}
          ) or exists (
            select from conversations c
            join participants me on me.conversation_id = c.id and me.user_id = ${userId} and me.left_at is null
            where c.avatar_id = ${attachmentId} and c.deleted_at is null
          )`,
      )
      return rows.length > 0
    },
  }
}
