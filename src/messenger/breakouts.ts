import { sql } from 'kysely'
import { type Connection, type Database, run } from '../database/database.ts'
import { notFound, unprocessable } from '../kernel/errors.ts'
import { newId } from '../kernel/ids.ts'
import { asWritten } from './message.presenter.ts'
import type { Conversation } from './messenger.contract.ts'

/** A breakout begins with at most so many messages, the newest. */
const mostCopied = 1_000

/** What a breakout goes on from. */
export interface Origin {
  parentId: string
  title: string | undefined
  systemPrompt: string | undefined
  modelId: string
  /** Where the message stands up to which it is copied. */
  seq: number
}

/**
 * Finds what a breakout goes on from. Takes no lock: a parent that is deleted meanwhile was deleted after the breakout.
 * @throws AppError not_found for a parent that the user is not in, or a message that is not in it; unprocessable where
 *   the parent is no assistant conversation, or the model does not answer there
 */
export async function findOrigin(
  database: Pick<Database, 'query'>,
  userId: string,
  of: { parentId: string; breakoutModelId: string; messageId: string },
): Promise<Origin> {
  const { parentId, breakoutModelId: modelId, messageId } = of
  const [row] = await database.query(
    sql<{
      type: Conversation['type']
      title: string | null
      system_prompt: string | null
      answers: boolean
      seq: number | null
    }>`
      select c.type, ${asWritten('c.title')} as title, ${asWritten('c.system_prompt')} as system_prompt,
        coalesce(${modelId} = any (c.models), false) or exists (
          select from messages m where m.conversation_id = c.id and m.model_id = ${modelId}
        ) as answers,
        (select m.seq from messages m where m.conversation_id = c.id and m.id = ${messageId}) as seq
      from participants me join conversations c on c.id = me.conversation_id
      where me.conversation_id = ${parentId} and me.user_id = ${userId} and me.left_at is null
        and c.deleted_at is null`,
  )
  if (!row) throw notFound('conversation')
  if (row.type !== 'assistant') throw unprocessable('A breakout goes on from an assistant conversation.')
  if (!row.answers) throw unprocessable('This model does not answer in that conversation.')
  if (row.seq === null) throw notFound('message')
  const { title, system_prompt, seq } = row
  return { parentId, title: title ?? undefined, systemPrompt: system_prompt ?? undefined, modelId, seq }
}

/**
 * Copies into a conversation that begins what was said in its parent up to the origin, by people and by the model. The
 * copies are messages of their own, numbered from 1 on, with the times, models and tokens of what they were copied from;
 * but as they cost nothing, their credits are 0, so that the credits of all messages are still what was paid.
 *
 * One statement reads and writes, so it sees the parent as of one moment without locking it: however much there is to
 * copy, the parent goes on meanwhile.
 */
export async function copyMessages(em: Connection, conversationId: string, origin: Origin): Promise<void> {
  const { parentId, modelId, seq } = origin
  // before a seq there are no more messages than it says
  const ids = Array.from({ length: Math.min(seq, mostCopied) }, newId)
  // what the parent lets go of at this moment is kept for the copies
  await run(
    em,
    sql`
      select from messages m
      join message_attachments ma on ma.conversation_id = m.conversation_id and ma.message_id = m.id
      join attachments a on a.id = ma.attachment_id
      where m.conversation_id = ${parentId} and m.seq <= ${seq} order by a.id for key share of a`,
  )
  const copied = await run(
    em,
    sql`
      with picked as (
        select m.* from messages m
        where m.conversation_id = ${parentId} and m.seq <= ${seq} and m.deleted_at is null and m.status <> 'streaming'
          and (m.role = 'user' or m.role = 'assistant' and m.model_id = ${modelId})
        order by m.seq desc limit ${mostCopied}
      ), placed as (
        select p.*, (${ids}::uuid[])[p.place] as new_id
        from (select *, (row_number() over (order by seq))::int as place from picked) p
      ), attached as (
        insert into message_attachments (conversation_id, message_id, position, attachment_id)
        select ${conversationId}, p.new_id, ma.position, ma.attachment_id
        from placed p join message_attachments ma on ma.conversation_id = ${parentId} and ma.message_id = p.id
      )
      insert into messages (conversation_id, id, seq, change, created_change, sender_id, role, type, content, reply_to_id,
        forwarded_from, status, model_id, input_tokens, output_tokens, credits, processing_time_ms, error_code, created_at)
      select ${conversationId}, p.new_id, p.place, c.last_change + p.place, c.last_change + p.place, p.sender_id, p.role,
        p.type, p.content, r.new_id, p.forwarded_from, p.status, p.model_id, p.input_tokens, p.output_tokens,
        case when p.credits is not null then 0 end, p.processing_time_ms, p.error_code, p.created_at
      from conversations c cross join placed p left join placed r on r.id = p.reply_to_id
      where c.id = ${conversationId}
      returning seq`,
  )
  if (copied.length === 0) return
  await run(
    em,
    sql`update conversations set last_seq = ${copied.length}, last_change = last_change + ${copied.length},
        last_message_at = date_trunc('milliseconds', now())
      where id = ${conversationId}`,
  )
  // who goes on from it has read it
  await run(
    em,
    sql`update participants set last_read_seq = ${copied.length}, last_read_at = now() where conversation_id = ${conversationId}`,
  )
}
