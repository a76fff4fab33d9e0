import { sql } from 'kysely'
import { z } from 'zod'
import { type Connection, type Database, run } from '../database/database.ts'
import { decodeCursor, encodeCursor, keyId, keyTime, keyTimeOf } from '../kernel/cursors.ts'
import type { AfterCommit } from '../kernel/domain-events.ts'
import { AppError, notFound, unprocessable } from '../kernel/errors.ts'
import type { UserContext } from '../kernel/operation.ts'
import type { Attachments, Fanout, MediaUrls } from '../kernel/ports.ts'
import { createAssistants, type Models } from './assistants.service.ts'
import { createBeginnings, directKeyOf, type People } from './beginnings.ts'
import {
  type ConversationRow,
  conversationColumns,
  presentConversation,
  presentShared,
  unreadMentions,
} from './conversation.presenter.ts'
import { lockConversation, nextChange, requireParticipant } from './conversation-lock.ts'
import { createConversationViews } from './conversation-views.ts'
import type { DissolveIn } from './dissolution.ts'
import type { CommandOutput, Conversation, ConversationSettings, ParsedInput } from './messenger.contract.ts'
import { mayDelete, mayUpdate } from './messenger.policy.ts'

const listKey = z.tuple([z.boolean(), keyTime, keyId])

/** Conversations as a whole: beginning, listing, renaming, ending, and each participant's own settings. */
export function createConversations(deps: {
  database: Database
  fanout: Fanout
  users: People
  models: Models
  attachments: Pick<Attachments, 'hold' | 'release'>
  urls: MediaUrls
  dissolveIn: DissolveIn
  maxGroupSize: number
}) {
  const { database, fanout, attachments, urls, dissolveIn, maxGroupSize } = deps
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

  /** Null takes the avatar away. Gives what is left to do for the one before. */
  async function setAvatar(
    em: Connection,
    conversationId: string,
    userId: string,
    avatarId: string | null,
  ): Promise<AfterCommit> {
    if (avatarId !== null) await attachments.hold(em, userId, avatarId, ['image'])
    const [before] = await run(
      em,
      sql<{ id: string | null }>`
        update conversations c set avatar_id = ${avatarId} from conversations b
        where c.id = ${conversationId} and b.id = c.id returning b.avatar_id as id`,
    )
    return await attachments.release(em, before?.id && before.id !== avatarId ? [before.id] : [])
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
        conversations: page.map((row) => presentConversation(row, urls)),
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

    /**
     * The id of the pair's direct conversation, which begins if there is none.
     * @throws AppError not_found
     */
    async directOf(creator: string, other: string): Promise<string> {
      const pair = directKeyOf([creator, other])
      const [there] = await database.query(
        sql<{ id: string }>`select id from conversations where direct_key = ${pair} and deleted_at is null`,
      )
      if (there) return there.id
      const beginning = { type: 'direct' as const, creator, others: [other], title: undefined, clientId: undefined }
      return (await beginnings.begin(beginning)).id
    },

    async update(input: ParsedInput<'conversation:update'>, { actor }: UserContext): Promise<Conversation> {
      const { conversationId, title = null, avatarId, models = null, systemPrompt = null } = input
      await checkAnswering(input, actor.userId)
      const { prevChange, change, membersChange, released } = await database.transact(async (em) => {
        const conversation = await lockConversation(em, conversationId, actor.userId)
        mayUpdate(conversation.type, conversation.role)
        const released =
          avatarId === undefined ? undefined : await setAvatar(em, conversationId, actor.userId, avatarId)
        const numbers = await nextChange(em, conversation, 'shared')
        await run(
          em,
          sql`update conversations set title = coalesce(${title}, title), models = coalesce(${models}::text[], models),
              system_prompt = nullif(coalesce(${systemPrompt}, system_prompt), ''), updated_at = now()
            where id = ${conversationId}`,
        )
        return { ...numbers, membersChange: conversation.members_change, released }
      })
      await released?.()
      const [row] = await database.query(
        sql<ConversationRow>`
          select ${conversationColumns} from participants me join conversations c on c.id = me.conversation_id
          where me.conversation_id = ${conversationId} and me.user_id = ${actor.userId}`,
      )
      if (!row) throw notFound('conversation')
      const payload = { conversationId, prevChange, change, conversation: presentShared(row, urls) }
      await fanout.toConversations([{ conversationId, membersChange, event: 'conversation:updated', payload }])
      return presentConversation(row, urls)
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

    /** The rows stay for the operator to purge, without attachments; for everyone the conversation is gone. */
    async delete(input: ParsedInput<'conversation:delete'>, { actor }: UserContext): Promise<Record<string, never>> {
      const { conversationId } = input
      const { userIds, letGo } = await database.transact(async (em) => {
        const conversation = await lockConversation(em, conversationId, actor.userId)
        mayDelete(conversation.type, conversation.role)
        return await dissolveIn(em, conversationId)
      })
      await fanout.dissolve(conversationId)
      fanout.toUsers(userIds, 'conversation:removed', { conversationId })
      await letGo()
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
