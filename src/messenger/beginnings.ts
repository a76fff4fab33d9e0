import { sql } from 'kysely'
import { type Connection, type Database, run } from '../database/database.ts'
import { AppError, notFound } from '../kernel/errors.ts'
import { newId } from '../kernel/ids.ts'
import type { Fanout } from '../kernel/ports.ts'
import type { ConversationViews } from './conversation-views.ts'
import type { Conversation } from './messenger.contract.ts'

/** What the messenger asks of identity. */
export interface People {
  /**
   * Which of these exist, are neither deleted nor banned, and may be met by the viewer, without a block between them; and
   * that stays so until the transaction ends.
   */
  activeAmong(em: Connection, userIds: string[], viewerId: string): Promise<Set<string>>
}

/** A conversation that is to begin. */
export interface Beginning {
  type: Conversation['type']
  creator: string
  /** Who is in it beside the creator, each once. */
  others: string[]
  title: string | undefined
  clientId: string | undefined
  /** Of an assistant conversation. */
  assistant?: { models: string[]; systemPrompt: string | undefined; parentId?: string; breakoutModelId?: string }
}

/**
 * Begins conversations, each once: a pair has one direct conversation, and a creator's client id names one. Whoever
 * creates a group or an assistant conversation owns it.
 */
export function createBeginnings(deps: {
  database: Database
  fanout: Pick<Fanout, 'join'>
  users: People
  views: Pick<ConversationViews, 'view' | 'announceTo'>
}) {
  const { database, fanout, users, views } = deps

  /**
   * Begins a conversation and tells its people, or gives the one that there is already. `fill` writes in the same
   * transaction what it begins with.
   * @throws AppError not_found where someone is not there; conflict where the client id is of a deleted one
   */
  async function begin(
    beginning: Beginning,
    fill?: (em: Connection, conversationId: string) => Promise<void>,
  ): Promise<Conversation> {
    const { creator, others } = beginning
    const members = [creator, ...others]
    const id = newId()
    const begun = await database.transact(async (em) => {
      // the creator too: the account may be going at this moment
      if ((await users.activeAmong(em, members, creator)).size < members.length) {
        if (await isBlocked(em, beginning)) return false
        throw notFound('person')
      }
      if (!(await insertConversation(em, id, members, beginning))) return false
      await insertParticipants(em, id, members, beginning)
      await fill?.(em, id)
      return true
    })
    if (!begun) return await existing(beginning)
    fanout.join({ conversationId: id, userIds: members, prevMembersChange: 0, membersChange: members.length })
    await views.announceTo(id, members)
    return await views.view(id, creator)
  }

  /** The conversation that the creator's client id names; undefined where none does. */
  async function named(creator: string, clientId: string): Promise<Conversation | undefined> {
    const [row] = await database.query(
      sql<{ id: string }>`
        select id from conversations where created_by = ${creator} and client_id = ${clientId} and deleted_at is null`,
    )
    return row && (await views.view(row.id, creator))
  }

  /** The conversation that the client id or the pair already has. */
  async function existing(beginning: Beginning): Promise<Conversation> {
    const { creator, clientId = null } = beginning
    const [row] = await database.query(
      sql<{ id: string }>`
        select id from conversations
        where (direct_key = ${keyOf(beginning)} or (created_by = ${creator} and client_id = ${clientId}))
          and deleted_at is null
        order by client_id is not distinct from ${clientId}::text desc limit 1`,
    )
    if (!row) throw new AppError('conflict', 'This clientId belongs to a conversation that was deleted.')
    return await views.view(row.id, creator)
  }

  return { begin, named }
}

export type Beginnings = ReturnType<typeof createBeginnings>

/** What the direct conversation of two is found by. */
export const directKeyOf = (pair: string[]): string => pair.toSorted().join(':')

const keyOf = ({ type, creator, others }: Beginning): string | null =>
  type === 'direct' ? directKeyOf([creator, ...others]) : null

/** Two who have a block between them begin nothing new, but what there was is still theirs to read. */
async function isBlocked(em: Connection, beginning: Beginning): Promise<boolean> {
  const rows = await run(
    em,
    sql`select id from conversations where direct_key = ${keyOf(beginning)} and is_blocked and deleted_at is null`,
  )
  return rows.length > 0
}

/** An existing one is found by its unique key, also where another node creates it at this moment: then it is false. */
async function insertConversation(
  em: Connection,
  id: string,
  members: string[],
  beginning: Beginning,
): Promise<boolean> {
  const { type, creator, title, clientId, assistant } = beginning
  const change = members.length
  const rows = await run(
    em,
    sql`insert into conversations (id, type, title, created_by, direct_key, client_id, models, system_prompt, parent_id,
        breakout_model_id, has_agents, last_change, members_change, shared_change)
      values (${id}, ${type}, ${title ?? null}, ${creator}, ${keyOf(beginning)}, ${clientId ?? null},
        ${assistant?.models ?? null}::text[], nullif(${assistant?.systemPrompt ?? null}::text, ''),
        ${assistant?.parentId ?? null}, ${assistant?.breakoutModelId ?? null},
        ${type === 'assistant'} or exists (select from users where id = any (${members}::uuid[]) and kind = 'agent'),
        ${change}, ${change}, ${change})
      on conflict do nothing returning id`,
  )
  return rows.length > 0
}

async function insertParticipants(
  em: Connection,
  id: string,
  members: string[],
  { type, creator }: Beginning,
): Promise<void> {
  await run(
    em,
    sql`insert into participants (conversation_id, user_id, role, change, joined_at)
      select ${id}, member.user_id, case when member.user_id = ${creator} and ${type !== 'direct'} then 'owner' else 'member' end,
        member.place, now() + member.place * interval '1 microsecond'
      from unnest(${members}::uuid[]) with ordinality as member (user_id, place)`,
  )
}
