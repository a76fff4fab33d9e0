import { hash } from 'node:crypto'
import { sql } from 'kysely'
import { type Connection, type Database, run } from '../database/database.ts'
import { AppError, notFound } from '../kernel/errors.ts'
import { newId } from '../kernel/ids.ts'
import type { UserContext } from '../kernel/operation.ts'
import type { Attachments, Fanout, MediaUrls } from '../kernel/ports.ts'
import { lockConversation, nextChange } from './conversation-lock.ts'
import { mention, mentionedNames } from './mentions.ts'
import { asWritten, iso, type MessageRow, messageColumns, presentMessage } from './message.presenter.ts'
import type { MessageWriter } from './message-writer.ts'
import type { CommandOutput, Message, ParsedInput, Sent } from './messenger.contract.ts'
import { mayDeleteMessage, mayEdit, mayWrite } from './messenger.policy.ts'
import type { SearchIndex } from './search-index.ts'

/** What messages go through after and before they are stored: sending, editing, deleting. */
export function createMessages(deps: {
  database: Database
  fanout: Fanout
  writer: MessageWriter
  searchIndex: Pick<SearchIndex, 'note'>
  attachments: Pick<Attachments, 'release'>
  urls: MediaUrls
}) {
  const { database, fanout, writer, searchIndex, attachments, urls } = deps

  return {
    /**
     * Checks what needs no row and hands the message to the writer.
     * @param storyId that the message answers
     */
    async send(
      input: ParsedInput<'message:send'>,
      { senderId, socketId }: { senderId: string; socketId: string | undefined },
      storyId?: string,
    ): Promise<Sent> {
      const { conversationId, clientId, type, content, attachmentIds, replyToId, forward } = input
      if (forward && replyToId) throw invalid('replyToId', 'must be absent: a forward is no reply')
      if (forward && content !== undefined)
        throw invalid('content', 'must be absent: a forward takes its text from the source')
      if (forward && attachmentIds)
        throw invalid('attachmentIds', 'must be absent: a forward takes its attachments from the source')
      if (!forward && !content && !attachmentIds) throw invalid('content', 'must not be empty')
      if (type !== undefined && type !== 'text' && !attachmentIds)
        throw invalid('type', 'must be absent: the type follows from the attachments')
      const original = [type ?? 'text', content, attachmentIds, replyToId, forward]
      return writer.write({
        id: newId(),
        conversationId,
        senderId,
        clientId,
        clientHash: hash('sha256', JSON.stringify(storyId === undefined ? original : [...original, storyId])),
        type,
        content: content ?? '',
        attachmentIds,
        storyId,
        replyToId,
        forward,
        names: content === undefined ? undefined : mentionedNames(content),
        socketId,
      })
    },

    /** The text before is kept as a revision; a text that is the same already changes nothing. Only beside attachments may it be empty. */
    async edit(input: ParsedInput<'message:edit'>, { actor }: UserContext): Promise<CommandOutput<'message:edit'>> {
      const { conversationId, messageId, content } = input
      const edited = await database.transact(async (em) => {
        const conversation = await lockConversation(em, conversationId, actor.userId)
        mayWrite(conversation)
        const [before] = await run(
          em,
          sql<{
            seq: number
            type: Message['type']
            content: string
            change: number
            sender_id: string | null
            edited_at: string | null
            created_at: string
            deleted_at: string | null
            status: Message['status']
          }>`
            select seq, type, ${asWritten('content')} as content, change, sender_id, edited_at, created_at, deleted_at, status
            from messages
            where conversation_id = ${conversationId} and id = ${messageId}`,
        )
        if (!before) throw notFound('message')
        mayEdit(before, actor.userId)
        if (content === '' && before.type === 'text') throw invalid('content', 'must not be empty')
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
          message: await messageById(em, messageId, conversationId, urls),
          membersChange: conversation.members_change,
        }
      })
      if (edited.unchanged) return edited.unchanged
      const { prevChange, change, message, membersChange } = edited
      await announceUpdate(message, prevChange, membersChange)
      return { prevChange, change, editedAt: message.editedAt as string }
    },

    /** A tombstone stays: position and sender, without text, attachments, revisions, reactions or mentions. */
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
          sql`update messages set content = '', forwarded_from = null, reply_to_id = null, story_id = null, change = ${numbers.change},
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
        const attached = await run(
          em,
          sql<{ id: string }>`
            delete from message_attachments where conversation_id = ${conversationId} and message_id = ${messageId}
            returning attachment_id as id`,
        )
        return {
          ...numbers,
          released: await attachments.release(
            em,
            attached.map(({ id }) => id),
          ),
          message: await messageById(em, messageId, conversationId, urls),
          membersChange: conversation.members_change,
        }
      })
      if (deleted.unchanged) return deleted.unchanged
      await announceUpdate(deleted.message, deleted.prevChange, deleted.membersChange)
      await deleted.released()
      return { prevChange: deleted.prevChange, change: deleted.change }
    },
  }

  function announceUpdate(message: Message, prevChange: number, membersChange: number): Promise<void> {
    const { conversationId, change } = message
    searchIndex.note([conversationId])
    const payload = { conversationId, prevChange, change, messages: [message] }
    return fanout.toConversations([{ conversationId, membersChange, event: 'messages:updated', payload }])
  }
}

export type Messages = ReturnType<typeof createMessages>

async function messageById(em: Connection, id: string, conversationId: string, urls: MediaUrls): Promise<Message> {
  const [row] = await run(
    em,
    sql<MessageRow>`select ${messageColumns} from messages m where m.conversation_id = ${conversationId} and m.id = ${id}`,
  )
  return presentMessage(row as MessageRow, urls)
}

const invalid = (path: string, message: string) =>
  new AppError('invalid_request', `${path}: ${message}`, { errors: [{ path, message }] })
