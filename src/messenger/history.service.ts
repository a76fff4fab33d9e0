import { sql } from 'kysely'
import type { Database } from '../database/database.ts'
import { notFound } from '../kernel/errors.ts'
import type { UserContext } from '../kernel/operation.ts'
import type { MediaUrls } from '../kernel/ports.ts'
import { requireParticipant } from './conversation-lock.ts'
import { asWritten, iso, type MessageRow, messageColumns, presentMessage } from './message.presenter.ts'
import type { CommandOutput, ParsedInput } from './messenger.contract.ts'

/** Messages read back: as they are, as they were, and by whom they were read. */
export function createHistory({ database, urls }: { database: Database; urls: MediaUrls }) {
  return {
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
      return {
        messages: rows.map((row) => presentMessage(row, urls)),
        hasBefore: from > 1 && lastSeq > 0,
        hasAfter: to < lastSeq,
      }
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
