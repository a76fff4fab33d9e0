import { sql } from 'kysely'
import { type Connection, run } from '../database/database.ts'

/**
 * A group without an owner gets its longest-standing admin, or else member, as one: a person, since an agent cannot look
 * after people. Returns who that is, if anyone. The conversation is locked.
 */
export async function handOn(em: Connection, conversationId: string, change: number): Promise<string[]> {
  const rows = await run(
    em,
    sql<{ user_id: string }>`
      update participants set role = 'owner', change = ${change}, updated_at = now()
      where conversation_id = ${conversationId}
        and not exists (
          select from participants where conversation_id = ${conversationId} and role = 'owner' and left_at is null
        )
        and user_id = (
          select p.user_id from participants p join users u on u.id = p.user_id and u.kind = 'human'
          where p.conversation_id = ${conversationId} and p.left_at is null
          order by p.role = 'admin' desc, p.joined_at, p.user_id limit 1
        )
      returning user_id`,
  )
  return rows.map(({ user_id }) => user_id)
}
