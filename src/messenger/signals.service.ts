import { sql } from 'kysely'
import type { Database } from '../database/database.ts'
import { hasBlock } from '../identity/index.ts'
import { notFound } from '../kernel/errors.ts'
import type { UserContext } from '../kernel/operation.ts'
import type { Fanout, Presence } from '../kernel/ports.ts'
import { smallConversation } from './conversation.presenter.ts'
import { iso } from './message.presenter.ts'
import type { CommandOutput, Conversation, ParsedInput } from './messenger.contract.ts'
import { mayWrite } from './messenger.policy.ts'

/** How long the size of a conversation is remembered for typing, which would otherwise read it at each key press. */
const sizeMemoryMs = 30_000
const maxRemembered = 10_000

/** What is true only for a moment and stored nowhere: typing and presence. */
export function createSignals(deps: { database: Database; fanout: Fanout; presence: Presence }) {
  const { database, fanout, presence } = deps
  const sizes = new Map<string, { small: boolean; until: number }>()

  /**
   * Whether typing is told there. A direct conversation may be closed at any moment, so its row is read each time.
   * @throws AppError forbidden
   */
  async function isTold(conversationId: string): Promise<boolean> {
    const known = sizes.get(conversationId)
    if (known && known.until > Date.now()) return known.small
    const [row] = await database.query(
      sql<{ type: Conversation['type']; is_blocked: boolean; people: number }>`
        select type, is_blocked, case when type <> 'direct' then (
          select count(*)::int from participants where conversation_id = c.id and left_at is null
        ) else 2 end as people
        from conversations c where id = ${conversationId}`,
    )
    if (row) mayWrite(row)
    const small = (row?.people ?? 0) <= smallConversation
    if (row?.type === 'direct') return small
    if (sizes.size >= maxRemembered) sizes.clear()
    sizes.set(conversationId, { small, until: Date.now() + sizeMemoryMs })
    return small
  }

  /** Those of these people with whom the user shares a conversation, and no block. */
  async function acquaintances(userIds: string[], userId: string) {
    if (userIds.length === 0) return []
    return await database.query(
      sql<{ id: string; last_seen_at: string | null }>`
        select u.id, u.last_seen_at from users u
        where u.id = any (${userIds}::uuid[]) and u.deleted_at is null and exists (
          select from participants me
          join participants other on other.conversation_id = me.conversation_id
          join conversations c on c.id = me.conversation_id and c.deleted_at is null
          where me.user_id = ${userId} and me.left_at is null and other.user_id = u.id and other.left_at is null
        ) and not ${hasBlock(sql`u.id`, userId)}`,
    )
  }

  return {
    async typing(
      { conversationId, isTyping }: ParsedInput<'typing'>,
      { actor }: UserContext,
    ): Promise<Record<string, never>> {
      // being in the room is the right to be heard in it; the participants are not asked for a signal
      if (!fanout.isInRoom(actor.userId, conversationId)) throw notFound('conversation')
      if (await isTold(conversationId)) {
        fanout.signal(conversationId, 'typing', { conversationId, userId: actor.userId, isTyping }, actor.userId)
      }
      return {}
    },

    /** Strangers are left out without a word: whether they exist is not the watcher's to know. */
    async watch(
      { userIds }: ParsedInput<'presence:watch'>,
      { actor, socketId }: UserContext,
    ): Promise<CommandOutput<'presence:watch'>> {
      const people = await acquaintances([...new Set(userIds)], actor.userId)
      const ids = people.map(({ id }) => id)
      // watching first: who comes or goes while we look is then heard of
      if (socketId) fanout.watch(socketId, ids)
      const online = await presence.onlineAmong(ids)
      return {
        presences: people.map(({ id, last_seen_at }) => ({
          userId: id,
          status: online.has(id) ? 'online' : 'offline',
          ...(last_seen_at !== null && { lastSeenAt: iso(last_seen_at) }),
        })),
      }
    },
  }
}
