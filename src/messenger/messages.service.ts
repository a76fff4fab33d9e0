import { hash } from 'node:crypto'
import { sql } from 'kysely'
import { type Database, run } from '../database/database.ts'
import { AppError, notFound, unprocessable } from '../kernel/errors.ts'
import { newId } from '../kernel/ids.ts'
import type { UserContext } from '../kernel/operation.ts'
import type { Fanout } from '../kernel/ports.ts'
import { lockConversation, nextChange, requireParticipant } from './conversation-lock.ts'
import { mention, mentionedNames } from './mentions.ts'
import { asWritten, iso, type MessageRow, messageColumns, presentMessage } from './message.presenter.ts'
import type { MessageWriter } from './message-writer.ts'
import type { CommandOutput, Message, ParsedInput, Sent } from './messenger.contract.ts'
import { mayDeleteMessage, mayEdit } from './messenger.policy.ts'
import type { SearchIndex } from './search-index.ts'

/** What messages go through after and before they are stored: sending, editing, deleting, reading back. */
export function createMessages(deps: {
  database: Database
  fanout: Fanout
  writer: MessageWriter
  searchIndex: Pick<SearchIndex, 'note'>
}) {
  const { database, fanout, writer, searchIndex } = deps

  return {
    /** Checks what needs no row and hands the message to the writer. */
    async send(input: ParsedInput<'message:send'>, { actor, socketId }: UserContext): Promise<Sent> {
      const { conversationId, clientId, type, content, attachmentIds, replyToId, forward } = input
      if (type !== 'text' || attachmentIds?.length) throw unprocessable('This server does not take attachments.')
      if (forward && replyToId) throw invalid('replyToId', 'must be absent: a forward is no reply')
      if (forward && content !== undefined)
        throw invalid('content', 'must be absent: a forward takes its text from the source')
      if (!forward && !content) throw invalid('content', 'must not be empty')
      return writer.write({
        id: newId(),
        conversationId,
        senderId: actor.userId,
        clientId,
        clientHash: hash('sha256', JSON.stringify([type, content, attachmentIds, replyToId, forward])),
        type,
        content: content ?? '',
        replyToId,
        forward,
        names: content === undefined ? undefined : mentionedNames(content),
        socketId,
      })
    },

    /** The text before is kept as a revision; a text that is the same already changes nothing. */
    async edit(input: ParsedInput<'message:edit'>, { actor }: UserContext): Promise<CommandOutput<'message:edit'>> {
      if (input.content === '') throw invalid('content', 'must not be empty')
      const { conversationId, messageId, content } = input
      const edited = await database.transact(async (em) => {
        const conversation = await lockConversation(em, conversationId, actor.userId)
        const [before] = await run(
          em,
          sql<{
            seq: number
            content: string
            change: number
            sender_id: string | null
            edited_at: string | null
            created_at: string
            deleted_at: string | null
            status: Message['status']
          }>`
            select seq, ${asWritten('content')} as content, change, sender_id, edited_at, created_at, deleted_at, status
            from messages
            where conversation_id = ${conversationId} and id = ${messageId}`,
        )
        if (!before) throw notFound('message')
        mayEdit(before, actor.userId)
        if (before.status === 'streaming') throw new AppError('conflict', 'This message is still being written.')
        if (before.content === content) {
          const editedAt = iso(before.edited_at ?? before.created_at)
          return { unchanged: { prevChange: before.change - 1, change: before.change, editedAt } }
        }
        const numbers = await nextChange(em, conversation, 'message')
        await run(
          em,
          sql`insert into message_revisions (conversation_id, message_id, content, edited_at)
            values (${conversationId}, ${messageId}, ${before.content}, date_trunc('milliseconds', now()))`,
        )
        await run(
          em,
          sql`update messages set content = ${content}, change = ${numbers.change},
            edited_at = date_trunc('milliseconds', now())
            where conversation_id = ${conversationId} and id = ${messageId}`,
        )
        await run(em, sql`delete from mentions where conversation_id = ${conversationId} and seq = ${before.seq}`)
        const names = mentionedNames(content)
        if (names) {
          await mention(em, conversationId, before.seq, names)
        }
        return {
          ...numbers,
          message: await messageById(em, messageId, conversationId),
          membersChange: conversation.members_change,
        }
      })
      if (edited.unchanged) return edited.unchanged
      const { prevChange, change, message, membersChange } = edited
      await announceUpdate(message, prevChange, membersChange)
      return { prevChange, change, editedAt: message.editedAt as string }
    },

    /** A tombstone stays: position and sender, without text, revisions, reactions or mentions. */
    async delete(
      input: ParsedInput<'message:delete'>,
      { actor }: UserContext,
    ): Promise<CommandOutput<'message:delete'>> {
      const { conversationId, messageId } = input
      const deleted = await database.transact(async (em) => {
        const conversation = await lockConversation(em, conversationId, actor.userId)
        const [before] = await run(
          em,
          sql<{ seq: number; change: number; sender_id: string | null; deleted_at: string | null }>`
            select seq, change, sender_id, deleted_at from messages
            where conversation_id = ${conversationId} and id = ${messageId}`,
        )
        if (!before) throw notFound('message')
        mayDeleteMessage(before.sender_id, actor.userId, conversation.type, conversation.role)
        if (before.deleted_at) return { unchanged: { prevChange: before.change - 1, change: before.change } }
        const numbers = await nextChange(em, conversation, 'message')
        await run(
          em,
          sql`update messages set content = '', forwarded_from = null, reply_to_id = null, change = ${numbers.change},
            status = case when status = 'streaming' then 'cancelled' else status end,
            deleted_at = date_trunc('milliseconds', now())
            where conversation_id = ${conversationId} and id = ${messageId}`,
        )
        await run(
          em,
          sql`delete from message_revisions where conversation_id = ${conversationId} and message_id = ${messageId}`,
        )
        await run(
          em,
          sql`delete from reactions where conversation_id = ${conversationId} and message_id = ${messageId}`,
        )
        await run(em, sql`delete from mentions where conversation_id = ${conversationId} and seq = ${before.seq}`)
        return {
          ...numbers,
          message: await messageById(em, messageId, conversationId),
          membersChange: conversation.members_change,
        }
      })
      if (deleted.unchanged) return deleted.unchanged
      await announceUpdate(deleted.message, deleted.prevChange, deleted.membersChange)
      return { prevChange: deleted.prevChange, change: deleted.change }
    },

    async history(
      input: ParsedInput<'message:history'>,
      { actor }: UserContext,
    ): Promise<CommandOutput<'message:history'>> {
      const { conversationId, limit } = input
      const { lastSeq } = await requireParticipant(database, conversationId, actor.userId)
      // positions are gapless, so a page is a range of them
      const [from, to] = range(input, lastSeq, limit)
      const rows =
        from > to
          ? []
          : await database.query(
              sql<MessageRow>`select ${messageColumns} from messages m
                where m.conversation_id = ${conversationId} and m.seq between ${from} and ${to} order by m.seq`,
            )
      return { messages: rows.map(presentMessage), hasBefore: from > 1 && lastSeq > 0, hasAfter: to < lastSeq }
    },

    async revisions(
      input: ParsedInput<'message:revisions'>,
      { actor }: UserContext,
    ): Promise<CommandOutput<'message:revisions'>> {
      await requireParticipant(database, input.conversationId, actor.userId)
      await requireMessage(input)
      const rows = await database.query(
        sql<{ content: string; edited_at: string }>`
          select ${asWritten('content')} as content, edited_at from message_revisions
          where conversation_id = ${input.conversationId} and message_id = ${input.messageId} order by id`,
      )
      return { revisions: rows.map(({ content, edited_at }) => ({ content, editedAt: iso(edited_at) })) }
    },

    /** Each reader's first advance to or past the message; its sender does not count as a reader. */
    async readers(
      input: ParsedInput<'message:readers'>,
      { actor }: UserContext,
    ): Promise<CommandOutput<'message:readers'>> {
      await requireParticipant(database, input.conversationId, actor.userId)
      const { seq, sender_id } = await requireMessage(input)
      const rows = await database.query(
        sql<{ user_id: string; read_at: string }>`
          select p.user_id, first.read_at
          from participants p
          cross join lateral (
            select r.read_at from read_receipts r
            where r.conversation_id = p.conversation_id and r.user_id = p.user_id and r.up_to_seq >= ${seq}
            order by r.up_to_seq limit 1
          ) first
          where p.conversation_id = ${input.conversationId} and p.left_at is null and p.last_read_seq >= ${seq}
            and p.user_id is distinct from ${sender_id}
          order by first.read_at, p.user_id`,
      )
      return { readers: rows.map(({ user_id, read_at }) => ({ userId: user_id, readAt: iso(read_at) })) }
    },
  }

  async function requireMessage({ conversationId, messageId }: { conversationId: string; messageId: string }) {
    const [row] = await database.query(
      sql<{ seq: number; sender_id: string | null }>`
        select seq, sender_id from messages where conversation_id = ${conversationId} and id = ${messageId}`,
    )
    if (!row) throw notFound('message')
    return row
  }

  function announceUpdate(message: Message, prevChange: number, membersChange: number): Promise<void> {
    const { conversationId, change } = message
    searchIndex.note([conversationId])
    const payload = { conversationId, prevChange, change, messages: [message] }
    return fanout.toConversations([{ conversationId, membersChange, event: 'messages:updated', payload }])
  }
}

export type Messages = ReturnType<typeof createMessages>

async function messageById(em: Parameters<typeof run>[0], id: string, conversationId: string): Promise<Message> {
  const [row] = await run(
    em,
    sql<MessageRow>`select ${messageColumns} from messages m where m.conversation_id = ${conversationId} and m.id = ${id}`,
  )
  return presentMessage(row as MessageRow)
}

/** First and last position of a page. */
function range(
  input: { before?: number; after?: number; around?: number },
  lastSeq: number,
  limit: number,
): [number, number] {
  if (input.after !== undefined) return [input.after + 1, Math.min(lastSeq, input.after + limit)]
  if (input.around !== undefined) {
    const first = Math.max(1, Math.min(input.around - Math.floor(limit / 2), lastSeq - limit + 1))
    return [first, Math.min(lastSeq, first + limit - 1)]
  }
  const last = Math.min(lastSeq, input.before === undefined ? lastSeq : input.before - 1)
  return [Math.max(1, last - limit + 1), last]
}

const invalid = (path: string, message: string) =>
  new AppError('invalid_request', `${path}: ${message}`, { errors: [{ path, message }] })
