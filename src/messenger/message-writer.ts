import { sql } from 'kysely'
import type { Logger } from 'pino'
import type { Database } from '../database/database.ts'
import { isUnavailable } from '../database/failures.ts'
import { AppError, notFound, unprocessable } from '../kernel/errors.ts'
import type { Metrics } from '../kernel/metrics.ts'
import type { Fanout, MediaUrls } from '../kernel/ports.ts'
import { createAppend, createdEvents } from './append-messages.ts'
import { iso, type MessageRow, messageColumns, presentMessage } from './message.presenter.ts'
import { createMessageQueue, type Waiting } from './message-queue.ts'
import type { Message, Sent } from './messenger.contract.ts'
import { writingForbidden } from './messenger.policy.ts'
import type { NewMessage, Outcome } from './new-message.ts'
import { createAppendPlain, isPlain } from './plain-messages.ts'
import type { SearchIndex } from './search-index.ts'

/** How long a message waits for a conversation that someone else has locked. */
const lockDeadlineMs = 5_000
const lockRetryMs = 5

/** From a group of this size on the server counts as loaded, and the next group is gathered for a moment. */
const loadedGroup = 8
const gatherMs = 2

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
   * @throws AppError not_found, forbidden, unprocessable, idempotency_conflict; unavailable where the database or the
   * conversation's lock cannot be had in time
   */
  write(message: NewMessage): Promise<Sent>
  /** From now on the listener is told, after a commit, in which conversations an agent may have to answer. */
  onAsked(listener: AskedListener): void
  /** Settles when nothing waits. */
  drain(): Promise<void>
}

/** Hears of conversations in which an agent may have to answer. What it throws is logged; the messages are stored. */
export type AskedListener = (conversationIds: string[]) => void | Promise<void>

const refusals = {
  absent: () => notFound('conversation'),
  reply: () => unprocessable('The message replied to is not in this conversation.'),
  source: () => notFound('message to forward'),
  blocked: writingForbidden,
  attachment: () => unprocessable('An attachment is no upload of yours.'),
  kind: () => unprocessable('The attachments are not of that type.'),
}

export function createMessageWriter(deps: {
  database: Database
  fanout: Pick<Fanout, 'toConversations'>
  searchIndex: Pick<SearchIndex, 'note'>
  urls: MediaUrls
  metrics: Metrics
  log: Logger
}): MessageWriter {
  const { database, fanout, searchIndex, urls, metrics, log } = deps
  /** Groups in flight at once; the embedded database has one connection. */
  const maxGroups = database.embedded ? 1 : 2
  const append = createAppend(database)
  const appendPlain = createAppendPlain(database)
  const queue = createMessageQueue<Sent>()
  let groups = 0
  let scheduled = false
  let lastSize = 0
  const drained: (() => void)[] = []
  const askedListeners: AskedListener[] = []

  function schedule(): void {
    if (scheduled || groups >= maxGroups) return
    scheduled = true
    // an idle server sends at once, after this turn's reads; under load, those who were just acknowledged send again soon
    if (lastSize < loadedGroup) setImmediate(start)
    else setTimeout(start, gatherMs)
  }

  function start(): void {
    scheduled = false
    for (let group = queue.take(); group.length > 0; group = groups < maxGroups ? queue.take() : []) {
      for (const part of byWay(group)) void handle(part)
    }
  }

  async function handle(group: Waiting<Sent>[]): Promise<void> {
    groups += 1
    lastSize = group.length
    const held = await settled(group)
    groups -= 1
    for (const { message } of group) if (!held.has(message.conversationId)) queue.release(message.conversationId)
    if (!queue.isEmpty()) schedule()
    else if (groups === 0) for (const settle of drained.splice(0)) settle()
  }

  /** Whatever happens, nobody waits for ever: to reject what is settled already changes nothing. */
  const settled = (group: Waiting<Sent>[]): Promise<Set<string>> =>
    commit(group).catch((error: unknown) => {
      for (const { reject } of group) reject(error)
      return new Set()
    })

  /** Stores a group and settles each of its messages. Returns the conversations that are to be tried again in a moment. */
  async function commit(group: Waiting<Sent>[], mayBePlain = true): Promise<Set<string>> {
    const messages = group.map(({ message }) => message)
    let outcome: Outcome
    let left: number[] = []
    const started = performance.now()
    try {
      if (mayBePlain && messages.every(isPlain)) ({ outcome, left } = await appendPlain(messages))
      else outcome = await append(messages)
    } catch (error) {
      return await divide(group, error)
    }
    if (left.length < group.length) {
      metrics.commit.observe((performance.now() - started) / 1000)
      metrics.batchSize.observe(group.length - left.length)
      await tell(group, outcome)
    }
    await settleRepeated(group, outcome)
    const held = settleRefused(group, outcome)
    if (left.length === 0) return held
    const rest = left.map((n) => group[n] as Waiting<Sent>)
    return new Set([...held, ...(await commit(rest, false))])
  }

  /** One message that the database cannot take must not fail the others: try by conversation, then one by one. */
  async function divide(group: Waiting<Sent>[], error: unknown): Promise<Set<string>> {
    if (group.length === 1 || isUnavailable(error)) {
      for (const { reject } of group) reject(error)
      return new Set()
    }
    log.warn({ err: error, messages: group.length }, 'a group of messages was not stored; its parts are tried alone')
    const byConversation = [...Map.groupBy(group, ({ message }) => message.conversationId).values()]
    const held: string[] = []
    for (const part of byConversation.length > 1 ? byConversation : group.map((one) => [one])) {
      held.push(...(await commit(part)))
    }
    return new Set(held)
  }

  /** Events leave before acknowledgments; the commit stands whatever becomes of them. */
  async function tell(group: Waiting<Sent>[], outcome: Outcome): Promise<void> {
    const { messages, events } = createdEvents(
      group.map(({ message }) => message),
      outcome,
      urls,
    )
    metrics.messages.inc(messages.size)
    searchIndex.note(Object.keys(outcome.members))
    await fanout.toConversations(events).catch((error: unknown) => log.error({ err: error }, 'an event was not sent'))
    for (const [n, message] of messages) group[n]?.resolve(acknowledgment(message))
    if (outcome.asked.length === 0) return
    // in a turn of its own: acknowledgments leave before it
    setImmediate(() => {
      for (const listener of askedListeners) void tellAsked(listener, outcome.asked)
    })
  }

  async function tellAsked(listener: AskedListener, conversationIds: string[]): Promise<void> {
    try {
      await listener(conversationIds)
    } catch (error) {
      log.error({ err: error }, 'who has agents answer did not take the news of messages')
    }
  }

  function settleRefused(group: Waiting<Sent>[], outcome: Outcome): Set<string> {
    const busy: Waiting<Sent>[] = []
    for (const [n, why] of outcome.refused) {
      const item = group[n] as Waiting<Sent>
      if (why !== 'busy') item.reject(refusals[why]())
      else if (performance.now() < item.deadline) busy.push(item)
      else item.reject(new AppError('unavailable', 'The conversation is held up by another change.'))
    }
    const byConversation = Map.groupBy(busy, ({ message }) => message.conversationId)
    for (const [conversationId, items] of byConversation) {
      queue.putBack(conversationId, items)
      setTimeout(() => {
        queue.release(conversationId)
        schedule()
      }, lockRetryMs)
    }
    return new Set(byConversation.keys())
  }

  async function settleRepeated(group: Waiting<Sent>[], outcome: Outcome): Promise<void> {
    for (const { n, same, id, seq, change, at } of outcome.repeated) {
      const { message, resolve, reject } = group[n] as Waiting<Sent>
      if (!same) {
        reject(new AppError('idempotency_conflict', 'This clientId was used for another message.'))
        continue
      }
      await currentMessage(message.conversationId, id).then(
        (current) =>
          resolve({ id, seq, prevChange: change - 1, change, createdAt: iso(at), duplicate: true, message: current }),
        reject,
      )
    }
  }

  async function currentMessage(conversationId: string, id: string): Promise<Message> {
    const [row] = await database.query(
      sql<MessageRow>`
        select ${messageColumns} from messages m where m.conversation_id = ${conversationId} and m.id = ${id}`,
    )
    return presentMessage(row as MessageRow, urls)
  }

  return {
    write: (message) =>
      new Promise((resolve, reject) => {
        queue.push({ message, resolve, reject, deadline: performance.now() + lockDeadlineMs })
        schedule()
      }),
    onAsked: (listener) => void askedListeners.push(listener),
    drain: () =>
      new Promise((settle) => {
        if (queue.isEmpty() && groups === 0) settle()
        else drained.push(settle)
      }),
  }
}

/** Conversations whose messages are all plain apart from the others, so that one mention does not slow down everyone. */
function byWay<T>(group: Waiting<T>[]): Waiting<T>[][] {
  const special = new Set<string>()
  for (const { message } of group) if (!isPlain(message)) special.add(message.conversationId)
  if (special.size === 0) return [group]
  return [...Map.groupBy(group, ({ message }) => special.has(message.conversationId)).values()]
}

function acknowledgment(message: Message): Sent {
  const { id, seq, change, createdAt } = message
  const madeByServer = message.attachments || message.mentions || message.replyTo || message.forwardedFrom
  return { id, seq, prevChange: change - 1, change, createdAt, ...(madeByServer && { message }) }
}
