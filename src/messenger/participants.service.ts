import { sql } from 'kysely'
import { z } from 'zod'
import { type Connection, type Database, run } from '../database/database.ts'
import { decodeCursor, encodeCursor, keyId, keyTime, keyTimeOf } from '../kernel/cursors.ts'
import { notFound, unprocessable } from '../kernel/errors.ts'
import type { UserContext } from '../kernel/operation.ts'
import type { Fanout, MediaUrls } from '../kernel/ports.ts'
import type { People } from './beginnings.ts'
import { type ParticipantRow, participantColumns, presentParticipant } from './conversation.presenter.ts'
import { type LockedConversation, lockConversation, nextChange, requireParticipant } from './conversation-lock.ts'
import type { ConversationViews } from './conversation-views.ts'
import { depart } from './departure.ts'
import type { DissolveIn } from './dissolution.ts'
import type { CommandOutput, ParsedInput, Participant } from './messenger.contract.ts'
import { mayAdd, mayBe, mayChangeRole, mayLeave, mayRemove } from './messenger.policy.ts'

const listKey = z.tuple([keyTime, keyId])

/**
 * Who is in a conversation. A join or leave moves `members_change` in its transaction, so that every node can tell
 * whether its room is current; and a leave is acknowledged only after every reachable node has emptied its room.
 */
export function createParticipants(deps: {
  database: Database
  fanout: Fanout
  conversations: Pick<ConversationViews, 'announceTo'>
  users: People
  urls: MediaUrls
  dissolveIn: DissolveIn
  maxGroupSize: number
}) {
  const { database, fanout, conversations, users, urls, maxGroupSize } = deps

  return {
    async list(
      input: ParsedInput<'participant:list'>,
      { actor }: UserContext,
    ): Promise<CommandOutput<'participant:list'>> {
      await requireParticipant(database, input.conversationId, actor.userId)
      const after = input.cursor === undefined ? undefined : decodeCursor(input.cursor, listKey)
      const rows = await database.query(
        sql<ParticipantRow & { place: string }>`
          select ${participantColumns}, ${keyTimeOf('p.joined_at')} as place from participants p join users u on u.id = p.user_id
          where p.conversation_id = ${input.conversationId} and p.left_at is null
            ${after ? sql`and (p.joined_at, p.user_id) > (${after[0]}::timestamptz, ${after[1]}::uuid)` : sql``}
          order by p.joined_at, p.user_id limit ${input.limit + 1}`,
      )
      const page = rows.slice(0, input.limit)
      const last = page.at(-1)
      const more = rows.length > page.length && last
      return {
        participants: page.map((row) => presentParticipant(row, urls)),
        ...(more && { nextCursor: encodeCursor([last.place, last.user_id]) }),
      }
    },

    /** Adding someone who is in it already changes nothing. Their position begins at the end: nothing is unread. */
    async add(input: ParsedInput<'participant:add'>, { actor }: UserContext): Promise<Participant> {
      const { conversationId, userId } = input
      const added = await database.transact(async (em) => {
        const conversation = await lockConversation(em, conversationId, actor.userId)
        mayAdd(conversation.type, conversation.role)
        const present = await participantRow(em, conversationId, userId)
        if (present && present.left_at === null) return { participant: presentParticipant(present, urls) }
        if (!(await users.activeAmong(em, [userId], actor.userId)).has(userId)) throw notFound('person')
        const count = await countPeople(em, conversationId)
        if (count >= maxGroupSize) throw unprocessable(`A group has at most ${maxGroupSize} people.`)
        const numbers = await nextChange(em, conversation, 'members')
        await run(
          em,
          sql`insert into participants (conversation_id, user_id, role, change, last_read_seq, joined_at)
            values (${conversationId}, ${userId}, 'member', ${numbers.change}, ${conversation.last_seq}, now())
            on conflict (conversation_id, user_id) do update
            set role = 'member', change = excluded.change, last_read_seq = excluded.last_read_seq,
              joined_at = excluded.joined_at, left_at = null, is_pinned = false, is_muted = false, is_archived = false,
              updated_at = now()`,
        )
        const participant = presentParticipant(
          (await participantRow(em, conversationId, userId)) as ParticipantRow,
          urls,
        )
        if (participant.kind === 'agent') {
          await run(em, sql`update conversations set has_agents = true where id = ${conversationId}`)
        }
        return { participant, numbers, prevMembersChange: conversation.members_change, count: count + 1 }
      })
      if (!added.numbers) return added.participant
      const { participant, numbers, prevMembersChange, count } = added
      fanout.join({ conversationId, userIds: [userId], prevMembersChange, membersChange: numbers.change })
      await conversations.announceTo(conversationId, [userId])
      await announce(conversationId, numbers, numbers.change, [participant], count)
      return participant
    },

    /** Removing someone who is not in it is `not_found`; nobody removes themself this way, they leave. */
    async remove(input: ParsedInput<'participant:remove'>, { actor }: UserContext): Promise<Record<string, never>> {
      const { conversationId, userId } = input
      await end(conversationId, userId, async (em) => {
        const conversation = await lockConversation(em, conversationId, actor.userId)
        if (userId === actor.userId) throw unprocessable('To go yourself, leave the conversation.')
        const other = await participantRow(em, conversationId, userId)
        if (!other || other.left_at !== null) throw notFound('participant')
        mayRemove(conversation.type, conversation.role, other.role)
        return conversation
      })
      return {}
    },

    async leave(input: ParsedInput<'conversation:leave'>, { actor }: UserContext): Promise<Record<string, never>> {
      await end(input.conversationId, actor.userId, async (em) => {
        const conversation = await lockConversation(em, input.conversationId, actor.userId)
        mayLeave(conversation.type)
        return conversation
      })
      return {}
    },

    async update(input: ParsedInput<'participant:update'>, { actor }: UserContext): Promise<Participant> {
      const { conversationId, userId, role } = input
      const updated = await database.transact(async (em) => {
        const conversation = await lockConversation(em, conversationId, actor.userId)
        mayChangeRole(conversation.type, conversation.role)
        const before = await participantRow(em, conversationId, userId)
        if (!before || before.left_at !== null) throw notFound('participant')
        mayBe(role, before.kind)
        if (before.role === role) return { participant: presentParticipant(before, urls) }
        if (before.role === 'owner' && (await owners(em, conversationId)) === 1) {
          throw unprocessable('A group keeps at least one owner: make someone else an owner first.')
        }
        const numbers = await nextChange(em, conversation, 'shared')
        await run(
          em,
          sql`update participants set role = ${role}, change = ${numbers.change}, updated_at = now()
            where conversation_id = ${conversationId} and user_id = ${userId}`,
        )
        const participant = presentParticipant(
          (await participantRow(em, conversationId, userId)) as ParticipantRow,
          urls,
        )
        const count = await countPeople(em, conversationId)
        return { participant, numbers, membersChange: conversation.members_change, count }
      })
      const { participant, numbers, membersChange, count } = updated
      if (numbers) await announce(conversationId, numbers, membersChange, [participant], count)
      return participant
    },
  }

  /** Ends a participation that `check` has allowed under the lock; the room is left before anyone is told. */
  async function end(
    conversationId: string,
    userId: string,
    check: (em: Connection) => Promise<LockedConversation>,
  ): Promise<void> {
    const departure = await database.transact(async (em) => depart(em, await check(em), userId, deps))
    const { prevChange, change, prevMembersChange, participants, participantCount, dissolved } = departure
    if (dissolved) {
      await fanout.dissolve(conversationId)
      fanout.toUsers([userId, ...dissolved.userIds], 'conversation:removed', { conversationId })
      return await dissolved.letGo()
    }
    await fanout.leave({ conversationId, userIds: [userId], prevMembersChange, membersChange: change })
    fanout.toUsers([userId], 'conversation:removed', { conversationId })
    await announce(conversationId, { prevChange, change }, change, participants, participantCount)
  }

  function announce(
    conversationId: string,
    numbers: { prevChange: number; change: number },
    membersChange: number,
    participants: Participant[],
    participantCount: number,
  ): Promise<void> {
    const payload = { conversationId, ...numbers, participants, participantCount }
    return fanout.toConversations([{ conversationId, membersChange, event: 'participants:changed', payload }])
  }
}

async function participantRow(
  em: Connection,
  conversationId: string,
  userId: string,
): Promise<ParticipantRow | undefined> {
  const [row] = await run(
    em,
    sql<ParticipantRow>`
      select ${participantColumns} from participants p join users u on u.id = p.user_id
      where p.conversation_id = ${conversationId} and p.user_id = ${userId}`,
  )
  return row
}

async function countPeople(em: Connection, conversationId: string): Promise<number> {
  const [row] = await run(
    em,
    sql<{ count: number }>`
      select count(*)::int as count from participants where conversation_id = ${conversationId} and left_at is null`,
  )
  return row?.count ?? 0
}

async function owners(em: Connection, conversationId: string): Promise<number> {
  const [row] = await run(
    em,
    sql<{ count: number }>`
      select count(*)::int as count from participants
      where conversation_id = ${conversationId} and role = 'owner' and left_at is null`,
  )
  return row?.count ?? 0
}
