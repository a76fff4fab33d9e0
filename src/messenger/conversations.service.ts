import { sql } from 'kysely'
import { z } from 'zod'
import { type Connection, type Database, run } from '../database/database.ts'
import { decodeCursor, encodeCursor, keyId, keyTime, keyTimeOf } from '../kernel/cursors.ts'
import { AppError, notFound, unprocessable } from '../kernel/errors.ts'
import { newId } from '../kernel/ids.ts'
import type { UserContext } from '../kernel/operation.ts'
import type { Fanout } from '../kernel/ports.ts'
import {
  type ConversationRow,
  conversationColumns,
  presentConversation,
  presentShared,
  unreadMentions,
} from './conversation.presenter.ts'
import { lockConversation, nextChange } from './conversation-lock.ts'
import type { CommandOutput, Conversation, ConversationSettings, ParsedInput } from './messenger.contract.ts'
import { mayDelete, mayRename } from './messenger.policy.ts'

const listKey = z.tuple([z.boolean(), keyTime, keyId])

/** What the messenger asks of identity. */
export interface People {
  /** Which of these exist and are neither deleted nor banned. */
  activeAmong(em: Connection, userIds: string[]): Promise<Set<string>>
}

/** Conversations as a whole: beginning, listing, renaming, ending, and each participant's own settings. */
export function createConversations(deps: { database: Database; fanout: Fanout; users: People; maxGroupSize: number }) {
  const { database, fanout, users, maxGroupSize } = deps

  /** Those of these conversations that the user is in, as the user sees them; in no particular order. */
  async function viewMany(conversationIds: string[], userId: string): Promise<Conversation[]> {
    if (conversationIds.length === 0) return []
    const rows = await database.query(
      sql<ConversationRow>`
        select ${conversationColumns}
        from participants me join conversations c on c.id = me.conversation_id
        where me.user_id = ${userId} and me.left_at is null and c.deleted_at is null
          and me.conversation_id = any (${conversationIds}::uuid[])`,
    )
    return rows.map(presentConversation)
  }

  async function view(conversationId: string, userId: string): Promise<Conversation> {
    const [found] = await viewMany([conversationId], userId)
    if (!found) throw notFound('conversation')
    return found
  }

  /** Tells each of these users of a conversation that begins for them, as they see it. */
  async function announceTo(conversationId: string, userIds: string[]): Promise<void> {
    const rows = await database.query(
      sql<ConversationRow & { viewer: string }>`
        select ${conversationColumns}, me.user_id as viewer
        from participants me join conversations c on c.id = me.conversation_id
        where me.conversation_id = ${conversationId} and me.left_at is null and me.user_id = any (${userIds}::uuid[])`,
    )
    for (const row of rows) fanout.toUsers([row.viewer], 'conversation:created', presentConversation(row))
  }

  return {
    viewMany,
    view,
    announceTo,

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
      view(input.conversationId, actor.userId),

    async create(input: ParsedInput<'conversation:create'>, { actor }: UserContext): Promise<Conversation> {
      const { userId } = actor
      const others = checkCreation(input, userId, maxGroupSize)
      const directKey = input.type === 'direct' ? [userId, ...others].sort().join(':') : null
      const clientId = input.clientId ?? null

      const created = await database.transact(async (em) => {
        const members = [userId, ...others]
        // the creator too: the account may be going at this moment
        if ((await users.activeAmong(em, members)).size < members.length) throw notFound('person')
        const id = newId()
        // an existing one is found by its unique key, also where another node creates it at this moment
        const inserted = await run(
          em,
          sql`insert into conversations (id, type, title, created_by, direct_key, client_id, last_change, members_change,
              shared_change)
            values (${id}, ${input.type}, ${input.title ?? null}, ${userId}, ${directKey}, ${clientId},
              ${members.length}, ${members.length}, ${members.length})
            on conflict do nothing returning id`,
        )
        if (inserted.length === 0) return undefined
        await run(
          em,
          sql`insert into participants (conversation_id, user_id, role, change, joined_at)
            select ${id}, member.user_id, case when member.user_id = ${userId} and ${input.type === 'group'} then 'owner' else 'member' end,
              member.place, now() + member.place * interval '1 microsecond'
            from unnest(${members}::uuid[]) with ordinality as member (user_id, place)`,
        )
        return { id, members }
      })

      if (!created) return await existing(userId, clientId, directKey)
      const { id, members } = created
      const membersChange = members.length
      fanout.join({ conversationId: id, userIds: members, prevMembersChange: 0, membersChange })
      await announceTo(id, members)
      return await view(id, userId)
    },

    async update(input: ParsedInput<'conversation:update'>, { actor }: UserContext): Promise<Conversation> {
      const { conversationId, title } = input
      if (input.models || input.systemPrompt !== undefined)
        throw unprocessable('Only an assistant conversation has models.')
      if (input.avatarId) throw unprocessable('This server does not take attachments.')
      const { prevChange, change, membersChange } = await database.transact(async (em) => {
        const conversation = await lockConversation(em, conversationId, actor.userId)
        mayRename(conversation.type, conversation.role)
        const numbers = await nextChange(em, conversation, 'shared')
        await run(
          em,
          sql`update conversations set title = ${title ?? null}, updated_at = now() where id = ${conversationId}`,
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

  /** The conversation that the client id or the pair already has. */
  async function existing(userId: string, clientId: string | null, directKey: string | null): Promise<Conversation> {
    const [row] = await database.query(
      sql<{ id: string }>`
        select id from conversations
        where (direct_key = ${directKey} or (created_by = ${userId} and client_id = ${clientId})) and deleted_at is null
        order by client_id is not distinct from ${clientId}::text desc limit 1`,
    )
    if (!row) throw new AppError('conflict', 'This clientId belongs to a conversation that was deleted.')
    return await view(row.id, userId)
  }
}

export type Conversations = ReturnType<typeof createConversations>

function checkCreation(input: ParsedInput<'conversation:create'>, userId: string, maxGroupSize: number): string[] {
  if (
    input.type === 'assistant' ||
    input.models ||
    input.systemPrompt !== undefined ||
    input.parentId ||
    input.breakoutModelId !== undefined ||
    input.messageId
  ) {
    throw unprocessable('This server has no assistant conversations.')
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
