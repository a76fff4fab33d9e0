import { sql } from 'kysely'
import type { Database } from '../database/database.ts'
import type { ContextMessage } from './context.ts'

/** More are never shown to a model, however short they are. */
const maxMessages = 300

interface Row {
  id: string
  sender_id: string | null
  sender_name: string | null
  role: ContextMessage['role']
  model_id: string | null
  type: ContextMessage['type']
  content: string
  status: ContextMessage['status']
  reply_name: string | null
  reply_excerpt: string | null
}

/** The messages of a conversation up to a position, oldest first, as a context is built of them. */
export async function messagesUpTo(
  database: Pick<Database, 'query'>,
  conversationId: string,
  seq: number,
): Promise<ContextMessage[]> {
  const rows = await database.query(
    sql<Row>`
      select m.id, m.sender_id, u.display_name as sender_name, m.role, m.model_id, m.type, to_json(m.content) as content,
        m.status, ru.display_name as reply_name, left(r.content, 200) as reply_excerpt
      from messages m
      left join users u on u.id = m.sender_id
      left join messages r on r.conversation_id = m.conversation_id and r.id = m.reply_to_id and r.deleted_at is null
      left join users ru on ru.id = r.sender_id
      where m.conversation_id = ${conversationId} and m.seq between ${seq - maxMessages + 1} and ${seq}
        and m.deleted_at is null
      order by m.seq`,
  )
  return rows.map((row) => ({
    id: row.id,
    role: row.role,
    type: row.type,
    content: row.content,
    status: row.status,
    ...(row.sender_id !== null && { senderId: row.sender_id }),
    ...(row.sender_name !== null && { senderName: row.sender_name }),
    ...(row.model_id !== null && { modelId: row.model_id }),
    ...(row.reply_excerpt !== null && {
      replyTo: { excerpt: row.reply_excerpt, ...(row.reply_name !== null && { senderName: row.reply_name }) },
    }),
  }))
}
