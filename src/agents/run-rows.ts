import { sql } from 'kysely'
import { type Connection, type Database, run } from '../database/database.ts'

/** How long a run belongs to its node without a sign of life; renewed each second. */
const leaseMs = 15_000

/** A run as whoever writes it knows it. */
export interface Run {
  conversationId: string
  messageId: string
  kind: 'built_in' | 'external'
  agentId: string | undefined
  /** Of whoever holds it: who takes it over raises this, and what the former holder does from then on changes nothing. */
  epoch: number
  requestedBy: string | undefined
  reservationId: string | undefined
  /** The conversation's latest join or leave, as it was read a moment ago. */
  membersChange: number
  /** UTF-16 units of the text that are stored. */
  savedLength: number
}

export interface NewRun extends Pick<Run, 'messageId' | 'kind' | 'agentId' | 'requestedBy' | 'reservationId'> {
  answerer: string
  modelId: string | undefined
  triggerSeq: number
  clientId?: string | undefined
}

const lease = sql`now() + ${sql.lit(leaseMs)} * interval '1 millisecond'`

export async function insertRuns(
  em: Connection,
  conversationId: string,
  nodeId: string,
  runs: NewRun[],
): Promise<void> {
  for (const {
    messageId,
    kind,
    agentId,
    modelId,
    answerer,
    requestedBy,
    clientId,
    triggerSeq,
    reservationId,
  } of runs) {
    await run(
      em,
      sql`
        insert into agent_runs (conversation_id, message_id, kind, agent_id, model_id, answerer, requested_by, client_id,
          trigger_seq, node_id, lease_until, reservation_id, created_at)
        values (${conversationId}, ${messageId}, ${kind}, ${agentId ?? null}, ${modelId ?? null}, ${answerer},
          ${requestedBy ?? null}, ${clientId ?? null}, ${triggerSeq}, ${nodeId}, ${lease}, ${reservationId ?? null}, now())`,
    )
  }
}

/** Has the open run of an answerer be followed by another, if there is one; says whether. */
export async function deferIn(em: Connection, conversationId: string, answerer: string, seq: number): Promise<boolean> {
  const rows = await run(
    em,
    sql`
      update agent_runs set pending_seq = greatest(pending_seq, ${seq}::int)
      where conversation_id = ${conversationId} and answerer = ${answerer} and status = 'running' returning message_id`,
  )
  return rows.length > 0
}

export async function hasOpenRun(em: Connection, conversationId: string, answerer: string): Promise<boolean> {
  const rows = await run(
    em,
    sql`
      select message_id from agent_runs
      where conversation_id = ${conversationId} and answerer = ${answerer} and status = 'running'`,
  )
  return rows.length > 0
}

/** The keys of those who are writing in a conversation. */
export async function writersIn(database: Pick<Database, 'query'>, conversationId: string): Promise<Set<string>> {
  const rows = await database.query(
    sql<{ answerer: string }>`
      select answerer from agent_runs where conversation_id = ${conversationId} and status = 'running'`,
  )
  return new Set(rows.map(({ answerer }) => answerer))
}

/** What the runs of a conversation have taken in the last hour, in tokens. */
export async function tokensOfLastHour(em: Connection, conversationId: string): Promise<number> {
  const [row] = await run(
    em,
    sql<{ tokens: string | null }>`
      select sum(tokens) as tokens from agent_runs
      where conversation_id = ${conversationId} and created_at > now() - interval '1 hour'`,
  )
  return Number(row?.tokens ?? 0)
}

/** A run that is still the caller's to end, under its lock. */
export interface Ending {
  answerer: string
  pending_seq: number | null
  saved_length: number
}

export async function lockToEnd(
  em: Connection,
  { conversationId, messageId, epoch }: Run,
): Promise<Ending | undefined> {
  const [row] = await run(
    em,
    sql<Ending>`
      select answerer, pending_seq, saved_length from agent_runs
      where conversation_id = ${conversationId} and message_id = ${messageId} and epoch = ${epoch}
        and status = 'running' for update`,
  )
  return row
}

export async function markEnded(
  em: Connection,
  { conversationId, messageId }: Run,
  end: { status: 'succeeded' | 'failed' | 'cancelled'; tokens: number },
): Promise<void> {
  await run(
    em,
    sql`
      update agent_runs set status = ${end.status}, tokens = ${end.tokens}, pending_seq = null, finished_at = now()
      where conversation_id = ${conversationId} and message_id = ${messageId}`,
  )
}

/** How a run that somebody writes stands in the database. */
export interface Standing {
  messageId: string
  epoch: number
  isRunning: boolean
  isStopped: boolean
  /** The conversation was deleted or closed by a block, the message was deleted, or the agent has left. */
  isGone: boolean
  membersChange: number
}

export async function standingsOf(database: Pick<Database, 'query'>, runs: Run[]): Promise<Map<string, Standing>> {
  const rows = await database.query(
    sql<Standing>`
      select r.message_id as "messageId", r.epoch, r.status = 'running' as "isRunning",
        r.stop_requested_at is not null as "isStopped", c.members_change as "membersChange",
        c.deleted_at is not null or c.is_blocked or m.deleted_at is not null or r.agent_id is not null and not exists (
          select from participants p
          where p.conversation_id = r.conversation_id and p.user_id = r.agent_id and p.left_at is null
        ) as "isGone"
      from unnest(${runs.map(({ conversationId }) => conversationId)}::uuid[],
        ${runs.map(({ messageId }) => messageId)}::uuid[]) as w (conversation_id, message_id)
      join agent_runs r on r.conversation_id = w.conversation_id and r.message_id = w.message_id
      join messages m on m.conversation_id = r.conversation_id and m.id = r.message_id
      join conversations c on c.id = r.conversation_id`,
  )
  return new Map(rows.map((row) => [row.messageId, row]))
}

/** How far the text of each of these is stored, of those that are still the caller's; locks them, in one order. */
export async function lockSaved(em: Connection, runs: Run[]): Promise<Map<string, number>> {
  const rows = await run(
    em,
    sql<{ message_id: string; saved_length: number }>`
      select r.message_id, r.saved_length
      from agent_runs r
      join unnest(${runs.map(({ conversationId }) => conversationId)}::uuid[],
        ${runs.map(({ messageId }) => messageId)}::uuid[], ${runs.map(({ epoch }) => epoch)}::int[])
        as w (conversation_id, message_id, epoch)
        on r.conversation_id = w.conversation_id and r.message_id = w.message_id and r.epoch = w.epoch
      where r.status = 'running'
      order by r.conversation_id, r.message_id for update of r`,
  )
  return new Map(rows.map((row) => [row.message_id, row.saved_length]))
}

/** Notes how far texts are stored, and that those who write them live. */
export async function renew(em: Connection, runs: (Pick<Run, 'conversationId' | 'messageId'> & { length: number })[]) {
  await run(
    em,
    sql`
      update agent_runs r set saved_length = w.length, lease_until = ${lease}
      from unnest(${runs.map(({ conversationId }) => conversationId)}::uuid[],
        ${runs.map(({ messageId }) => messageId)}::uuid[], ${runs.map(({ length }) => length)}::int[])
        as w (conversation_id, message_id, length)
      where r.conversation_id = w.conversation_id and r.message_id = w.message_id`,
  )
}

interface RunRow {
  conversation_id: string
  message_id: string
  kind: Run['kind']
  agent_id: string | null
  epoch: number
  requested_by: string | null
  reservation_id: string | null
  saved_length: number
}

/** Runs that have been taken over by an update of `agent_runs r`. */
const takenOver = sql<RunRow>`
  r.conversation_id, r.message_id, r.kind, r.agent_id, r.epoch, r.requested_by, r.reservation_id, r.saved_length`

const presentRun = (row: RunRow): Run => ({
  conversationId: row.conversation_id,
  messageId: row.message_id,
  kind: row.kind,
  agentId: row.agent_id ?? undefined,
  epoch: row.epoch,
  requestedBy: row.requested_by ?? undefined,
  reservationId: row.reservation_id ?? undefined,
  membersChange: 0,
  savedLength: row.saved_length,
})

/**
 * Takes over the runs whose lease has expired, some at a time: nobody writes them any more, but those that this node does
 * and was too busy to say so.
 */
export async function takeExpired(
  database: Pick<Database, 'query'>,
  nodeId: string,
  ownMessageIds: string[],
): Promise<Run[]> {
  const rows = await database.query(
    sql<RunRow>`
      update agent_runs r set epoch = r.epoch + 1, node_id = ${nodeId}, lease_until = ${lease}
      from (
        select conversation_id, message_id from agent_runs
        where status = 'running' and lease_until < now() and message_id <> all (${ownMessageIds}::uuid[])
        order by lease_until limit 50 for update skip locked
      ) expired
      where r.conversation_id = expired.conversation_id and r.message_id = expired.message_id returning ${takenOver}`,
  )
  return rows.map(presentRun)
}

/** Takes over an open run of an external agent, whose socket is at this node now. */
export async function takeExternal(
  database: Pick<Database, 'query'>,
  nodeId: string,
  { conversationId, messageId, agentId }: { conversationId: string; messageId: string; agentId: string },
): Promise<Run | undefined> {
  const [row] = await database.query(
    sql<RunRow>`
      update agent_runs r set epoch = r.epoch + 1, node_id = ${nodeId}, lease_until = ${lease}
      where r.conversation_id = ${conversationId} and r.message_id = ${messageId} and r.agent_id = ${agentId}
        and r.kind = 'external' and r.status = 'running' returning ${takenOver}`,
  )
  return row && presentRun(row)
}
