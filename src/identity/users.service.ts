import { sql } from 'kysely'
import { type Connection, type Database, run } from '../database/database.ts'
import { notFound } from '../kernel/errors.ts'
import type { MediaUrls } from '../kernel/ports.ts'
import { notingSeen } from './activity.ts'
import type { User } from './identity.contract.ts'
import { hasBlock, isVisibleTo } from './meeting.ts'
import { presentUser, type UserRow } from './user.presenter.ts'

interface Search {
  query: string
  /** The lower-case username that the page before ended with. */
  cursor?: string | undefined
  limit: number
}

/** The columns of a UserRow. */
export const userColumns = sql`id, kind, username, display_name as "displayName", avatar_id as "avatarId"`

/** What others see and ask of users. */
export function createUsers(database: Database, urls: MediaUrls) {
  /**
   * Finds people and agents other than oneself by the beginning of their username or display name, without regard to case,
   * in the order of their usernames. Neither those who are deleted or banned are found, nor others' private agents.
   */
  async function search(
    userId: string,
    { query, cursor, limit }: Search,
  ): Promise<{ items: User[]; nextCursor?: string }> {
    const literal = escapeLike(query)
    // ~>~ and ~<~ compare bytes, the order that the index on lower(username) has under text_pattern_ops
    const rows = await database.query(sql<UserRow>`
      select ${userColumns} from users
      where (lower(username) like lower(${`${literal}%`}) or lower(display_name) like lower(${`${literal}%`}))
        and id <> ${userId} and deleted_at is null and banned_at is null and ${isVisibleTo(userId)}
        and ${cursor === undefined ? sql`true` : sql`lower(username) ~>~ ${cursor}`}
      order by lower(username) using ~<~ limit ${limit + 1}`)
    const items = rows.slice(0, limit).map((row) => presentUser(row, urls))
    const last = items.at(-1)
    return { items, ...(rows.length > limit && last && { nextCursor: last.username.toLowerCase() }) }
  }

  /** @throws AppError not_found, also where the user was deleted or is somebody else's private agent */
  async function get(userId: string, viewerId: string): Promise<User> {
    const [row] = await database.query(sql<UserRow>`
      select ${userColumns} from users where id = ${userId} and deleted_at is null and ${isVisibleTo(viewerId)}`)
    if (!row) throw notFound('user')
    return presentUser(row, urls)
  }

  /**
   * Which of these exist, are neither deleted nor banned, are no private agents of others than the viewer, and have no block
   * with the viewer, in either direction: with whom the viewer may begin something new.
   */
  async function activeAmong(em: Connection, userIds: string[], viewerId: string): Promise<Set<string>> {
    const rows = await run(
      em,
      sql<{ id: string }>`
        select id from users
        where id = any(${userIds}::uuid[]) and deleted_at is null and banned_at is null and ${isVisibleTo(viewerId)}
          and not ${hasBlock(sql`users.id`, viewerId)}`,
    )
    return new Set(rows.map(({ id }) => id))
  }

  /** Notes that the user is here now. */
  async function touchLastSeen(userId: string): Promise<void> {
    await database.query(notingSeen(userId))
  }

  return { search, get, activeAmong, touchLastSeen }
}

/** The text as it is, in a LIKE pattern: its metacharacters stand for themselves. */
export const escapeLike = (text: string): string => text.replaceAll(/[\\%_]/g, '\\$&')
