import { sql } from 'kysely'
import { z } from 'zod'
import { type Database, run } from '../database/database.ts'
import { decodeCursor, encodeCursor, keyId, keyTime, keyTimeOf } from '../kernel/cursors.ts'
import { AppError, notFound, unprocessable } from '../kernel/errors.ts'
import type { UserContext } from '../kernel/operation.ts'
import type { Fanout } from '../kernel/ports.ts'
import { createAssistants, type Models } from './assistants.service.ts'
import { createBeginnings, type People } from './beginnings.ts'
import {
  type ConversationRow,
  conversationColumns,
  presentConversation,
  presentShared,
  unreadMentions,
} from './conversation.presenter.ts'
import { lockConversation, nextChange, requireParticipant } from './conversation-lock.ts'
import { createConversationViews } from './conversation-views.ts'
import type { CommandOutput, Conversation, ConversationSettings, ParsedInput } from './messenger.contract.ts'
import { mayDelete, mayUpdate } from './messenger.policy.ts'

const listKey = z.tuple([z.boolean(), keyTime, keyId])

/** Conversations as a whole: beginning, listing, renaming, ending, and each participant's own settings. */
export function createConversations(deps: {
  database: Database
  fanout: Fanout
  users: People
  models: Models
  maxGroupSize: number
}) {
  const { database, fanout, maxGroupSize } = deps
  const views = createConversationViews(deps)
  const beginnings = createBeginnings({ ...deps, views })
  const assistants = createAssistants({ ...deps, beginnings })

  /** What of the input an assistant conversation alone has, checked before the lock is taken. */
  async function checkAnswering(input: ParsedInput<'conversation:update'>, userId: string): Promise<void> {
    const { conversationId, models, systemPrompt } = input
    if (!models && systemPrompt === undefined) return
    const { type } = await requireParticipant(database, conversationId, userId)
    if (type !== 'assistant') throw unprocessable('Only an assistant conversation has models and a system prompt.')
    if (models) await assistants.requireModels(models)
  }

  return {
    ...views,

    async list(
      input: ParsedInput<'conversation:list'>,
      { actor }: UserContext,
    ): Promise<CommandOutput<'conversation:list'>> {
      const after = input.cursor === undefined ? undefined : decodeCursor(input.cursor, listKey)
      const rows = await database.query(
        sql<ConversationRow & { place: string }>`
          select ${conversationColumns}, ${keyTimeOf('activity')} as place
          from (
            select me.*, coalesce(c.last_message_at, c.created_at) as activity
            from participants me join conversations c on c.id = me.conversation_id
            where me.user_id = ${actor.userId} and me.left_at is null and c.deleted_at is null
              and me.is_archived = ${input.archived ?? false}
              ${
                after
                  ? sql`and (me.is_pinned, coalesce(c.last_message_at, c.created_at), c.id)
                      < (${after[0]}, ${after[1]}::timestamptz, ${after[2]}::uuid)`
                  : sql``
              }
            order by me.is_pinned desc, activity desc, c.id desc
            limit ${input.limit + 1}
          ) me join conversations c on c.id = me.conversation_id
          order by me.is_pinned desc, activity desc, c.id desc`,
      )
      const page = rows.slice(0, input.limit)
      const last = page.at(-1)
      const more = rows.length > page.length && last
      return {
        conversations: page.map(presentConversation),
        ...(more && { nextCursor: encodeCursor([last.is_pinned, last.place, last.id]) }),
      }
    },

    get: (input: ParsedInput<'conversation:get'>, { actor }: UserContext): Promise<Conversation> =>
      views.view(input.conversationId, actor.userId),

    async create(input: ParsedInput<'conversation:create'>, context: UserContext): Promise<Conversation> {
      const { type, title, clientId } = input
      if (type === 'assistant') return await assistants.create(input, context)
      const creator = context.actor.userId
      const others = checkCreation(input, creator, maxGroupSize)
      return await beginnings.begin({ type, creator, others, title, clientId })
    },

    async update(input: ParsedInput<'conversation:update'>, { actor }: UserContext): Promise<Conversation> {
      const { conversationId, title = null, models = null, systemPrompt = null } = input
      if (input.avatarId) throw unprocessable('This server does not take attachments.')
      await checkAnswering(input, actor.userId)
      const { prevChange, change, membersChange } = await database.transact(async (em) => {
        const conversation = await lockConversation(em, conversationId, actor.userId)
        mayUpdate(conversation.type, conversation.role)
        const numbers = await nextChange(em, conversation, 'shared')
        await run(
          em,
          sql`update conversations set title = coalesce(${title}, title), models = coalesce(${models}::text[], models),
              system_prompt = nullif(coalesce(${systemPrompt}, system_prompt), ''), updated_at = now()
            where id = ${conversationId}`,
        )
        return { ...numbers, membersChange: conversation.members_change }
      })
      const [row] = await database.query(
        sql<ConversationRow>`
          select ${conversationColumns} from participants me join conversations c on c.id = me.conversation_id
          where me.conversation_id = ${conversationId} and me.user_id = ${actor.userId}`,
      )
      if (!row) throw notFound('conversation')
      const payload = { conversationId, prevChange, change, conversation: presentShared(row) }
      await fanout.toConversations([{ conversationId, membersChange, event: 'conversation:updated', payload }])
      return presentConversation(row)
    },

    async settings(input: ParsedInput<'conversation:settings'>, { actor }: UserContext): Promise<ConversationSettings> {
      const { conversationId, isPinned = null, isMuted = null, isArchived = null } = input
      const [row] = await database.query(
        sql<
          Pick<
            ConversationRow,
            'is_pinned' | 'is_muted' | 'is_archived' | 'last_read_seq' | 'last_seq' | 'unread_mentions'
          >
        >`
          with me as (
            update participants set is_pinned = coalesce(${isPinned}, is_pinned), is_muted = coalesce(${isMuted}, is_muted),
              is_archived = coalesce(${isArchived}, is_archived), updated_at = now()
            where conversation_id = ${conversationId} and user_id = ${actor.userId} and left_at is null
              and exists (select from conversations where id = ${conversationId} and deleted_at is null)
            returning *
          )
          select me.is_pinned, me.is_muted, me.is_archived, me.last_read_seq, c.last_seq, ${unreadMentions} as unread_mentions
          from me join conversations c on c.id = me.conversation_id`,
      )
      if (!row) throw notFound('conversation')
      const settings = { isPinned: row.is_pinned, isMuted: row.is_muted, isArchived: row.is_archived }
      fanout.toUsers([actor.userId], 'conversation:state', {
        conversationId,
        settings,
        lastReadSeq: row.last_read_seq,
        unreadCount: row.last_seq - row.last_read_seq,
        unreadMentions: row.unread_mentions,
      })
      return settings
    },

    /** The rows stay for the operator to purge; for everyone the conversation is gone. */
    async delete(input: ParsedInput<'conversation:delete'>, { actor }: UserContext): Promise<Record<string, never>> {
      const { conversationId } = input
      const userIds = await database.transact(async (em) => {
        const conversation = await lockConversation(em, conversationId, actor.userId)
        mayDelete(conversation.type, conversation.role)
        await run(
          em,
          sql`update conversations set deleted_at = now(), updated_at = now(), client_id = null where id = ${conversationId}`,
        )
        const rows = await run(
          em,
          sql<{
            user_id: string
          }>`select user_id from participants where conversation_id = ${conversationId} and left_at is null`,
        )
        return rows.map(({ user_id }) => user_id)
      })
      await fanout.dissolve(conversationId)
      fanout.toUsers(userIds, 'conversation:removed', { conversationId })
      return {}
    },
  }
}

export type Conversations = ReturnType<typeof createConversations>

function checkCreation(input: ParsedInput<'conversation:create'>, userId: string, maxGroupSize: number): string[] {
  if (
    input.models ||
    input.systemPrompt !== undefined ||
    input.parentId ||
    input.breakoutModelId !== undefined ||
    input.messageId
  ) {
    throw unprocessable('Only an assistant conversation has models, a system prompt or a parent.')
  }
  const others = [...new Set(input.participantIds)].filter((id) => id !== userId)
  if (input.type === 'direct' && others.length !== 1)
    throw invalidPeople('a direct conversation has exactly one other person')
  if (input.type === 'direct' && input.title !== undefined) throw unprocessable('A direct conversation has no title.')
  if (others.length + 1 > maxGroupSize) throw unprocessable(`A group has at most ${maxGroupSize} people.`)
  return others
}

const invalidPeople = (message: string) =>
  new AppError('invalid_request', `participantIds: ${message}`, { errors: [{ path: 'participantIds', message }] })
