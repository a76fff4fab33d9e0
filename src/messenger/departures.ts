import { sql } from 'kysely'
import type { Logger } from 'pino'
import type { Database } from '../database/database.ts'
import type { DomainEvents } from '../kernel/domain-events.ts'
import { AppError } from '../kernel/errors.ts'
import type { Fanout, Jobs, MediaUrls } from '../kernel/ports.ts'
import { lockConversation } from './conversation-lock.ts'
import { depart } from './departure.ts'
import type { DissolveIn } from './dissolution.ts'

const pageSize = 50
/** A job goes on for so long and leaves the rest to the next, so that those who wait for theirs have their turn. */
const longestTurnMs = 5_000

/**
 * When it is looked again for participations, in seconds after the deletion. In a minute whatever was under way at that
 * moment has ended, such as a conversation that the user was beginning. In 25 hours even the longest access token has
 * expired, and with it every socket on a node that could not hear of the deletion.
 */
const laterLooks = [60, 90_000]

interface Leaving {
  userId: string
}

/**
 * Takes users whose account is deleted out of their conversations. The deletion makes a job of it in its transaction; the
 * job ends one participation after the other, each in a short transaction with its own number of change and its event, so
 * it holds up nobody, and what it has not done yet when it is cut off is done by the next attempt, on whatever node.
 *
 * A group goes to an heir, as when its owner leaves; a conversation with no people left is deleted for good. Messages,
 * reactions and mentions stay.
 */
export function createDepartures(deps: {
  database: Database
  fanout: Pick<Fanout, 'leave' | 'dissolve' | 'toConversations' | 'toUsers'>
  events: DomainEvents
  jobs: Jobs
  urls: MediaUrls
  dissolveIn: DissolveIn
  log: Logger
  /** How long a job goes on, for tests. */
  turnMs?: number
}): void {
  const { database, fanout, events, jobs, log, turnMs = longestTurnMs } = deps

  const queue = jobs.define<Leaving>({
    name: 'leave-conversations',
    expireSeconds: 120,
    retries: 10,
    retryDelaySeconds: 2,
    handle: leaveAll,
  })

  events.on('user.deleting', async (em, { userId }) => {
    for (const startAfterSeconds of laterLooks) await queue.enqueue(em, { userId }, { startAfterSeconds })
    return queue.enqueue(em, { userId })
  })

  /** One conversation that cannot be left now does not hold up the others. */
  async function leaveAll({ userId }: Leaving, { signal }: { signal: AbortSignal }): Promise<void> {
    const end = Date.now() + turnMs
    let failure: unknown
    let after: string | undefined
    for (;;) {
      const ids = await conversationsOf(userId, after)
      if (ids.length === 0) break
      const outcomes = await leavePage(ids, userId)
      const failures = outcomes.filter((outcome) => outcome.status === 'rejected')
      failure ??= failures[0]?.reason
      if (failures.length === ids.length) break
      after = ids.at(-1)
      signal.throwIfAborted()
      if (Date.now() > end) return await goOnLater(userId)
    }
    if (failure) throw failure
  }

  async function goOnLater(userId: string): Promise<void> {
    const start = await database.transact((em) => queue.enqueue(em, { userId }))
    start()
  }

  async function conversationsOf(userId: string, after: string | undefined): Promise<string[]> {
    const rows = await database.query(
      sql<{ id: string }>`
        select c.id from participants p join conversations c on c.id = p.conversation_id
        where p.user_id = ${userId} and p.left_at is null and c.deleted_at is null
          ${after ? sql`and c.id > ${after}` : sql``}
        order by c.id limit ${pageSize}`,
    )
    return rows.map(({ id }) => id)
  }

  /** Leaves them in order; that the other nodes have done so is waited for once for all. */
  async function leavePage(ids: string[], userId: string): Promise<PromiseSettledResult<void>[]> {
    const told: Promise<void>[] = []
    const outcomes: PromiseSettledResult<void>[] = []
    for (const id of ids) {
      const [outcome] = await Promise.allSettled([leave(id, userId, told)])
      outcomes.push(outcome)
    }
    await Promise.all(told)
    return outcomes
  }

  async function leave(conversationId: string, userId: string, told: Promise<void>[]): Promise<void> {
    const departure = await database
      .transact(async (em) => depart(em, await lockConversation(em, conversationId, userId), userId, deps))
      .catch(unlessGone)
    if (!departure) return
    const { prevChange, change, prevMembersChange, participants, participantCount, dissolved } = departure
    if (dissolved) {
      told.push(fanout.dissolve(conversationId))
      fanout.toUsers(dissolved.userIds, 'conversation:removed', { conversationId })
      return await dissolved.letGo()
    }
    told.push(fanout.leave({ conversationId, userIds: [userId], prevMembersChange, membersChange: change }))
    const payload = { conversationId, prevChange, change, participants, participantCount }
    await fanout
      .toConversations([{ conversationId, membersChange: change, event: 'participants:changed', payload }])
      .catch((error: unknown) => log.error({ err: error, conversationId }, 'a departure was not told'))
  }
}

/** Deleted, or left already: by another attempt or by whoever removed the user. */
function unlessGone(error: unknown): undefined {
  if (error instanceof AppError && error.code === 'not_found') return undefined
  throw error
}
