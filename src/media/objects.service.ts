import { setTimeout } from 'node:timers/promises'
import { sql } from 'kysely'
import type { Logger } from 'pino'
import { type Connection, type Database, run } from '../database/database.ts'
import { AppError } from '../kernel/errors.ts'
import type { ObjectStore } from '../kernel/ports.ts'

/** Who has marked objects removes them within the first of these, and nobody else does before the second. */
const ownSeconds = 60
const leftSeconds = 120
const batch = 50

/** How long an upload waits for an object of the same bytes that is being removed. */
const waitMs = 5_000
const pauseMs = 100

/** A file that is to become an object. */
export interface NewObject {
  key: string
  file: string
  bytes: number
  mime: string
}

export type Objects = ReturnType<typeof createObjects>

/** Rolls back the transaction that wanted to refer to an object which is marked. */
class BeingRemoved extends Error {}

/** The bytes of an object are named by their sum: equal ones are one object. */
export const keyOf = (sha256: string): string => `${sha256.slice(0, 2)}/${sha256}`

/**
 * Owns `media_objects` and the store behind it.
 *
 * Always holds: an object that a ready attachment refers to is in the store. Its row is there before it, and is referred to
 * from the transaction on that made it; who removes marks the row first, in a transaction that has locked it and found no
 * attachment to refer to it, and a marked row is not referred to any more. It goes when the object has gone.
 */
export function createObjects(deps: { database: Database; store: ObjectStore; log: Logger }) {
  const { database, store, log } = deps

  /**
   * Reserves the rows of objects, in a transaction that makes an attachment refer to them; gives those that are not in the
   * store as yet. To be called within `whenRemoved`.
   */
  async function reserve(em: Connection, wanted: NewObject[]): Promise<NewObject[]> {
    const missing: NewObject[] = []
    // always in the same order, so that two uploads of the same bytes wait for each other in one direction
    for (const object of wanted.toSorted((a, b) => (a.key < b.key ? -1 : 1))) {
      const [row] = await run(
        em,
        sql<{ stored: boolean; removing: boolean }>`
          insert into media_objects (key, bytes) values (${object.key}, ${object.bytes})
          on conflict (key) do update set bytes = excluded.bytes
          returning stored_at is not null as stored, removing_at is not null as removing`,
      )
      if (row?.removing) throw new BeingRemoved()
      if (!row?.stored) missing.push(object)
    }
    return missing
  }

  /**
   * Does what reserves objects, again while one of them is being removed.
   * @throws AppError unavailable where that takes too long
   */
  async function whenRemoved<T>(attempt: () => Promise<T>): Promise<T> {
    for (const end = Date.now() + waitMs; ; await setTimeout(pauseMs)) {
      try {
        return await attempt()
      } catch (error) {
        if (!(error instanceof BeingRemoved)) throw error
        if (Date.now() > end)
          throw new AppError('unavailable', 'The same file is being removed right now. Try again.', { cause: error })
      }
    }
  }

  /** Brings the files into the store. */
  async function put(missing: NewObject[]): Promise<void> {
    for (const { key, file, bytes, mime } of missing) await store.put(key, file, { bytes, mime })
  }

  /** Notes that these are in the store. */
  async function stored(em: Connection, keys: string[]): Promise<void> {
    await run(
      em,
      sql`
        update media_objects set stored_at = now() where key in (
          select key from media_objects where key = any (${keys}::text[]) and stored_at is null
          order by key for no key update
        )`,
    )
  }

  /** Marks those of these objects that nothing refers to, for `remove` after the commit; gives their keys. */
  async function mark(em: Connection, keys: string[]): Promise<string[]> {
    // what is referred to is looked at by a statement of its own, which sees whatever was committed before the lock
    await run(em, sql`select from media_objects where key = any (${keys}::text[]) order by key for update`)
    const marked = await run(
      em,
      sql<{ key: string }>`
        update media_objects o set removing_at = now()
        where key = any (${keys}::text[]) and removing_at is null
          and not exists (select from attachments a where a.storage_key = o.key)
          and not exists (select from attachments a where a.thumbnail_key = o.key)
        returning key`,
    )
    return marked.map(({ key }) => key)
  }

  /** Removes objects that the caller has marked a moment ago. What fails is left for `removeLeft`. */
  async function remove(marked: string[]): Promise<void> {
    const end = Date.now() + ownSeconds * 1000
    for (const key of marked) {
      // later somebody else may have removed it, and a third have brought it again
      if (Date.now() > end) return
      try {
        await store.remove(key)
        await database.query(sql`delete from media_objects where key = ${key} and removing_at is not null`)
      } catch (error) {
        log.warn({ err: error, key }, 'an object was not removed; it is tried again')
      }
    }
  }

  /** Removes what others had marked and have not removed. */
  async function removeLeft(signal: AbortSignal): Promise<void> {
    for (let found = batch; found === batch; ) {
      signal.throwIfAborted()
      const rows = await database.query(
        sql<{ key: string }>`
          update media_objects set removing_at = now() where key in (
            select key from media_objects where removing_at < now() - make_interval(secs => ${leftSeconds})
            limit ${batch} for update skip locked
          ) returning key`,
      )
      found = rows.length
      await remove(rows.map(({ key }) => key))
    }
  }

  return { reserve, whenRemoved, put, stored, mark, remove, removeLeft }
}
