import { sql } from 'kysely'
import { type Connection, type Database, run } from '../database/database.ts'
import { type BuiltInAgent, maxAgentTurns, type Question, type Setting } from './answering.policy.ts'

/** Of one conversation, at once. */
const maxQuestions = 50

/** Undefined where the conversation is gone. */
export async function settingOf(
  database: Pick<Database, 'query'>,
  conversationId: string,
): Promise<Setting | undefined> {
  const [row] = await database.query(
    sql<{ type: Setting['type']; title: string | null; models: string[] | null; system_prompt: string | null }>`
      select type, title, models, system_prompt from conversations
      where id = ${conversationId} and deleted_at is null`,
  )
  if (!row) return undefined
  return {
    type: row.type,
    title: row.title ?? undefined,
    models: row.models ?? [],
    systemPrompt: row.system_prompt ?? undefined,
    agents: row.type === 'assistant' ? [] : await agentsIn(database, conversationId),
  }
}

async function agentsIn(database: Pick<Database, 'query'>, conversationId: string): Promise<BuiltInAgent[]> {
  const rows = await database.query(
    sql<{
      id: string
      name: string
      model_id: string | null
      system_prompt: string | null
      temperature: string | null
      max_output_tokens: number | null
    }>`
      select u.id, u.display_name as name, a.model_id, a.system_prompt, a.temperature, a.max_output_tokens
      from participants p join agents a on a.user_id = p.user_id join users u on u.id = a.user_id
      where p.conversation_id = ${conversationId} and p.left_at is null and a.kind = 'built_in'
        and u.deleted_at is null and u.banned_at is null
      order by p.joined_at, u.id`,
  )
  return rows.map((row) => ({
    id: row.id,
    name: row.name,
    modelId: row.model_id ?? undefined,
    systemPrompt: row.system_prompt ?? undefined,
    temperature: row.temperature === null ? undefined : Number(row.temperature),
    maxOutputTokens: row.max_output_tokens ?? undefined,
  }))
}

interface QuestionRow {
  seq: number
  answerer: string
  message_id: string
  sender_id: string | null
  by_agent: boolean
  mentions: string[]
  replies_to: string | null
  payer: string | null
  mocked: boolean | null
}

/** The messages of a conversation that wait to be answered, oldest first; deleted ones too, with nobody to pay. */
export async function waitingIn(database: Pick<Database, 'query'>, conversationId: string): Promise<Question[]> {
  const rows = await database.query(
    sql<QuestionRow>`
      select t.seq, t.answerer, t.message_id, m.sender_id, m.role = 'assistant' or s.kind = 'agent' as by_agent,
        array(select n.user_id from mentions n where n.conversation_id = m.conversation_id and n.seq = m.seq) as mentions,
        (
          select r.sender_id from messages r where r.conversation_id = m.conversation_id and r.id = m.reply_to_id
        ) as replies_to,
        payer.id as payer, payer.mock_mode_enabled as mocked
      from message_triggers t
      join messages m on m.conversation_id = t.conversation_id and m.id = t.message_id
      left join users s on s.id = m.sender_id
      left join agents a on a.user_id = s.id
      left join users payer on payer.deleted_at is null and payer.banned_at is null and m.deleted_at is null
        and payer.id = coalesce(t.requested_by, case when s.kind = 'agent' then a.owner_id else s.id end)
      where t.conversation_id = ${conversationId} order by t.seq limit ${maxQuestions}`,
  )
  return rows.map(presentQuestion)
}

/**
 * The question that an answer was given to, for an answer anew that this person pays for: as its run says, or else what it
 * replies to, or else the latest message of a person before it. Undefined where there is none, or none any more.
 */
export async function questionOf(
  database: Pick<Database, 'query'>,
  answer: { conversationId: string; messageId: string; payerId: string },
): Promise<Question | undefined> {
  const { conversationId, messageId, payerId } = answer
  const [row] = await database.query(
    sql<QuestionRow>`
      select q.seq, '' as answerer, q.id as message_id, q.sender_id, false as by_agent, '{}'::uuid[] as mentions,
        null as replies_to, payer.id as payer, payer.mock_mode_enabled as mocked
      from messages a
      left join agent_runs r on r.conversation_id = a.conversation_id and r.message_id = a.id
      left join messages replied on replied.conversation_id = a.conversation_id and replied.id = a.reply_to_id
      join messages q on q.conversation_id = a.conversation_id and q.deleted_at is null
        and q.seq = coalesce(r.trigger_seq, replied.seq, (
          select p.seq from messages p
          where p.conversation_id = a.conversation_id and p.seq < a.seq and p.deleted_at is null and p.role = 'user'
          order by p.seq desc limit 1
        ))
      join users payer on payer.id = ${payerId}
      where a.conversation_id = ${conversationId} and a.id = ${messageId}`,
  )
  return row && presentQuestion(row)
}

const presentQuestion = (row: QuestionRow): Question => ({
  seq: row.seq,
  messageId: row.message_id,
  only: row.answerer === '' ? undefined : row.answerer,
  senderId: row.sender_id ?? undefined,
  isByAgent: row.by_agent,
  mentions: row.mentions,
  repliesTo: row.replies_to ?? undefined,
  payer: row.payer === null ? undefined : { id: row.payer, isMocked: row.mocked ?? false },
})

/** Conversations with questions that have waited since then; for those of a node that died. */
export async function leftWaiting(database: Pick<Database, 'query'>, since: Date): Promise<string[]> {
  const rows = await database.query(
    sql<{ id: string }>`
      select distinct conversation_id as id from message_triggers where created_at < ${since.toISOString()} limit 100`,
  )
  return rows.map(({ id }) => id)
}

/** Names a question on the list of its conversation. */
export const placeOf = ({ seq, only = '' }: Pick<Question, 'seq' | 'only'>): string => `${seq} ${only}`

/** Takes questions off the list; gives the places of those that were still on it, which are the caller's now. */
export async function claimIn(em: Connection, conversationId: string, questions: Question[]): Promise<Set<string>> {
  const rows = await run(
    em,
    sql<{ seq: number; answerer: string }>`
      delete from message_triggers t
      using unnest(${questions.map(({ seq }) => seq)}::int[], ${questions.map(({ only }) => only ?? '')}::text[])
        as q (seq, answerer)
      where t.conversation_id = ${conversationId} and t.seq = q.seq and t.answerer = q.answerer
      returning t.seq, t.answerer`,
  )
  return new Set(rows.map(({ seq, answerer }) => placeOf({ seq, only: answerer })))
}

/** Puts the question at this position back on the list, for the one answerer that could not take it then. */
export async function askAgainIn(
  em: Connection,
  again: { conversationId: string; seq: number; answerer: string; requestedBy: string | undefined },
): Promise<void> {
  const { conversationId, seq, answerer, requestedBy } = again
  await run(
    em,
    sql`
      insert into message_triggers (conversation_id, seq, answerer, message_id, requested_by)
      select m.conversation_id, m.seq, ${answerer}, m.id,
        case when m.role = 'assistant' or u.kind = 'agent' then ${requestedBy ?? null}::uuid end
      from messages m left join users u on u.id = m.sender_id
      where m.conversation_id = ${conversationId} and m.seq = ${seq} on conflict do nothing`,
  )
}

/** Whether the latest messages, or the latest up to a position, are turns of agents alone, as many as they may take. */
export async function isAgentsTurnOver(em: Connection, conversationId: string, upTo?: number): Promise<boolean> {
  const [row] = await run(
    em,
    sql<{ turns: number }>`
      select count(*) filter (where by_agent)::int as turns from (
        select m.role = 'assistant' or u.kind = 'agent' as by_agent
        from messages m left join users u on u.id = m.sender_id
        where m.conversation_id = ${conversationId} and m.role <> 'system'
          ${upTo === undefined ? sql`` : sql`and m.seq <= ${upTo}`}
        order by m.seq desc limit ${maxAgentTurns}
      ) latest`,
  )
  return (row?.turns ?? 0) >= maxAgentTurns
}
