import { sql } from 'kysely'
import { type Connection, run } from '../database/database.ts'
import type { MediaUrls } from '../kernel/ports.ts'
import { type ParticipantRow, participantColumns, presentParticipant } from './conversation.presenter.ts'
import { type HeldConversation, nextChange } from './conversation-lock.ts'
import type { Dissolved, DissolveIn } from './dissolution.ts'
import { handOn } from './heir.ts'
import type { Participant } from './messenger.contract.ts'

export interface Departure {
  prevChange: number
  change: number
  prevMembersChange: number
  /** Who left, and who owns the group from now on, if anyone does anew. */
  participants: Participant[]
  participantCount: number
  /** Where no people were left in it, and so it was deleted: with the agents that still were. */
  dissolved?: Dissolved
}

/**
 * Ends the user's participation in a conversation that the transaction has locked. A group goes to an heir; a conversation
 * with no people left is deleted for good, since agents alone keep none alive.
 */
export async function depart(
  em: Connection,
  conversation: HeldConversation,
  userId: string,
  { dissolveIn, urls }: { dissolveIn: DissolveIn; urls: MediaUrls },
): Promise<Departure> {
  const { id, type } = conversation
  const numbers = await nextChange(em, conversation, 'members')
  await run(
    em,
    sql`
      update participants set left_at = date_trunc('milliseconds', now()), change = ${numbers.change}, updated_at = now()
      where conversation_id = ${id} and user_id = ${userId}`,
  )
  const heir = type === 'group' ? await handOn(em, id, numbers.change) : []
  const rows = await run(
    em,
    sql<ParticipantRow>`
      select ${participantColumns} from participants p join users u on u.id = p.user_id
      where p.conversation_id = ${id} and p.user_id = any (${[userId, ...heir]}::uuid[])`,
  )
  const [left] = await run(
    em,
    sql<{ all: number; people: number }>`
      select count(*)::int as all, (count(*) filter (where u.kind = 'human'))::int as people
      from participants p join users u on u.id = p.user_id where p.conversation_id = ${id} and p.left_at is null`,
  )
  const { all = 0, people = 0 } = left ?? {}
  if (all === people && rows.some(({ kind }) => kind === 'agent')) await noteNoAgents(em, id)
  return {
    ...numbers,
    prevMembersChange: conversation.members_change,
    participants: rows.map((row) => presentParticipant(row, urls)),
    participantCount: all,
    ...(people === 0 && { dissolved: await dissolveIn(em, id) }),
  }
}

/** The models of an assistant conversation answer without being in it. */
async function noteNoAgents(em: Connection, conversationId: string): Promise<void> {
  await run(em, sql`update conversations set has_agents = false where id = ${conversationId} and type <> 'assistant'`)
}
