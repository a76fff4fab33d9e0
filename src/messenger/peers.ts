import { sql } from 'kysely'
import type { Database } from '../database/database.ts'
import { hasBlock } from '../identity/index.ts'

/** The people whom the user meets in conversations, but for those with a block between them; the user is none of them. */
export async function peersOf(database: Pick<Database, 'query'>, userId: string): Promise<string[]> {
  const rows = await database.query(
    sql<{ id: string }>`
      select u.id from users u
      where u.id in (
        select p.user_id from participants me
        join conversations c on c.id = me.conversation_id and c.deleted_at is null
        join participants p on p.conversation_id = me.conversation_id and p.left_at is null
        where me.user_id = ${userId} and me.left_at is null
      ) and u.id <> ${userId} and u.kind = 'human' and u.deleted_at is null
        and not ${hasBlock(sql`u.id`, userId)}
      order by u.id`,
  )
  return rows.map(({ id }) => id)
}
