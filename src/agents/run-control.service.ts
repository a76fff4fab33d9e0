import { sql } from 'kysely'
import type { Models } from '../billing/index.ts'
import type { Database } from '../database/database.ts'
import { notFound, unprocessable } from '../kernel/errors.ts'
import type { UserContext } from '../kernel/operation.ts'
import type { Fanout } from '../kernel/ports.ts'
import type { Messenger } from '../messenger/index.ts'
import type { Message } from '../messenger/messenger.contract.ts'
import type { ParsedRunInput, RunOutput } from './agents.contract.ts'
import type { Answerer } from './answering.policy.ts'
import type { Answers } from './answers.service.ts'
import type { Pump } from './pump.ts'
import { questionOf, settingOf } from './questions.ts'

/** What participants ask of answers: to stop, to be given anew, to be read on. Any participant may, on any node. */
export function createRunControl(deps: {
  database: Database
  streams: Messenger['streams']
  models: Pick<Models, 'requireUsable'>
  answers: Answers
  pump: Pump
  fanout: Pick<Fanout, 'toUsers'>
}) {
  const { database, streams, models, answers, pump, fanout } = deps

  /**
   * Asks for the end of an answer, wherever it is being written: that node sees it within a moment. One that has ended
   * stays as it is.
   * @throws AppError not_found
   */
  async function stop(input: ParsedRunInput<'run:stop'>, { actor }: UserContext): Promise<RunOutput<'run:stop'>> {
    const { conversationId, messageId } = input
    const [run] = await database.query(
      sql<{ kind: string; agent_id: string | null; running: boolean }>`
        with stopped as (
          update agent_runs set stop_requested_at = coalesce(stop_requested_at, now())
          where conversation_id = ${conversationId} and message_id = ${messageId} and status = 'running'
            and ${isParticipant(conversationId, actor.userId)}
          returning message_id
        )
        select r.kind, r.agent_id, exists (select from stopped) as running from agent_runs r
        where r.conversation_id = ${conversationId} and r.message_id = ${messageId}
          and ${isParticipant(conversationId, actor.userId)}`,
    )
    if (!run) throw notFound('answer')
    if (!run.running) return {}
    if (run.kind === 'external' && run.agent_id !== null) fanout.toUsers([run.agent_id], 'stream:stop', { messageId })
    pump.of(messageId)?.halt('stopped')
    return {}
  }

  /**
   * Has the question before an answer answered anew, by the same one or another model. The same client id gives the first
   * result again.
   * @throws AppError not_found, unprocessable, conflict where the same one is writing, and what the meter refuses
   */
  async function regenerate(
    input: ParsedRunInput<'run:regenerate'>,
    { actor }: UserContext,
  ): Promise<RunOutput<'run:regenerate'>> {
    const { conversationId, messageId, clientId, modelId } = input
    const answered = await answerOf(conversationId, messageId, actor.userId)
    const earlier = await begunBy(conversationId, actor.userId, clientId)
    if (earlier) return earlier
    if (modelId !== undefined) await models.requireUsable([modelId])
    const answerer = await answererOf(conversationId, answered, modelId)
    const question = await questionOf(database, { conversationId, messageId, payerId: actor.userId })
    if (!question) throw unprocessable('The question of this answer is not there any more.')
    try {
      return numbersOf(await answers.regenerate(conversationId, answerer, question, clientId))
    } catch (error) {
      // the same request at the same time has begun it
      const meanwhile = await begunBy(conversationId, actor.userId, clientId)
      if (meanwhile) return meanwhile
      throw error
    }
  }

  interface Answered {
    senderId: string | null
    modelId: string | null
  }

  async function answerOf(conversationId: string, messageId: string, userId: string): Promise<Answered> {
    const [row] = await database.query(
      sql<Answered & { role: Message['role'] }>`
        select m.sender_id as "senderId", m.model_id as "modelId", m.role from messages m
        where m.conversation_id = ${conversationId} and m.id = ${messageId} and ${isParticipant(conversationId, userId)}`,
    )
    if (!row) throw notFound('message')
    if (row.role !== 'assistant') throw unprocessable('This is no answer of a model.')
    return row
  }

  /** Who gives the answer anew: the agent that gave it, or the model, or another model in its place. */
  async function answererOf(
    conversationId: string,
    { senderId, modelId }: Answered,
    wanted: string | undefined,
  ): Promise<Answerer> {
    if (senderId === null) {
      const model = wanted ?? modelId
      if (model === null) throw unprocessable('Say which model is to answer.')
      return { modelId: model }
    }
    const agent = (await settingOf(database, conversationId))?.agents.find(({ id }) => id === senderId)
    if (!agent) throw unprocessable('This agent cannot be asked to answer anew.')
    return { agent: wanted === undefined ? agent : { ...agent, modelId: wanted } }
  }

  async function begunBy(
    conversationId: string,
    userId: string,
    clientId: string,
  ): Promise<RunOutput<'run:regenerate'> | undefined> {
    const [row] = await database.query(
      sql<{ id: string; seq: number; change: number }>`
        select m.id, m.seq, m.created_change as change
        from agent_runs r join messages m on m.conversation_id = r.conversation_id and m.id = r.message_id
        where r.conversation_id = ${conversationId} and r.requested_by = ${userId} and r.client_id = ${clientId}`,
    )
    return row && numbersOf(row)
  }

  const resume = (input: ParsedRunInput<'run:resume'>, { actor }: UserContext): Promise<RunOutput<'run:resume'>> =>
    streams.read(actor.userId, input)

  return { stop, regenerate, resume }
}

export type RunControl = ReturnType<typeof createRunControl>

/** As SQL: whether the user takes part in a conversation that is there. */
const isParticipant = (conversationId: string, userId: string) => sql<boolean>`exists (
  select from participants p join conversations c on c.id = p.conversation_id
  where p.conversation_id = ${conversationId} and p.user_id = ${userId} and p.left_at is null and c.deleted_at is null
)`

/** What a message that began is told by. */
export const numbersOf = ({ id, seq, change }: { id: string; seq: number; change: number }) => ({
  ...{ id, seq, prevChange: change - 1, change },
})
