import { sql } from 'kysely'
import type { Logger } from 'pino'
import type { Database } from '../database/database.ts'

const pauseMs = 1_000
/** The index takes at most this part of one connection's time, so that under load the messages come first. */
const share = 0.05
const conversationsAtOnce = 100
const messagesOfOne = 200
/** What a node that died had noted is found by looking for it. */
const searchForBacklogMs = 600_000

/**
 * Keeps the words of messages for search. They are taken from a message some seconds after it was stored: an index of
 * words is the dearest part of storing a message, and dear in another way when it is filled in larger steps. Search
 * reads what is not in the index yet from the messages themselves, so it misses nothing, however far behind this is.
 */
export function createSearchIndex({ database, log }: { database: Database; log: Logger }) {
  const noted = new Set<string>()
  let timer: NodeJS.Timeout | undefined
  let nextLook = 0
  let closed = false
  let working: Promise<void> = Promise.resolve()

  async function work(): Promise<void> {
    const started = performance.now()
    try {
      if (Date.now() >= nextLook) {
        nextLook = Date.now() + searchForBacklogMs
        for (const id of await backlog(database)) noted.add(id)
      }
      const ids = [...noted].slice(0, conversationsAtOnce)
      for (const id of ids) noted.delete(id)
      for (const id of await advance(database, ids)) noted.add(id)
    } catch (error) {
      log.warn({ err: error }, 'the search index was not brought up to date; it is tried again')
      nextLook = 0
    }
    const took = performance.now() - started
    const idle = noted.size > 0 ? 0 : pauseMs
    if (!closed) timer = setTimeout(start, Math.max(idle, took / share - took)).unref()
  }

  function start(): void {
    working = work()
  }

  timer = setTimeout(start, pauseMs).unref()
  return {
    /** Says that messages of these conversations were stored or changed. */
    note(conversationIds: Iterable<string>): void {
      for (const id of conversationIds) noted.add(id)
    },
    async close(): Promise<void> {
      closed = true
      clearTimeout(timer)
      await working
    },
  }
}

export type SearchIndex = ReturnType<typeof createSearchIndex>

async function backlog(database: Database): Promise<string[]> {
  const rows = await database.query(
    sql<{ id: string }>`
      select c.id from conversations c left join search_positions s on s.conversation_id = c.id
      where c.last_change > coalesce(s.change, 0) and c.last_seq > 0 limit 10000`,
  )
  return rows.map(({ id }) => id)
}

/** Brings these conversations forward by a bounded step; returns those that are not at their end. */
async function advance(database: Database, ids: string[]): Promise<string[]> {
  if (ids.length === 0) return []
  await database.query(
    sql`insert into search_positions (conversation_id, change)
      select c.id, 0 from conversations c where c.id = any (${ids}::uuid[]) on conflict do nothing`,
  )
  // another node that is at one of them does it as well as this one would
  const rows = await database.query(
    sql<{ id: string; more: boolean }>`
      with place as (
        select s.conversation_id, s.change, c.last_change
        from search_positions s join conversations c on c.id = s.conversation_id
        where s.conversation_id = any (${ids}::uuid[]) and c.last_change > s.change
        order by s.conversation_id for no key update of s skip locked
      ), changed as materialized (
        select p.last_change, m.* from place p cross join lateral (
          select conversation_id, seq, change, content, deleted_at from messages
          where conversation_id = p.conversation_id and change > p.change
          order by change limit ${sql.lit(messagesOfOne)}
        ) m
      ), dropped as (
        delete from message_search w using changed m
        where w.conversation_id = m.conversation_id and w.seq = m.seq and m.deleted_at is not null
      ), written as (
        insert into message_search (conversation_id, seq, words)
        select conversation_id, seq, to_tsvector('simple', content) from changed where deleted_at is null
        on conflict (conversation_id, seq) do update set words = excluded.words
      ), reached as (
        select p.conversation_id, p.last_change,
          case when count(m.seq) < ${sql.lit(messagesOfOne)} then p.last_change else max(m.change) end as change
        from place p left join changed m on m.conversation_id = p.conversation_id
        group by p.conversation_id, p.last_change
      )
      update search_positions s set change = r.change from reached r where s.conversation_id = r.conversation_id
      returning s.conversation_id as id, r.change < r.last_change as more`,
  )
  return rows.filter(({ more }) => more).map(({ id }) => id)
}
