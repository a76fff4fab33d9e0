import { type RawBuilder, sql } from 'kysely'
import type { MediaUrls } from '../kernel/ports.ts'
import { type AttachmentFacts, presentAttachment } from '../media/index.ts'
import type { Message } from './messenger.contract.ts'

/** How much of a message a reply to it shows, in characters. */
const excerptLength = 100

/** A message with what hangs on it, as `messageColumns` reads it. */
export interface MessageRow {
  id: string
  conversation_id: string
  seq: number
  change: number
  client_id: string | null
  sender_id: string | null
  role: Message['role']
  type: Message['type']
  content: string
  attachments: AttachmentFacts[] | null
  story_id: string | null
  forwarded_from: Message['forwardedFrom'] | null
  status: Message['status']
  model_id: string | null
  usage: NonNullable<Message['usage']> | null
  error_code: string | null
  edited_at: string | null
  deleted_at: string | null
  created_at: string
  reply_to: NonNullable<Message['replyTo']> | null
  mentions: string[] | null
  reactions: { emoji: string; userIds: string[] }[] | null
}

/**
 * A column of text as it was written. The embedded database drops a byte order mark from the beginning of a text, but not
 * of a text within JSON.
 */
export const asWritten = (column: string): RawBuilder<string> => sql`to_json(${sql.ref(column)})`

/** The columns of `MessageRow`, of a table of messages named `m`. */
export const messageColumns: RawBuilder<MessageRow> = sql`
  m.id, m.conversation_id, m.seq, m.change, m.client_id, m.sender_id, m.role, m.type,
  ${asWritten('m.content')} as content, m.story_id, m.forwarded_from,
  case when m.type not in ('text', 'system') then (
    select json_agg(attachment_facts(a) order by ma.position)
    from message_attachments ma join attachments a on a.id = ma.attachment_id
    where ma.conversation_id = m.conversation_id and ma.message_id = m.id
  ) end as attachments,
  m.status, m.model_id, m.error_code, m.edited_at, m.deleted_at, m.created_at,
  case when m.output_tokens is not null then json_strip_nulls(json_build_object('inputTokens', m.input_tokens,
    'outputTokens', m.output_tokens, 'credits', m.credits, 'processingTimeMs', m.processing_time_ms)) end as usage,
  case when m.reply_to_id is not null then (
    select json_strip_nulls(json_build_object('id', r.id, 'seq', r.seq, 'senderId', r.sender_id, 'excerpt',
      left(r.content, ${sql.lit(excerptLength)})))
    from messages r where r.conversation_id = m.conversation_id and r.id = m.reply_to_id
  ) end as reply_to,
  (
    select json_agg(n.user_id order by n.user_id)
    from mentions n where n.conversation_id = m.conversation_id and n.seq = m.seq
  ) as mentions,
  (
    select json_agg(json_build_object('emoji', x.emoji, 'userIds', x.user_ids) order by x.first_at, x.emoji)
    from (
      select emoji, min(created_at) as first_at, json_agg(user_id order by created_at, user_id) as user_ids
      from reactions where conversation_id = m.conversation_id and message_id = m.id group by emoji
    ) x
  ) as reactions`

/** The contract's timestamp from the database's. */
export const iso = (value: string | Date): string => new Date(value).toISOString()

export function presentMessage(row: MessageRow, urls: MediaUrls): Message {
  return {
    id: row.id,
    conversationId: row.conversation_id,
    seq: row.seq,
    change: row.change,
    ...(row.client_id !== null && { clientId: row.client_id }),
    ...(row.sender_id !== null && { senderId: row.sender_id }),
    role: row.role,
    type: row.type,
    content: row.content,
    ...(row.attachments && { attachments: row.attachments.map((facts) => presentAttachment(facts, urls)) }),
    ...(row.story_id !== null && { storyId: row.story_id }),
    ...(row.reply_to && { replyTo: row.reply_to }),
    ...(row.forwarded_from && { forwardedFrom: row.forwarded_from }),
    ...(row.mentions && { mentions: row.mentions }),
    ...(row.reactions && { reactions: row.reactions }),
    status: row.status,
    ...(row.model_id !== null && { modelId: row.model_id }),
    ...(row.usage && { usage: row.usage }),
    ...(row.error_code !== null && { error: row.error_code }),
    ...(row.edited_at !== null && { editedAt: iso(row.edited_at) }),
    ...(row.deleted_at !== null && { deletedAt: iso(row.deleted_at) }),
    createdAt: iso(row.created_at),
  }
}
