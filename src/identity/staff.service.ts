import { sql } from 'kysely'
import type { Logger } from 'pino'
import { z } from 'zod'
import { type Connection, type Database, run } from '../database/database.ts'
import { decodeCursor, encodeCursor } from '../kernel/cursors.ts'
import { forbidden, notFound, unprocessable } from '../kernel/errors.ts'
import type { UserContext } from '../kernel/operation.ts'
import type { Fanout, Jobs, MediaUrls } from '../kernel/ports.ts'
import { text } from '../kernel/primitives.ts'
import type { Sessions } from './sessions.service.ts'
import type { StaffUser, staffContract } from './staff.contract.ts'
import { assertMayBan, assertMaySetRole, type Person } from './staff.policy.ts'
import { presentStaffUser, type StaffRow } from './user.presenter.ts'
import { escapeLike } from './users.service.ts'

interface StaffDependencies {
  database: Database
  urls: MediaUrls
  sessions: Pick<Sessions, 'endAll'>
  fanout: Pick<Fanout, 'closeUsers'>
  jobs: Jobs
  /** Called with the id of who was banned, once or more, after the commit. */
  bans: ((userId: string) => Promise<void>)[]
  log: Logger
}

type Input<Name extends keyof typeof staffContract> = z.output<(typeof staffContract)[Name]['input']>

/** The columns of a StaffRow. */
const columns = sql`id, kind, username, display_name as "displayName", avatar_id as "avatarId", email, role,
  email_verified_at is not null as verified, banned_at as "bannedAt", ban_reason as "banReason",
  created_at as "createdAt", last_seen_at as "lastSeenAt", deleted_at as "deletedAt"`

type Locked = Person & { kind: string }

/** A place in the list: the username in lower case. */
const listKey = z.tuple([text(64)])

/** When the sockets of who was banned are closed once more. */
const closeAgainSeconds = 5

/**
 * What staff see of accounts and do about them. Who may act on whom is decided by the policy, on the roles as they are
 * under the locks of both rows: of two who act on each other at once, the second finds what the first has made of it.
 */
export function createStaff({ database, urls, sessions, fanout, jobs, bans, log }: StaffDependencies) {
  /** For the case that the node dies between the commit and its word to the others, or that a handshake was under way. */
  const closing = jobs.define<{ userId: string }>({
    name: 'user-banned',
    expireSeconds: 60,
    retries: 5,
    async handle({ userId }) {
      const [user] = await database.query(sql<{ reason: string }>`
        select ban_reason as reason from users where id = ${userId} and banned_at is not null`)
      if (user) await close(userId, user.reason)
    },
  })

  async function close(userId: string, reason: string): Promise<void> {
    fanout.closeUsers([userId], { event: 'notification', payload: { kind: 'banned', reason } })
    for (const follow of bans) await follow(userId)
  }

  /**
   * Deleted and banned accounts are found as well.
   * @throws AppError invalid_request for a cursor that is not of this list
   */
  async function list({ query, cursor, limit }: Input<'staff:users'>) {
    const begins = `${escapeLike(query ?? '')}%`
    const isFound =
      query === undefined
        ? sql`true`
        : sql`(lower(username) like lower(${begins}) or lower(display_name) like lower(${begins})
            or lower(email) = lower(${query}))`
    const after = cursor === undefined ? undefined : decodeCursor(cursor, listKey)[0]
    const rows = await database.query(sql<StaffRow>`
      select ${columns} from users
      where ${isFound} and ${after === undefined ? sql`true` : sql`lower(username) ~>~ ${after}`}
      order by lower(username) using ~<~ limit ${limit + 1}`)
    const page = rows.slice(0, limit)
    const last = page.at(-1)
    return {
      items: page.map((row) => presentStaffUser(row, urls)),
      ...(rows.length > limit && last && { nextCursor: encodeCursor([last.username.toLowerCase()]) }),
    }
  }

  async function get({ userId }: Input<'staff:user'>): Promise<StaffUser> {
    const [row] = await database.query(sql<StaffRow>`select ${columns} from users where id = ${userId}`)
    if (!row) throw notFound('user')
    return presentStaffUser(row, urls)
  }

  /** Ends all logins and sockets of someone, and tells them why. A repeat keeps the time of the first ban. */
  async function ban({ userId, reason }: Input<'staff:ban'>, { actor }: UserContext): Promise<StaffUser> {
    const row = await database.transact(async (em) => {
      const { by, target } = await lockBoth(em, actor.userId, userId)
      assertMayBan(by, target)
      await sessions.endAll(em, userId)
      await closing.enqueue(em, { userId }, { startAfterSeconds: closeAgainSeconds })
      return change(em, userId, sql`banned_at = coalesce(banned_at, now()), ban_reason = ${reason}`)
    })
    // in place of what `endAll` returns: that would close the sockets without a word
    await close(userId, reason).catch((error: unknown) =>
      log.warn({ err: error, userId }, 'what follows from a ban is not done yet; the job does it'),
    )
    log.info({ actorId: actor.userId, userId }, 'a user was banned')
    return presentStaffUser(row, urls)
  }

  async function unban({ userId }: Input<'staff:unban'>, { actor }: UserContext): Promise<StaffUser> {
    const row = await database.transact(async (em) => {
      const { by, target } = await lockBoth(em, actor.userId, userId)
      assertMayBan(by, target)
      return change(em, userId, sql`banned_at = null, ban_reason = null`)
    })
    log.info({ actorId: actor.userId, userId }, 'the ban of a user was taken back')
    return presentStaffUser(row, urls)
  }

  async function setRole({ userId, role }: Input<'staff:set-role'>, { actor }: UserContext): Promise<StaffUser> {
    const { row, before } = await database.transact(async (em) => {
      const { by, target } = await lockBoth(em, actor.userId, userId)
      assertMaySetRole(by, target, role)
      if (target.kind !== 'human') throw unprocessable('Only people have roles.')
      return { row: await change(em, userId, sql`role = ${role}`), before: target.role }
    })
    log.info({ actorId: actor.userId, userId, before, role }, 'the role of a user was changed')
    return presentStaffUser(row, urls)
  }

  return { list, get, ban, unban, setRole }
}

/**
 * Locks the rows of who acts and of whom it is about, in the order of their ids.
 * @throws AppError not_found where the latter is deleted, forbidden where the former is no longer one to act
 */
async function lockBoth(em: Connection, actorId: string, userId: string): Promise<{ by: Locked; target: Locked }> {
  const rows = await run(
    em,
    sql<Locked & { gone: boolean; banned: boolean }>`
      select id, role, kind, deleted_at is not null as gone, banned_at is not null as banned from users
      where id in (${actorId}, ${userId}) order by id for no key update`,
  )
  const by = rows.find(({ id }) => id === actorId)
  const target = rows.find(({ id }) => id === userId)
  if (!by || by.gone || by.banned) throw forbidden('You are no longer one of the staff.')
  if (!target || target.gone) throw notFound('user')
  return { by, target }
}

async function change(em: Connection, userId: string, values: ReturnType<typeof sql>): Promise<StaffRow> {
  const [row] = await run(em, sql<StaffRow>`update users set ${values} where id = ${userId} returning ${columns}`)
  if (!row) throw notFound('user')
  return row
}
