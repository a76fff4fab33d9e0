import { sql } from 'kysely'
import { type Connection, type Database, run } from '../database/database.ts'
import type { AfterCommit, DomainEvents } from '../kernel/domain-events.ts'
import type { AttachmentUse, Jobs } from '../kernel/ports.ts'
import type { Objects } from './objects.service.ts'

/** So many are looked at in one transaction. */
const batch = 50
/** When it is looked again for what a deleted user has: uploads that were under way have ended or are pending then. */
const lookAgainSeconds = 60

interface Taken {
  id: string
  ownerId: string | null
  bytes: number
  keys: string[]
}

export type Removal = ReturnType<typeof createRemoval>

/**
 * Removes attachments that nothing refers to: those whose `check_at` is due, when a reference ends, or by hand. The row
 * goes, its owner's quota comes back and its objects are marked in one transaction; the objects follow after the commit.
 * What a process that dies leaves undone the next round does.
 */
export function createRemoval(deps: {
  database: Database
  events: DomainEvents
  jobs: Jobs
  objects: Objects
  uses: readonly AttachmentUse[]
}) {
  const { database, events, jobs, objects, uses } = deps

  const round = async (_data: object, { signal }: { signal: AbortSignal }): Promise<void> => {
    await takeAll(sql`check_at <= now()`, signal)
    await objects.removeLeft(signal)
  }
  const attempts = { expireSeconds: 300, retries: 5, retryDelaySeconds: 5 }
  const released = jobs.define<Record<string, never>>({ name: 'media-released', ...attempts, handle: round })
  jobs.define({ name: 'media-tidy', expireSeconds: 300, retries: 0, schedule: '*/10 * * * *', handle: round })

  const departed = jobs.define<{ userId: string }>({
    name: 'media-of-deleted',
    ...attempts,
    async handle({ userId }, { signal }) {
      // what is pending is not finished without its owner; what is in use stays for the others, as nobody's
      await takeAll(sql`owner_id = ${userId} and status = 'ready'`, signal, sql`, owner_id = null`)
    },
  })
  events.on('user.deleting', async (em, { userId }) => {
    await run(em, sql`delete from media_usage where user_id = ${userId}`)
    await departed.enqueue(em, { userId }, { startAfterSeconds: lookAgainSeconds })
    return departed.enqueue(em, { userId })
  })

  async function takeAll(which: ReturnType<typeof sql>, signal: AbortSignal, keep = sql``): Promise<void> {
    for (let found = batch; found === batch; ) {
      signal.throwIfAborted()
      found = (await take(which, 'skip', keep)).found
    }
  }

  /**
   * Looks at some of these attachments, and removes those that nothing refers to.
   * @param locked whether to wait for those that somebody holds, or to leave them for the next time
   * @param keep what else is set in those that are in use
   */
  async function take(
    which: ReturnType<typeof sql>,
    locked: 'wait' | 'skip',
    keep = sql``,
  ): Promise<{ found: number; removed: number }> {
    const { found, removed, marked } = await database.transact(async (em) => {
      const taken = await run(
        em,
        sql<Taken>`
          select id, owner_id as "ownerId", (bytes + thumbnail_bytes)::float8 as bytes,
            array_remove(array[storage_key, thumbnail_key], null) as keys
          from attachments where ${which} limit ${batch} for update ${locked === 'skip' ? sql`skip locked` : sql``}`,
      )
      const used = await usedAmong(
        em,
        taken.map(({ id }) => id),
      )
      if (used.size > 0)
        await run(em, sql`update attachments set check_at = null ${keep} where id = any (${[...used]}::uuid[])`)
      const unused = taken.filter(({ id }) => !used.has(id))
      return { found: taken.length, removed: unused.length, marked: await drop(em, unused) }
    })
    await objects.remove(marked)
    return { found, removed }
  }

  async function usedAmong(em: Connection, ids: string[]): Promise<Set<string>> {
    const used = new Set<string>()
    if (ids.length === 0) return used
    for (const use of uses) for (const id of await use.usedAmong(em, ids)) used.add(id)
    return used
  }

  /** Removes rows that are locked; gives the keys of objects that are to go after the commit. */
  async function drop(em: Connection, taken: Taken[]): Promise<string[]> {
    if (taken.length === 0) return []
    const ids = taken.map(({ id }) => id)
    await run(em, sql`delete from attachments where id = any (${ids}::uuid[])`)
    // one after the other, always in the same order
    const owners = Map.groupBy(taken, ({ ownerId }) => ownerId)
    for (const ownerId of [...owners.keys()].sort()) {
      const bytes = owners.get(ownerId)?.reduce((sum, one) => sum + one.bytes, 0)
      await run(em, sql`update media_usage set bytes = bytes - ${bytes}::bigint where user_id = ${ownerId}::uuid`)
    }
    return await objects.mark(
      em,
      taken.flatMap(({ keys }) => keys),
    )
  }

  /** See `Attachments`. */
  async function release(em: Connection, ids: string[]): Promise<AfterCommit> {
    if (ids.length === 0) return () => {}
    await run(
      em,
      sql`
        update attachments set check_at = now() where id in (
          select id from attachments where id = any (${ids}::uuid[]) order by id for no key update
        )`,
    )
    return released.enqueue(em, {})
  }

  return { take, release }
}
