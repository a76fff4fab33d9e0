import { sql } from 'kysely'
import type { Database } from '../database/database.ts'
import type { UserContext } from '../kernel/operation.ts'
import type { MediaUrls } from '../kernel/ports.ts'
import { type FaceRow, faceColumns, presentFace, smallConversation } from './conversation.presenter.ts'
import type { Conversations } from './conversations.service.ts'
import { iso, type MessageRow, messageColumns, presentMessage } from './message.presenter.ts'
import type { CommandOutput, Face, ParsedInput, SyncOutput } from './messenger.contract.ts'

/** Further behind than this a conversation is given anew in place of its changes. */
const maxBehind = 500
/** The newest messages of a conversation that is given anew. */
const resetMessages = 50

/** Where the server stands in a conversation of the user's. */
interface Standing {
  id: string
  last_seq: number
  last_change: number
  shared_change: number
  own_moved: boolean
}

/**
 * Brings a client from what it has to what the server has. The conversations' counters are read first and everything
 * else after, so a page never claims a change whose rows it might lack; rows that are newer still come again as events or
 * with the next sync, and applying them twice is harmless.
 */
export function createSync(deps: {
  database: Database
  conversations: Pick<Conversations, 'viewMany'>
  urls: MediaUrls
}) {
  const { database, conversations, urls } = deps

  return {
    async sync(input: ParsedInput<'sync'>, { actor }: UserContext): Promise<CommandOutput<'sync'>> {
      const named = new Map(Object.entries(input.positions ?? {}))
      const since = input.since ?? null
      const standings = await database.query(
        sql<Standing>`
          select c.id, c.last_seq, c.last_change, c.shared_change, p.updated_at > ${since}::timestamptz as own_moved
          from participants p join conversations c on c.id = p.conversation_id
          where p.user_id = ${actor.userId} and p.left_at is null and c.deleted_at is null
          order by coalesce(c.last_message_at, c.created_at) desc, c.id`,
      )
      // a minute less than the clock says is the client's affair: it knows when it asked
      const serverTime = new Date().toISOString()

      const { behind, moved, unknown, removed, positions } = compare(standings, named)
      const changes = await changedMessages(behind, input.limit)
      for (const { id, last_change } of behind) {
        if (!changes.cutAt || changes.complete.has(id)) positions[id] = last_change
        else if (changes.cutAt.conversationId === id) positions[id] = changes.cutAt.change
      }
      const resets = changes.cutAt
        ? []
        : fitting(unknown, input.limit - changes.messages.length, changes.messages.length)
      for (const { id, last_change } of resets) positions[id] = last_change

      return {
        conversations: await conversations.viewMany([...moved, ...resets.map(({ id }) => id)], actor.userId),
        messages: [...changes.messages, ...(await newestMessages(resets.map(({ id }) => id)))].map((row) =>
          presentMessage(row, urls),
        ),
        receipts: since === null ? [] : await movedReceipts(Object.keys(positions), since),
        // after the conversations, so that a name of these is never the older one
        ...(since !== null && { users: await changedFaces(actor.userId, since) }),
        removed,
        resets: resets.map(({ id }) => id),
        positions,
        serverTime,
        hasMore: changes.cutAt !== undefined || resets.length < unknown.length,
      }
    },
  }

  /** Messages newer than the positions, conversation by conversation in order of change, cut at the limit. */
  async function changedMessages(behind: { id: string; position: number }[], limit: number) {
    if (behind.length === 0) return { messages: [], complete: new Set<string>() }
    const rows = await database.query(
      sql<MessageRow>`
        select ${messageColumns}
        from (
          select newer.*, b.place
          from unnest(${behind.map(({ id }) => id)}::uuid[], ${behind.map(({ position }) => position)}::int[])
            with ordinality as b (id, position, place)
          cross join lateral (
            select * from messages n where n.conversation_id = b.id and n.change > b.position
            order by n.change limit ${limit + 1}
          ) newer
          order by b.place, newer.change limit ${limit + 1}
        ) m
        order by m.place, m.change`,
    )
    if (rows.length <= limit) return { messages: rows, complete: new Set<string>() }
    const messages = rows.slice(0, limit)
    const last = messages.at(-1) as MessageRow
    // the one that the limit cuts has brought all changes up to its last row's; those before it are complete
    const cut = rows[limit]?.conversation_id === last.conversation_id ? last.conversation_id : undefined
    const complete = new Set(messages.map(({ conversation_id }) => conversation_id).filter((id) => id !== cut))
    // those without changed messages that stand before the cut wait for the next page with the ones after it
    return { messages, complete, cutAt: { conversationId: cut, change: last.change } }
  }

  async function newestMessages(conversationIds: string[]): Promise<MessageRow[]> {
    if (conversationIds.length === 0) return []
    return await database.query(
      sql<MessageRow>`
        select ${messageColumns}
        from conversations c
        join messages m on m.conversation_id = c.id and m.seq > c.last_seq - ${sql.lit(resetMessages)}
        where c.id = any (${conversationIds}::uuid[])
        order by m.conversation_id, m.seq`,
    )
  }

  /** Of the people with whom the user shares a conversation, and of the user. */
  async function changedFaces(userId: string, since: string): Promise<Face[]> {
    const rows = await database.query(
      sql<FaceRow>`
        select ${faceColumns} from users u
        where u.profile_changed_at > ${since}::timestamptz and exists (
          select from participants p
          join participants me on me.conversation_id = p.conversation_id and me.user_id = ${userId} and me.left_at is null
          join conversations c on c.id = p.conversation_id and c.deleted_at is null
          where p.user_id = u.id and p.left_at is null
        )
        order by u.profile_changed_at, u.id`,
    )
    return rows.map((row) => presentFace(row, urls))
  }

  /** Positions that moved, in conversations small enough to tell them to all. */
  async function movedReceipts(conversationIds: string[], since: string): Promise<SyncOutput['receipts']> {
    if (conversationIds.length === 0) return []
    const rows = await database.query(
      sql<{
        conversation_id: string
        user_id: string
        last_read_seq: number
        last_delivered_seq: number
        last_read_at: string | null
      }>`
        select p.conversation_id, p.user_id, p.last_read_seq, greatest(p.last_delivered_seq, p.last_read_seq) as last_delivered_seq,
          p.last_read_at
        from participants p
        where p.conversation_id = any (${conversationIds}::uuid[]) and p.left_at is null and p.updated_at > ${since}::timestamptz
          and (
            select count(*) from (
              select from participants o where o.conversation_id = p.conversation_id and o.left_at is null
              limit ${sql.lit(smallConversation + 1)}
            ) few
          ) <= ${sql.lit(smallConversation)}`,
    )
    return rows.map((row) => ({
      conversationId: row.conversation_id,
      userId: row.user_id,
      lastReadSeq: row.last_read_seq,
      lastDeliveredSeq: row.last_delivered_seq,
      ...(row.last_read_at !== null && { readAt: iso(row.last_read_at) }),
    }))
  }
}

/** Where the client stands against the server: conversation by conversation, in the order of the standings. */
function compare(standings: Standing[], named: Map<string, number>) {
  const present = new Set(standings.map(({ id }) => id))
  const positions: SyncOutput['positions'] = {}
  const behind: (Standing & { position: number })[] = []
  const moved: string[] = []
  const unknown: Standing[] = []
  for (const standing of standings) {
    const position = named.get(standing.id)
    // ahead of the server: the client's copy is of another past (a restored back-up)
    const isReset =
      position === undefined || position > standing.last_change || standing.last_change - position > maxBehind
    if (isReset) {
      unknown.push(standing)
      continue
    }
    positions[standing.id] = position
    if (position < standing.last_change) behind.push({ ...standing, position })
    // new messages alone say what they change of the conversation
    if (position < standing.shared_change || standing.own_moved) moved.push(standing.id)
  }
  return { behind, moved, unknown, positions, removed: [...named.keys()].filter((id) => !present.has(id)) }
}

/** Those conversations to give anew that have room on a page; the first always has, so that every page leads further. */
function fitting(unknown: Standing[], room: number, rowsBefore: number): Standing[] {
  const resets: Standing[] = []
  let left = room
  for (const standing of unknown) {
    left -= Math.min(standing.last_seq, resetMessages) + 1
    if (left < 0 && (resets.length > 0 || rowsBefore > 0)) break
    resets.push(standing)
  }
  return resets
}
