import { sql } from 'kysely'
import { type Connection, type Database, run } from '../database/database.ts'
import { notFound } from '../kernel/errors.ts'
import type { Conversation, Participant } from './messenger.contract.ts'

/** A conversation whose row this transaction holds, with its counters. */
export interface HeldConversation {
  id: string
  type: Conversation['type']
  /** Nothing may be written in it: see `mayWrite`. */
  is_blocked: boolean
  last_seq: number
  last_change: number
  members_change: number
}

/** And the participant who acts in it. */
export interface LockedConversation extends HeldConversation {
  /** The actor's role. */
  role: Participant['role']
}

/**
 * Locks a conversation for a durable change and checks that the actor participates. Two statements, since under read
 * committed only a statement that begins after the lock was taken sees who joined or left before.
 * @throws AppError not_found for a conversation that does not exist and for a stranger alike
 */
export async function lockConversation(
  em: Connection,
  conversationId: string,
  userId: string,
): Promise<LockedConversation> {
  const conversation = await holdConversation(em, conversationId)
  const [own] = await run(
    em,
    sql<{ role: Participant['role'] }>`
      select role from participants
      where conversation_id = ${conversationId} and user_id = ${userId} and left_at is null`,
  )
  if (!conversation || !own) throw notFound('conversation')
  return { ...conversation, role: own.role }
}

/** Locks a conversation for what nobody asked for at this moment; undefined where it was deleted. */
export async function holdConversation(em: Connection, conversationId: string): Promise<HeldConversation | undefined> {
  const [conversation] = await run(
    em,
    sql<HeldConversation>`
      select id, type, is_blocked, last_seq, last_change, members_change from conversations
      where id = ${conversationId} and deleted_at is null for no key update`,
  )
  return conversation
}

/** What a durable change concerns: a message, what all see of the conversation, or who is in it, which all see as well. */
export type Concern = 'message' | 'shared' | 'members'

/** Takes the next number of a durable change; the changed row stores it. */
export async function nextChange(
  em: Connection,
  conversation: HeldConversation,
  concern: Concern,
): Promise<{ prevChange: number; change: number }> {
  const prevChange = conversation.last_change
  const change = prevChange + 1
  await run(
    em,
    sql`update conversations set last_change = ${change}
      ${concern === 'message' ? sql`` : sql`, shared_change = ${change}`}
      ${concern === 'members' ? sql`, members_change = ${change}` : sql``}
      where id = ${conversation.id}`,
  )
  return { prevChange, change }
}

/**
 * Checks that the user participates, for reading.
 * @throws AppError not_found
 */
export async function requireParticipant(
  database: Pick<Database, 'query'>,
  conversationId: string,
  userId: string,
): Promise<{ type: Conversation['type']; lastSeq: number }> {
  const [row] = await database.query(
    sql<{ type: Conversation['type']; last_seq: number }>`
      select c.type, c.last_seq from participants p join conversations c on c.id = p.conversation_id
      where p.conversation_id = ${conversationId} and p.user_id = ${userId} and p.left_at is null
        and c.deleted_at is null`,
  )
  if (!row) throw notFound('conversation')
  return { type: row.type, lastSeq: row.last_seq }
}
