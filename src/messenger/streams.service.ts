import { sql } from 'kysely'
import { type Connection, type Database, run } from '../database/database.ts'
import { notFound } from '../kernel/errors.ts'
import type { Fanout, MediaUrls } from '../kernel/ports.ts'
import {
  type HeldConversation,
  holdConversation,
  lockConversation,
  nextChange,
  requireParticipant,
} from './conversation-lock.ts'
import { mention, mentionedNames } from './mentions.ts'
import { asWritten, type MessageRow, messageColumns, presentMessage } from './message.presenter.ts'
import type { EventPayload, Message } from './messenger.contract.ts'
import { mayWrite } from './messenger.policy.ts'
import type { SearchIndex } from './search-index.ts'

/** A message that begins without its text. */
export interface NewStream {
  id: string
  /** Undefined: a model answers in its own name. */
  senderId?: string | undefined
  modelId?: string | undefined
  clientId?: string | undefined
  replyToId?: string | undefined
  /** Given: it has failed before it began, and this is why. */
  errorCode?: string | undefined
}

/** How a message that was growing ends. */
export interface StreamEnd {
  conversationId: string
  messageId: string
  status: 'sent' | 'failed' | 'cancelled'
  /** What is not stored of its text yet. */
  text: string
  errorCode?: string | undefined
  /** What it took, where that is known. */
  usage?: { inputTokens: number; outputTokens: number; credits: number; processingTimeMs: number } | undefined
  /** Who pays for it where the text asks other agents. */
  requestedBy: string | null
}

/** Text that others may see now. */
export interface StreamDelta extends EventPayload<'stream:delta'> {
  /** The conversation's latest join or leave, as it was read a moment ago. */
  membersChange: number
}

/** What a transaction has changed, and what is left to do after its commit. */
export interface StreamChange {
  messages: Message[]
  prevChange: number
  change: number
  /** Tells the participants. */
  announce(): Promise<void>
}

/**
 * Messages whose text grows while others read it. What always holds: a message that begins or ends takes a number of
 * change, its growth takes none; what was announced can be read; and the text of one that has ended, or was deleted, never
 * changes again from here.
 */
export function createStreams(deps: {
  database: Database
  fanout: Pick<Fanout, 'toConversations'>
  searchIndex: Pick<SearchIndex, 'note'>
  urls: MediaUrls
}) {
  const { database, fanout, searchIndex, urls } = deps

  /**
   * Locks a conversation for who begins to write in it.
   * @throws AppError not_found, forbidden
   */
  async function lock(em: Connection, conversationId: string, userId: string): Promise<HeldConversation> {
    const conversation = await lockConversation(em, conversationId, userId)
    mayWrite(conversation)
    return conversation
  }

  /** Holds a conversation for what writes in it by itself; undefined where it was deleted or nothing may be written. */
  async function holdToWrite(em: Connection, conversationId: string): Promise<HeldConversation | undefined> {
    const conversation = await holdConversation(em, conversationId)
    return conversation?.is_blocked ? undefined : conversation
  }

  /** Numbers and stores messages that begin, of the conversation that the transaction holds. */
  async function beginIn(em: Connection, held: HeldConversation, streams: NewStream[]): Promise<StreamChange> {
    const { id: conversationId, members_change: membersChange, last_change: prevChange } = held
    const change = prevChange + streams.length
    await run(
      em,
      sql`
        insert into messages (conversation_id, id, seq, change, created_change, sender_id, role, content, reply_to_id,
          client_id, status, model_id, error_code, created_at)
        select ${conversationId}, s.id, ${held.last_seq}::int + s.place, ${prevChange}::int + s.place,
          ${prevChange}::int + s.place, s.sender_id, 'assistant', '', s.reply_to_id, s.client_id,
          case when s.error_code is null then 'streaming' else 'failed' end, s.model_id, s.error_code,
          date_trunc('milliseconds', now())
        from unnest(${streams.map(({ id }) => id)}::uuid[], ${streams.map(({ senderId }) => senderId ?? null)}::uuid[],
          ${streams.map(({ replyToId }) => replyToId ?? null)}::uuid[],
          ${streams.map(({ clientId }) => clientId ?? null)}::text[],
          ${streams.map(({ modelId }) => modelId ?? null)}::text[],
          ${streams.map(({ errorCode }) => errorCode ?? null)}::text[])
          with ordinality as s (id, sender_id, reply_to_id, client_id, model_id, error_code, place)`,
    )
    await run(
      em,
      sql`
        update conversations set last_seq = last_seq + ${streams.length}, last_change = ${change},
          last_message_at = date_trunc('milliseconds', now())
        where id = ${conversationId}`,
    )
    await readBySenders(
      em,
      conversationId,
      streams.map(({ id }) => id),
    )
    const messages = await messagesOf(
      em,
      conversationId,
      streams.map(({ id }) => id),
      urls,
    )
    const payload = { conversationId, prevChange, change, messages }
    return { messages, prevChange, change, announce: () => tell(membersChange, 'messages:created', payload) }
  }

  /** Stores further text of messages that grow; gives the ids of those that still do. */
  async function appendIn(
    em: Connection,
    texts: { conversationId: string; messageId: string; text: string }[],
  ): Promise<Set<string>> {
    const rows = await run(
      em,
      sql<{ id: string }>`
        update messages m set content = m.content || t.text
        from unnest(${texts.map(({ conversationId }) => conversationId)}::uuid[],
          ${texts.map(({ messageId }) => messageId)}::uuid[], ${texts.map(({ text }) => text)}::text[])
          as t (conversation_id, id, text)
        where m.conversation_id = t.conversation_id and m.id = t.id and m.status = 'streaming' and m.deleted_at is null
          and not exists (select from conversations c where c.id = m.conversation_id and c.is_blocked)
        returning m.id`,
    )
    return new Set(rows.map(({ id }) => id))
  }

  /**
   * Ends a message, in the conversation that the transaction holds. Undefined where it has ended already or was deleted.
   * Where nothing may be written any more, it ends as stopped, with what is stored of it. Whom the text mentions is stored with it; where that may be an agent, `asked` says so and the question is noted.
   */
  async function finishIn(
    em: Connection,
    held: HeldConversation,
    end: StreamEnd,
  ): Promise<(StreamChange & { asked: boolean }) | undefined> {
    const { conversationId, messageId, usage } = end
    const text = held.is_blocked ? '' : end.text
    const status = held.is_blocked && end.status === 'sent' ? 'cancelled' : end.status
    const [row] = await run(
      em,
      sql<{ seq: number; content: string }>`
        update messages set content = content || ${text}, status = ${status}, error_code = ${end.errorCode ?? null},
          input_tokens = ${usage?.inputTokens ?? null}, output_tokens = ${usage?.outputTokens ?? null},
          credits = ${usage?.credits ?? null}, processing_time_ms = ${usage?.processingTimeMs ?? null},
          change = ${held.last_change + 1}
        where conversation_id = ${conversationId} and id = ${messageId} and status = 'streaming' and deleted_at is null
        returning seq, ${asWritten('content')} as content`,
    )
    if (!row) return undefined
    const { prevChange, change } = await nextChange(em, held, 'message')
    const names = mentionedNames(row.content)
    if (names) await mention(em, conversationId, row.seq, names)
    const asked = status === 'sent' && (held.type === 'direct' || (held.type === 'group' && names !== undefined))
    if (asked) await askIn(em, { conversationId, seq: row.seq, messageId, requestedBy: end.requestedBy })
    const messages = await messagesOf(em, conversationId, [messageId], urls)
    const payload = { conversationId, prevChange, change, messages }
    return {
      ...{ messages, prevChange, change, asked },
      announce: () => tell(held.members_change, 'messages:updated', payload),
    }
  }

  /** Notes that a message may have to be answered by an agent. */
  async function askIn(
    em: Connection,
    trigger: { conversationId: string; seq: number; messageId: string; requestedBy: string | null },
  ): Promise<void> {
    const { conversationId, seq, messageId, requestedBy } = trigger
    await run(
      em,
      sql`
        insert into message_triggers (conversation_id, seq, message_id, requested_by)
        values (${conversationId}, ${seq}, ${messageId}, ${requestedBy}) on conflict do nothing`,
    )
  }

  /** Tells the participants how texts grow. */
  const tellDeltas = (deltas: StreamDelta[]): Promise<void> =>
    fanout.toConversations(
      deltas.map(({ membersChange, ...payload }) => ({
        conversationId: payload.conversationId,
        membersChange,
        event: 'stream:delta',
        payload,
      })),
    )

  /**
   * What is stored of a message's text from `offset` on.
   * @throws AppError not_found
   */
  async function read(
    userId: string,
    { conversationId, messageId, offset }: { conversationId: string; messageId: string; offset: number },
  ): Promise<{ text: string; offset: number; status: Message['status'] }> {
    await requireParticipant(database, conversationId, userId)
    const [row] = await database.query(
      sql<{ content: string; status: Message['status'] }>`
        select ${asWritten('content')} as content, status from messages
        where conversation_id = ${conversationId} and id = ${messageId}`,
    )
    if (!row) throw notFound('message')
    const from = Math.min(offset, row.content.length)
    return { text: row.content.slice(from), offset: from, status: row.status }
  }

  async function tell(
    membersChange: number,
    event: 'messages:created' | 'messages:updated',
    payload: EventPayload<'messages:created'>,
  ): Promise<void> {
    const { conversationId } = payload
    searchIndex.note([conversationId])
    await fanout.toConversations([{ conversationId, membersChange, event, payload }])
  }

  return { hold: holdConversation, holdToWrite, lock, beginIn, appendIn, finishIn, tellDeltas, read }
}

export type Streams = ReturnType<typeof createStreams>

/** Who writes has read what stood before. */
async function readBySenders(em: Connection, conversationId: string, messageIds: string[]): Promise<void> {
  await run(
    em,
    sql`
      with moved as (
        update participants p set last_read_seq = m.seq, last_read_at = m.created_at, updated_at = now()
        from messages m
        where m.conversation_id = ${conversationId} and m.id = any (${messageIds}::uuid[])
          and p.conversation_id = m.conversation_id and p.user_id = m.sender_id and p.last_read_seq < m.seq
        returning p.conversation_id, p.user_id, p.last_read_seq, p.last_read_at
      )
      insert into read_receipts (conversation_id, user_id, up_to_seq, read_at)
      select conversation_id, user_id, last_read_seq, last_read_at from moved on conflict do nothing`,
  )
}

async function messagesOf(em: Connection, conversationId: string, ids: string[], urls: MediaUrls): Promise<Message[]> {
  const rows = await run(
    em,
    sql<MessageRow>`
      select ${messageColumns} from messages m
      where m.conversation_id = ${conversationId} and m.id = any (${ids}::uuid[]) order by m.seq`,
  )
  return rows.map((row) => presentMessage(row, urls))
}
