import { sql } from 'kysely'
import type { Database } from '../database/database.ts'
import type { Memberships } from '../kernel/ports.ts'

/** Who is in which conversation, for the rooms of sockets. */
export function createMemberships(database: Database): Memberships {
  return {
    async conversationsOf(userId) {
      const rows = await database.query(
        sql<{ id: string; members_change: number }>`
          select c.id, c.members_change from participants p join conversations c on c.id = p.conversation_id
          where p.user_id = ${userId} and p.left_at is null and c.deleted_at is null`,
      )
      return rows.map(({ id, members_change }) => ({ conversationId: id, membersChange: members_change }))
    },

    async membersOf(conversationId) {
      // one statement, so that the people are those of that very change
      const [row] = await database.query(
        sql<{ members_change: number; user_ids: string[] | null }>`
          select c.members_change, (
            select json_agg(p.user_id) from participants p where p.conversation_id = c.id and p.left_at is null
          ) as user_ids
          from conversations c where c.id = ${conversationId} and c.deleted_at is null`,
      )
      return row && { userIds: row.user_ids ?? [], membersChange: row.members_change }
    },
  }
}
