import { sql } from 'kysely'
import { type Connection, type Database, run as runIn } from '../database/database.ts'
import { AppError, notFound, unprocessable } from '../kernel/errors.ts'
import { newId } from '../kernel/ids.ts'
import type { UserContext } from '../kernel/operation.ts'
import type { Fanout } from '../kernel/ports.ts'
import type { Messenger } from '../messenger/index.ts'
import { maxStreamLength, type ParsedRunInput, type RunOutput } from './agents.contract.ts'
import type { Growing, Halt, Pump } from './pump.ts'
import { isAgentsTurnOver } from './questions.ts'
import { numbersOf } from './run-control.service.ts'
import { hasOpenRun, insertRuns, type Run, takeExternal } from './run-rows.ts'
import { beingWritten, type Ended, type Runs } from './runs.service.ts'

/** How an agent says that its message ends. */
type How = Pick<Ended, 'status' | 'errorCode'> & { usage?: ParsedRunInput<'stream:finish'>['usage'] }

/**
 * Messages that external agents write. The node at which an agent's socket is holds the text; where the agent comes back
 * at another node, that one takes the run over, and the agent goes on from what is stored. Who falls silent is ended.
 */
export function createExternalStreams(deps: {
  database: Database
  streams: Messenger['streams']
  runs: Runs
  pump: Pump
  fanout: Pick<Fanout, 'isInRoom'>
  nodeId: string
}) {
  const { database, streams, runs, pump, fanout, nodeId } = deps
  const taking = new Map<string, Promise<Growing | undefined>>()
  const endings = new Set<Promise<unknown>>()

  /** @throws AppError not_found, conflict where the agent writes there already, idempotency_conflict, unprocessable */
  async function start(
    input: ParsedRunInput<'stream:start'>,
    { actor }: UserContext,
  ): Promise<RunOutput<'stream:start'>> {
    const { conversationId, clientId, replyToId } = input
    const agentId = actor.userId
    const begun = await database.transact(async (em) => {
      const held = await streams.lock(em, conversationId, agentId)
      const earlier = await begunBefore(em, conversationId, agentId, clientId)
      if (earlier) return { earlier }
      if (replyToId !== undefined) await requireMessage(em, conversationId, replyToId)
      if (await isAgentsTurnOver(em, conversationId)) {
        throw unprocessable('Agents have talked long enough among themselves: it is the turn of a person.')
      }
      if (await hasOpenRun(em, conversationId, agentId)) throw beingWritten()
      const id = newId()
      const change = await streams.beginIn(em, held, [{ id, senderId: agentId, clientId, replyToId }])
      const own = {
        messageId: id,
        kind: 'external' as const,
        agentId,
        requestedBy: undefined,
        reservationId: undefined,
      }
      const row = { ...own, modelId: undefined, answerer: agentId, triggerSeq: held.last_seq }
      await insertRuns(em, conversationId, nodeId, [row])
      const run: Run = { ...own, conversationId, epoch: 1, membersChange: held.members_change, savedLength: 0 }
      return { change, run }
    })
    if (begun.earlier) return begun.earlier
    // before anyone can stop it
    hold(begun.run)
    await begun.change.announce()
    return numbersOf(begun.change.messages[0] as { id: string; seq: number; change: number })
  }

  /**
   * @throws AppError conflict with `durable` in its details for an offset beyond the text; gone where the message has ended;
   * payload_too_large, not_found
   */
  async function append(
    { conversationId, messageId, offset, text }: ParsedRunInput<'stream:append'>,
    { actor }: UserContext,
  ): Promise<RunOutput<'stream:append'>> {
    const growing = await growingOf(conversationId, messageId, actor.userId)
    const { length, saved: durable } = growing
    if (offset > length) throw textEndsAt(length, durable)
    if (offset + text.length > maxStreamLength) {
      throw new AppError('payload_too_large', `A message comes to at most ${maxStreamLength} characters.`)
    }
    growing.push(text.slice(length - offset))
    return { offset: growing.length, durable: growing.saved }
  }

  const finish = (
    { conversationId, messageId, length: whole = 0, usage }: ParsedRunInput<'stream:finish'>,
    { actor }: UserContext,
  ): Promise<RunOutput<'stream:finish'>> =>
    endBy(
      actor.userId,
      { conversationId, messageId },
      ({ length, saved }) => {
        if (whole > length) throw textEndsAt(length, saved)
        return length > 0 ? { status: 'sent', usage } : { status: 'failed', errorCode: 'empty' }
      },
      ({ status, errorCode }) => status === 'sent' || errorCode === 'empty',
    )

  const fail = (
    { conversationId, messageId, error = 'agent_failed' }: ParsedRunInput<'stream:fail'>,
    { actor }: UserContext,
  ): Promise<RunOutput<'stream:fail'>> =>
    endBy(
      actor.userId,
      { conversationId, messageId },
      () => ({ status: 'failed', errorCode: error }),
      ({ status }) => status === 'failed',
    )

  /** Repeated, it gives the first answer; who finishes a message that has failed meanwhile is told that it did not work. */
  async function endBy(
    agentId: string,
    { conversationId, messageId }: { conversationId: string; messageId: string },
    how: (growing: Growing) => How,
    isRepeated: (end: How) => boolean,
  ) {
    const before = await endedBefore(conversationId, messageId, agentId)
    if (before && isRepeated(before)) return { prevChange: before.change - 1, change: before.change }
    const growing = await growingOf(conversationId, messageId, agentId)
    const numbers = await end(growing, how(growing))
    if (!numbers) throw ended()
    return { prevChange: numbers.prevChange, change: numbers.change }
  }

  function end(growing: Growing, { status, errorCode, usage }: How) {
    const { inputTokens, outputTokens } = usage ?? { inputTokens: 0, outputTokens: 0 }
    const how = {
      status,
      errorCode,
      modelId: undefined,
      inputTokens,
      outputTokens,
      inputLength: 0,
      processingTimeMs: 0,
    }
    const ending = growing.close().then((rest) => runs.end(growing.run, how, rest))
    endings.add(ending)
    return ending.finally(() => endings.delete(ending))
  }

  /** The text on this node; what halts it from elsewhere ends it. */
  function hold(run: Run): Growing {
    const growing = pump.open(run)
    growing.signal.addEventListener('abort', () => {
      const reason = growing.signal.reason as Halt
      if (reason === 'lost') void growing.close()
      else if (reason === 'stopped' || reason === 'gone') void end(growing, { status: 'cancelled' })
      else void end(growing, { status: 'failed', errorCode: reason === 'idle' ? 'timeout' : 'interrupted' })
    })
    return growing
  }

  /**
   * The agent's text, taken over from another node where need be. An agent that was removed finds none: its socket has
   * left the room on every node before the removal was acknowledged.
   */
  async function growingOf(conversationId: string, messageId: string, agentId: string): Promise<Growing> {
    if (!(await takesPart(agentId, conversationId))) throw notFound('message')
    const here = pump.of(messageId)
    if (here && here.run.agentId === agentId && here.run.conversationId === conversationId) {
      if (here.signal.aborted) throw ended()
      return here
    }
    const taken = taking.get(messageId) ?? take(conversationId, messageId, agentId)
    taking.set(messageId, taken)
    const growing = await taken.finally(() => taking.delete(messageId))
    if (growing?.run.agentId === agentId && !growing.signal.aborted) return growing
    const [row] = await database.query(
      sql`
        select message_id from agent_runs
        where conversation_id = ${conversationId} and message_id = ${messageId} and agent_id = ${agentId}`,
    )
    throw row ? ended() : notFound('message')
  }

  /** Who is in the room takes part; who is not may have come a moment ago, at a node that this one has not heard yet. */
  async function takesPart(agentId: string, conversationId: string): Promise<boolean> {
    if (fanout.isInRoom(agentId, conversationId)) return true
    const rows = await database.query(
      sql`
        select user_id from participants
        where conversation_id = ${conversationId} and user_id = ${agentId} and left_at is null`,
    )
    return rows.length > 0
  }

  async function take(conversationId: string, messageId: string, agentId: string): Promise<Growing | undefined> {
    const run = await takeExternal(database, nodeId, { conversationId, messageId, agentId })
    return run && hold(run)
  }

  async function endedBefore(conversationId: string, messageId: string, agentId: string) {
    const [row] = await database.query(
      sql<How & { change: number }>`
        select m.change, m.status, m.error_code as "errorCode" from agent_runs r
        join messages m on m.conversation_id = r.conversation_id and m.id = r.message_id
        where r.conversation_id = ${conversationId} and r.message_id = ${messageId} and r.agent_id = ${agentId}
          and r.kind = 'external' and r.status <> 'running'`,
    )
    return row
  }

  return {
    start,
    append,
    finish,
    fail,
    /** Leaves the texts to the nodes that the agents go to; whoever does not come back in time is ended there. */
    async close(): Promise<void> {
      const own = pump.all().filter((growing) => growing.run.kind === 'external' && !growing.signal.aborted)
      await Promise.all(own.map(pump.release))
      await Promise.allSettled(endings)
    },
  }
}

export type ExternalStreams = ReturnType<typeof createExternalStreams>

const textEndsAt = (length: number, durable: number) =>
  new AppError('conflict', `The text ends at ${length}: send again from ${durable} on.`, { details: { durable } })

const ended = () => new AppError('gone', 'This message has ended.')

async function begunBefore(em: Connection, conversationId: string, agentId: string, clientId: string) {
  const [row] = await runIn(
    em,
    sql<{ id: string; seq: number; change: number; streamed: boolean }>`
      select m.id, m.seq, m.created_change as change, r.message_id is not null as streamed from messages m
      left join agent_runs r on r.conversation_id = m.conversation_id and r.message_id = m.id
      where m.conversation_id = ${conversationId} and m.sender_id = ${agentId} and m.client_id = ${clientId}`,
  )
  if (row && !row.streamed) throw new AppError('idempotency_conflict', 'This clientId was used for another message.')
  return row && numbersOf(row)
}

async function requireMessage(em: Connection, conversationId: string, id: string): Promise<void> {
  const rows = await runIn(em, sql`select id from messages where conversation_id = ${conversationId} and id = ${id}`)
  if (rows.length === 0) throw unprocessable('The message replied to is not in this conversation.')
}
