import { sql } from 'kysely'
import type { Logger } from 'pino'
import type { Database } from '../database/database.ts'
import { isUnavailable } from '../database/failures.ts'
import { AppError, notFound, unprocessable } from '../kernel/errors.ts'
import type { Metrics } from '../kernel/metrics.ts'
import type { ConversationEvent, Fanout } from '../kernel/ports.ts'
import { type MessageRow, iso, messageColumns, presentMessage } from './message.presenter.ts'
import type { Message, Sent } from './messenger.contract.ts'
import type { SearchIndex } from './search-index.ts'

/**
 * The send path. Owns the messages that wait on this node, and stores them in groups: what arrives while a group is being
 * committed goes with the next one, so that groups grow with the load and a message on an idle server goes at once.
 *
 * Always holds: a message is acknowledged only after its commit and after its event has left; of one conversation at most
 * one group is in flight, and its messages are numbered in the order of arrival; nothing here reads before it writes,
 * since participation, repeats and numbers are decided in the database under the conversation's lock.
 */
export interface MessageWriter {
  /**
   * Stores one message and tells the conversation.
   * @throws AppError not_found, unprocessable, idempotency_conflict; unavailable where the database or the
   * conversation's lock cannot be had in time
   */
  write(message: NewMessage): Promise<Sent>
  /** Settles when nothing waits. */
  drain(): Promise<void>
}

export interface NewMessage {
  id: string
  conversationId: string
  senderId: string
  clientId: string
  /** SHA-256 of the input as it came, in hex. */
  clientHash: string
  type: Message['type']
  content: string
  replyToId?: string | undefined
  forward?: { conversationId: string; messageId: string } | undefined
  /** Lower-case usernames that the text mentions. */
  names?: string[] | undefined
  /** The socket that sent it; hears the acknowledgment in place of the event. */
  socketId?: string | undefined
}

/** One group is at most this large: more would hold its locks, and the event loop of an embedded database, for too long. */
const maxRows = 500
const maxUnits = 1_000_000

/** How long a message waits for a conversation that someone else has locked. */
const lockDeadlineMs = 5_000
const lockRetryMs = 5

interface Waiting {
  message: NewMessage
  deadline: number
  resolve(sent: Sent): void
  reject(error: unknown): void
}

/** What append_messages answers; see its migration. */
interface Outcome {
  at: string
  /** By n; 0 where it was not stored. */
  seqs: number[]
  changes: number[]
  refused: [n: number, why: 'busy' | 'absent' | 'reply' | 'source'][]
  repeated: { n: number; same: boolean; id: string; seq: number; change: number; at: string }[]
  replies: { n: number; id: string; seq: number; sender: string | null; excerpt: string }[]
  forwards: { n: number; type: Message['type']; content: string; from: Message['forwardedFrom'] }[]
  mentions: [n: number, userId: string][]
  members: Record<string, string>
}

const refusals = {
  absent: () => notFound('conversation'),
  reply: () => unprocessable('The message replied to is not in this conversation.'),
  source: () => notFound('message to forward'),
}

export function createMessageWriter(deps: {
  database: Database
  fanout: Pick<Fanout, 'toConversations'>
  searchIndex: Pick<SearchIndex, 'note'>
  metrics: Metrics
  log: Logger
}): MessageWriter {
  const { database, fanout, searchIndex, metrics, log } = deps
  /** Groups in flight at once; the embedded database has one connection. */
  const maxGroups = database.embedded ? 1 : 2
  const waiting = new Map<string, Waiting[]>()
  const inFlight = new Set<string>()
  /** Conversations that someone else had locked a moment ago. */
  const held = new Set<string>()
  let groups = 0
  let scheduled = false
  const drained: (() => void)[] = []

  function schedule(): void {
    if (scheduled || groups >= maxGroups) return
    scheduled = true
    // after this turn's reads, so that what arrives together goes together
    setImmediate(() => {
      scheduled = false
      while (groups < maxGroups) {
        const group = takeGroup()
        if (group.length === 0) break
        groups += 1
        void commit(group).finally(() => {
          groups -= 1
          for (const { message } of group) inFlight.delete(message.conversationId)
          if (waiting.size > 0) schedule()
          else if (groups === 0) for (const settled of drained.splice(0)) settled()
        })
      }
    })
  }

  function takeGroup(): Waiting[] {
    const group: Waiting[] = []
    const taken: string[] = []
    let units = 0
    for (const [conversationId, queue] of waiting) {
      if (inFlight.has(conversationId) || held.has(conversationId)) continue
      const room = Math.min(maxRows - group.length, queue.length)
      // the same client id twice in a group could not see each other's row; the second waits for the next group
      const keys = new Set<string>()
      let count = 0
      while (count < room) {
        const { message } = queue[count] as Waiting
        const key = `${message.senderId} ${message.clientId}`
        if (keys.has(key) || (units > 0 && units + message.content.length > maxUnits)) break
        keys.add(key)
        units += message.content.length
        count += 1
      }
      if (count === 0) break
      taken.push(conversationId)
      inFlight.add(conversationId)
      group.push(...queue.splice(0, count))
      if (queue.length === 0) waiting.delete(conversationId)
    }
    // a conversation that still has messages goes to the end of the line
    for (const conversationId of taken) {
      const rest = waiting.get(conversationId)
      if (!rest) continue
      waiting.delete(conversationId)
      waiting.set(conversationId, rest)
    }
    return group
  }

  async function commit(group: Waiting[]): Promise<void> {
    let outcome: Outcome
    const started = performance.now()
    try {
      outcome = await append(database, group)
    } catch (error) {
      return await divide(group, error)
    }
    metrics.commit.observe((performance.now() - started) / 1000)
    metrics.batchSize.observe(group.length)
    await settle(group, outcome)
  }

  /** One message that the database cannot take must not fail the others: try by conversation, then one by one. */
  async function divide(group: Waiting[], error: unknown): Promise<void> {
    if (group.length === 1 || isUnavailable(error)) {
      for (const { reject } of group) reject(error)
      return
    }
    log.warn({ err: error, messages: group.length }, 'a group of messages was not stored; its parts are tried alone')
    const parts = Map.groupBy(group, ({ message }) => message.conversationId)
    if (parts.size > 1) for (const part of parts.values()) await commit(part)
    else for (const one of group) await commit([one])
  }

  async function settle(group: Waiting[], outcome: Outcome): Promise<void> {
    const { messages, events } = createdEvents(group, outcome)
    metrics.messages.inc(messages.size)
    searchIndex.note(Object.keys(outcome.members))
    // events leave before acknowledgments; the commit stands whatever becomes of them
    await fanout.toConversations(events).catch((error: unknown) => log.error({ err: error }, 'an event was not sent'))
    for (const [n, message] of messages) {
      const madeByServer = message.mentions || message.replyTo || message.forwardedFrom
      group[n]?.resolve({
        id: message.id,
        seq: message.seq,
        prevChange: message.change - 1,
        change: message.change,
        createdAt: message.createdAt,
        ...(madeByServer && { message }),
      })
    }
    for (const [n, { reject }] of group.entries()) {
      if (outcome.seqs[n] === undefined) reject(new Error('append_messages did not answer for a message: its version is not ours'))
    }
    const busy: Waiting[] = []
    for (const [n, why] of outcome.refused) {
      const item = group[n] as Waiting
      if (why !== 'busy') item.reject(refusals[why]())
      else if (performance.now() < item.deadline) busy.push(item)
      else item.reject(new AppError('unavailable', 'The conversation is held up by another change.'))
    }
    for (const [conversationId, items] of Map.groupBy(busy, ({ message }) => message.conversationId)) {
      putBack(conversationId, items)
    }
    await settleRepeated(group, outcome).catch((error: unknown) => {
      for (const { n } of outcome.repeated) group[n]?.reject(error)
    })
  }

  async function settleRepeated(group: Waiting[], outcome: Outcome): Promise<void> {
    for (const { n, same, id, seq, change, at } of outcome.repeated) {
      const { message, resolve, reject } = group[n] as Waiting
      if (!same) {
        reject(new AppError('idempotency_conflict', 'This clientId was used for another message.'))
        continue
      }
      const [row] = await database.query(
        sql<MessageRow>`
          select ${messageColumns} from messages m where m.conversation_id = ${message.conversationId} and m.id = ${id}`,
      )
      const current = row && presentMessage(row)
      resolve({ id, seq, prevChange: change - 1, change, createdAt: iso(at), duplicate: true, ...(current && { message: current }) })
    }
  }

  /** At the head of the line: they came before whatever waits now. */
  function putBack(conversationId: string, items: Waiting[]): void {
    waiting.set(conversationId, items.concat(waiting.get(conversationId) ?? []))
    held.add(conversationId)
    setTimeout(() => {
      held.delete(conversationId)
      schedule()
    }, lockRetryMs)
  }

  return {
    write: (message) =>
      new Promise((resolve, reject) => {
        const item = { message, resolve, reject, deadline: performance.now() + lockDeadlineMs }
        const queue = waiting.get(message.conversationId)
        if (queue) queue.push(item)
        else waiting.set(message.conversationId, [item])
        schedule()
      }),
    drain: () =>
      new Promise((settled) => {
        if (waiting.size === 0 && groups === 0) settled()
        else drained.push(settled)
      }),
  }
}

async function append(database: Database, group: Waiting[]): Promise<Outcome> {
  const batch = group.map(({ message }, n) => ({
    n,
    conversation: message.conversationId,
    sender: message.senderId,
    id: message.id,
    client: message.clientId,
    hash: message.clientHash,
    type: message.type,
    content: message.content,
    reply: message.replyToId,
    source: message.forward && { conversation: message.forward.conversationId, id: message.forward.messageId },
    names: message.names,
  }))
  const [row] = await database.query(sql<{ outcome: Outcome }>`select append_messages(${JSON.stringify(batch)}::json) as outcome`)
  return (row as { outcome: Outcome }).outcome
}

/** The stored messages as clients see them, by n, and one event a conversation with its messages in order of seq. */
function createdEvents(group: Waiting[], outcome: Outcome): { messages: Map<number, Message>; events: ConversationEvent[] } {
  const replies = new Map(outcome.replies.map((reply) => [reply.n, reply]))
  const forwards = new Map(outcome.forwards.map((forward) => [forward.n, forward]))
  const mentions = Map.groupBy(outcome.mentions, ([n]) => n)
  const createdAt = iso(outcome.at)

  const messages = new Map<number, Message>()
  const byConversation = new Map<string, { messages: Message[]; sockets: Set<string | undefined> }>()
  for (const [n, { message }] of group.entries()) {
    const seq = outcome.seqs[n] as number
    const change = outcome.changes[n] as number
    if (!seq) continue
    const reply = replies.get(n)
    const forward = forwards.get(n)
    const mentioned = mentions.get(n)
    const created: Message = {
      id: message.id,
      conversationId: message.conversationId,
      seq,
      change,
      clientId: message.clientId,
      senderId: message.senderId,
      role: 'user',
      type: forward?.type ?? message.type,
      content: forward?.content ?? message.content,
      ...(reply && {
        replyTo: { id: reply.id, seq: reply.seq, ...(reply.sender && { senderId: reply.sender }), excerpt: reply.excerpt },
      }),
      ...(forward && { forwardedFrom: forward.from }),
      ...(mentioned && { mentions: mentioned.map(([, userId]) => userId).sort() }),
      status: 'sent',
      createdAt,
    }
    messages.set(n, created)
    const event = byConversation.get(message.conversationId)
    if (event) event.messages.push(created), event.sockets.add(message.socketId)
    else byConversation.set(message.conversationId, { messages: [created], sockets: new Set([message.socketId]) })
  }

  const events = Array.from(byConversation, ([conversationId, event]) => ({
    conversationId,
    membersChange: Number(outcome.members[conversationId]),
    event: 'messages:created',
    payload: {
      conversationId,
      prevChange: (event.messages[0]?.change ?? 1) - 1,
      change: event.messages.at(-1)?.change ?? 0,
      messages: event.messages,
    },
    // only a socket that sent every message of the event goes without it
    exceptSocket: event.sockets.size === 1 ? [...event.sockets][0] : undefined,
  }))
  return { messages, events }
}
