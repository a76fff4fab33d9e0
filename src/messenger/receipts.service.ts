import { sql } from 'kysely'
import type { Logger } from 'pino'
import type { Database } from '../database/database.ts'
import { notFound } from '../kernel/errors.ts'
import type { UserContext } from '../kernel/operation.ts'
import type { Fanout } from '../kernel/ports.ts'
import { smallConversation, unreadMentions } from './conversation.presenter.ts'
import { iso } from './message.presenter.ts'
import type { CommandOutput, ParsedInput, Receipt } from './messenger.contract.ts'

/** Receipts of a conversation are gathered for this long and told at once: ten readers make one event, not ten. */
const gatherMs = 100

/**
 * How far each participant has read and received. Positions only rise; a reader's advance is kept as one row, whatever
 * the number of messages. They take no lock on the conversation and no number of it.
 */
export function createReceipts(deps: { database: Database; fanout: Fanout; log: Logger }) {
  const { database, fanout, log } = deps
  const gathered = new Map<string, { membersChange: number; receipts: Map<string, Receipt> }>()
  const timers = new Map<string, NodeJS.Timeout>()

  async function advance(
    { conversationId, seq }: ParsedInput<'receipt:read'>,
    userId: string,
    kind: 'read' | 'delivered',
  ): Promise<CommandOutput<'receipt:read'>> {
    const read = kind === 'read'
    const [row] = await database.query(
      sql<{
        advanced: boolean
        last_read_seq: number
        last_read_at: string | null
        last_delivered_seq: number
        last_seq: number
        members_change: number
        people: number
        unread_mentions: number
        is_pinned: boolean
        is_muted: boolean
        is_archived: boolean
      }>`
        with before as (
          select p.conversation_id, p.user_id, p.last_read_seq, p.last_delivered_seq, c.last_seq, c.members_change,
            least(${seq}::int, c.last_seq) as seq
          from participants p join conversations c on c.id = p.conversation_id
          where p.conversation_id = ${conversationId} and p.user_id = ${userId} and p.left_at is null
            and c.deleted_at is null
          for no key update of p
        ), moved as (
          update participants p
          set ${
            read
              ? sql`last_read_seq = before.seq, last_read_at = date_trunc('milliseconds', now()),
                  last_delivered_seq = greatest(p.last_delivered_seq, before.seq)`
              : sql`last_delivered_seq = before.seq`
          }, updated_at = now()
          from before
          where p.conversation_id = before.conversation_id and p.user_id = before.user_id
            and before.seq > ${read ? sql`before.last_read_seq` : sql`greatest(before.last_delivered_seq, before.last_read_seq)`}
          returning p.*
        ), kept as (
          insert into read_receipts (conversation_id, user_id, up_to_seq, read_at)
          select conversation_id, user_id, last_read_seq, last_read_at from moved where ${read}
          on conflict do nothing
        ), me as (
          select * from moved
          union all
          select p.* from participants p join before using (conversation_id, user_id) where not exists (select from moved)
        )
        select exists (select from moved) as advanced, me.last_read_seq, me.last_read_at,
          greatest(me.last_delivered_seq, me.last_read_seq) as last_delivered_seq, before.last_seq, before.members_change,
          (
            select count(*)::int from (
              select from participants where conversation_id = ${conversationId} and left_at is null
              limit ${sql.lit(smallConversation + 1)}
            ) few
          ) as people,
          ${unreadMentions} as unread_mentions, me.is_pinned, me.is_muted, me.is_archived
        from me cross join before`,
    )
    if (!row) throw notFound('conversation')
    const position = {
      lastReadSeq: row.last_read_seq,
      unreadCount: row.last_seq - row.last_read_seq,
      unreadMentions: row.unread_mentions,
    }
    if (row.advanced) {
      const receipt = {
        userId,
        lastReadSeq: row.last_read_seq,
        lastDeliveredSeq: row.last_delivered_seq,
        ...(row.last_read_at !== null && { readAt: iso(row.last_read_at) }),
      }
      if (row.people <= smallConversation) gather(conversationId, row.members_change, receipt)
      else fanout.toUsers([userId], 'receipts:changed', { conversationId, receipts: [receipt] })
      if (read) {
        const settings = { isPinned: row.is_pinned, isMuted: row.is_muted, isArchived: row.is_archived }
        fanout.toUsers([userId], 'conversation:state', { conversationId, settings, ...position })
      }
    }
    return { ...position, lastDeliveredSeq: row.last_delivered_seq }
  }

  function gather(conversationId: string, membersChange: number, receipt: Receipt): void {
    const entry = gathered.get(conversationId) ?? { membersChange, receipts: new Map<string, Receipt>() }
    entry.membersChange = Math.max(entry.membersChange, membersChange)
    // two advances of one reader may finish in any order; both numbers only rise
    const earlier = entry.receipts.get(receipt.userId)
    if (!earlier || receipt.lastReadSeq + receipt.lastDeliveredSeq >= earlier.lastReadSeq + earlier.lastDeliveredSeq) {
      entry.receipts.set(receipt.userId, receipt)
    }
    gathered.set(conversationId, entry)
    if (!timers.has(conversationId)) timers.set(conversationId, setTimeout(tell, gatherMs, conversationId))
  }

  function tell(conversationId: string): void {
    timers.delete(conversationId)
    const entry = gathered.get(conversationId)
    gathered.delete(conversationId)
    if (!entry) return
    const payload = { conversationId, receipts: [...entry.receipts.values()] }
    fanout
      .toConversations([{ conversationId, membersChange: entry.membersChange, event: 'receipts:changed', payload }])
      .catch((error: unknown) => log.error({ err: error, conversationId }, 'receipts were not told'))
  }

  return {
    read: (input: ParsedInput<'receipt:read'>, { actor }: UserContext) => advance(input, actor.userId, 'read'),
    delivered: (input: ParsedInput<'receipt:delivered'>, { actor }: UserContext) =>
      advance(input, actor.userId, 'delivered'),
    /** Tells what is gathered, at once. */
    close(): void {
      for (const timer of timers.values()) clearTimeout(timer)
      for (const conversationId of [...timers.keys()]) tell(conversationId)
    },
  }
}
