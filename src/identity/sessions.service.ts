import { createHash, type KeyObject, randomBytes } from 'node:crypto'
import { type RawBuilder, sql } from 'kysely'
import type { Logger } from 'pino'
import { z } from 'zod'
import { type Connection, type Database, run } from '../database/database.ts'
import { decodeCursor, encodeCursor, keyId, keyTime, keyTimeOf } from '../kernel/cursors.ts'
import { notFound } from '../kernel/errors.ts'
import { newId } from '../kernel/ids.ts'
import type { Actor, Context, Role } from '../kernel/operation.ts'
import type { Fanout } from '../kernel/ports.ts'
import { signAccessToken } from './access-token.ts'
import { notingSeen } from './activity.ts'
import { deviceOf } from './device.ts'
import type { Tokens } from './identity.contract.ts'
import { banned, loginEnded, wrongCredentials } from './identity.errors.ts'
import { type LoginRow, presentSession } from './session.presenter.ts'
import type { LoginSession } from './sessions.contract.ts'

/** A login that is not refreshed for so long ends. */
export const refreshTokenDays = 7

/**
 * Two tabs share one stored token and may refresh at once: for so long after its trade a token still gets a successor.
 * Later it can only be a copy that someone else holds.
 */
const graceSeconds = 10

/** A login's place in the list: when it was used last, and its id. */
const listKey = z.tuple([keyTime, keyId])

interface SessionsDependencies {
  database: Database
  fanout: Pick<Fanout, 'closeSessions'>
  log: Logger
  key: KeyObject
  accessTokenSeconds: number
}

export type Sessions = ReturnType<typeof createSessions>

/**
 * Owns `refresh_tokens`. A login is a family of refresh tokens: each is traded for the next, and the family's id is the
 * session id of its access tokens. Always holds: whatever adds or revokes tokens has locked the user's row first. So a
 * revocation sees every token of its family; under locks on the tokens alone, one that is just being traded would leave
 * a successor behind, which the revocation does not see.
 */
export function createSessions({ database, fanout, log, key, accessTokenSeconds }: SessionsDependencies) {
  /**
   * Begins a login for a user who has proved who they are. `proof`: by a password that was checked against this hash, before
   * the transaction; one that was changed meanwhile proves nothing.
   * @throws AppError unauthenticated where the user was deleted or the password changed meanwhile, banned
   */
  async function open(
    em: Connection,
    userId: string,
    context: Context,
    proof?: { passwordHash: string | null },
  ): Promise<Tokens> {
    const user = await lockUser(em, sql`${userId}`)
    if (!user) throw loginEnded()
    if (proof && proof.passwordHash !== user.passwordHash) throw wrongCredentials()
    if (user.banned) throw banned(user.banReason)
    return issue(em, { userId, kind: 'human', sessionId: newId(), role: user.role }, context)
  }

  /**
   * Trades a refresh token for its successor and a new access token. Where one was traded longer ago than the grace, its
   * owner or a thief holds the successor, and nobody can tell who of them is asking: the login ends, with its sockets.
   * @throws AppError unauthenticated; banned also where the ban has ended the login already
   */
  async function refresh(refreshToken: string, context: Context): Promise<Tokens> {
    const tokenHash = hashOf(refreshToken)
    const outcome = await database.transact(async (em) => {
      const user = await lockUser(em, sql`(select user_id from refresh_tokens where token_hash = ${tokenHash})`)
      const [token] = await run(
        em,
        sql<{ familyId: string; live: boolean; replayed: boolean }>`
          select family_id as "familyId", revoked_at is null and expires_at > now() as live,
            coalesce(rotated_at < now() - make_interval(secs => ${graceSeconds}), false) as replayed
          from refresh_tokens where token_hash = ${tokenHash}`,
      )
      if (user?.banned) throw banned(user.banReason)
      if (!user || !token?.live) throw loginEnded()
      // returned, not thrown: the revocation has to be committed
      if (token.replayed)
        return { stolen: { userId: user.id, ...(await revoke(em, user.id, sql`family_id = ${token.familyId}`)) } }
      // the first trade counts: the grace does not start anew with each use
      await run(
        em,
        sql`
          update refresh_tokens set rotated_at = coalesce(rotated_at, now()) where token_hash = ${tokenHash}`,
      )
      const actor: Actor = { userId: user.id, kind: 'human', sessionId: token.familyId, role: user.role }
      return { tokens: await issue(em, actor, context, tokenHash) }
    })
    if (outcome.tokens) return outcome.tokens

    log.warn(outcome.stolen, 'a refresh token was used again after its trade: the login is revoked')
    fanout.closeSessions(outcome.stolen.sessionIds)
    throw loginEnded()
  }

  /** Ends the logins of the user that `which` says, then their sockets, on every node. Returns whether any went on. */
  async function endThose(userId: string, which: RawBuilder<unknown>): Promise<boolean> {
    const { sessionIds } = await database.transact(async (em) => {
      await lockUser(em, sql`${userId}`)
      return revoke(em, userId, which)
    })
    fanout.closeSessions(sessionIds)
    return sessionIds.length > 0
  }

  /** Ends the login that the actor speaks through, or every login of theirs; then their sockets, on every node. */
  async function close({ userId, sessionId }: Actor, which: 'this' | 'all'): Promise<void> {
    await endThose(userId, which === 'this' ? sql`family_id = ${sessionId}` : sql`true`)
  }

  /**
   * Ends one of the user's logins and its sockets, on every node.
   * @throws AppError not_found for a login of someone else, and for one that has ended
   */
  async function end(userId: string, sessionId: string): Promise<void> {
    const ended = await endThose(userId, sql`family_id = ${sessionId} and expires_at > now()`)
    if (!ended) throw notFound('session')
  }

  /**
   * Ends every login of the user but that one, in the transaction of what made it necessary. The user's row is locked
   * from here on. What it returns ends their sockets, after the commit.
   */
  async function endAll(em: Connection, userId: string, exceptSessionId?: string): Promise<() => void> {
    await lockUser(em, sql`${userId}`)
    const { sessionIds } = await revoke(em, userId, exceptSessionId ? sql`family_id <> ${exceptSessionId}` : sql`true`)
    return () => fanout.closeSessions(sessionIds)
  }

  /**
   * The user's logins that go on, as their newest tokens say; the one used last first.
   * @throws AppError invalid_request for a cursor that is not of this list
   */
  async function list(
    { userId, sessionId }: Actor,
    { cursor, limit }: { cursor?: string | undefined; limit: number },
  ): Promise<{ items: LoginSession[]; nextCursor?: string }> {
    const after = cursor === undefined ? undefined : decodeCursor(cursor, listKey)
    const rows = await database.query(sql<LoginRow & { place: string }>`
      select id, device, "loggedInAt", "lastUsedAt", "expiresAt", ${keyTimeOf('lastUsedAt')} as place from (
        select distinct on (family_id) family_id as id, device, logged_in_at as "loggedInAt",
          created_at as "lastUsedAt", expires_at as "expiresAt"
        from refresh_tokens
        where user_id = ${userId} and revoked_at is null and expires_at > now()
        order by family_id, created_at desc
      ) login
      where ${after ? sql`("lastUsedAt", id) < (${after[0]}::timestamptz, ${after[1]}::uuid)` : sql`true`}
      order by "lastUsedAt" desc, id desc limit ${limit + 1}`)
    const page = rows.slice(0, limit)
    const last = page.at(-1)
    const items = page.map((row) => presentSession(row, sessionId))
    return { items, ...(rows.length > limit && last && { nextCursor: encodeCursor([last.place, last.id]) }) }
  }

  /**
   * Adds a token to a family, with what stays from the one that it is traded for: when the login began, and what the device
   * calls itself where it does not say so again. The user's row is locked. Expired tokens of the user go: nothing asks
   * for them again.
   */
  async function issue(em: Connection, actor: Actor, context: Context, tradedHash?: Buffer): Promise<Tokens> {
    const refreshToken = randomBytes(32).toString('base64url')
    const ofTraded = (what: RawBuilder<unknown>) =>
      tradedHash ? sql`(select ${what} from refresh_tokens where token_hash = ${tradedHash})` : sql`null`
    const ownName = ofTraded(sql`jsonb_strip_nulls(jsonb_build_object('name', device->'name'))`)
    await run(
      em,
      sql`
        with expired as (delete from refresh_tokens where user_id = ${actor.userId} and expires_at <= now())
        insert into refresh_tokens (token_hash, user_id, family_id, device, logged_in_at, expires_at)
        values (${hashOf(refreshToken)}, ${actor.userId}, ${actor.sessionId},
          coalesce(${ownName}, '{}'::jsonb) || ${JSON.stringify(deviceOf(context))}::jsonb,
          coalesce(${ofTraded(sql`logged_in_at`)}, now()),
          now() + make_interval(days => ${refreshTokenDays}))`,
    )
    await run(em, notingSeen(actor.userId))
    return {
      accessToken: signAccessToken(key, actor, accessTokenSeconds),
      expiresIn: accessTokenSeconds,
      refreshToken,
    }
  }

  return { open, refresh, list, end, close, endAll }
}

interface LockedUser {
  id: string
  role: Role
  banned: boolean
  banReason: string | null
  passwordHash: string | null
}

/** Locks the user's row against other work on their logins; what merely refers to the user goes on. */
async function lockUser(em: Connection, id: ReturnType<typeof sql>): Promise<LockedUser | undefined> {
  const [user] = await run(
    em,
    sql<LockedUser>`
      select id, role, banned_at is not null as banned, ban_reason as "banReason", password_hash as "passwordHash"
      from users where id = ${id} and deleted_at is null for no key update`,
  )
  return user
}

/** Revokes those of the user's tokens that `which` says; returns the ids of the families that were live. The user's row is locked. */
async function revoke(em: Connection, userId: string, which: RawBuilder<unknown>): Promise<{ sessionIds: string[] }> {
  const rows = await run(
    em,
    sql<{ familyId: string }>`
      update refresh_tokens set revoked_at = now()
      where user_id = ${userId} and revoked_at is null and ${which}
      returning family_id as "familyId"`,
  )
  return { sessionIds: [...new Set(rows.map((row) => row.familyId))] }
}

/**
 * A refresh token as the database knows it. SHA-256 without salt is enough for 256 random bits, and looking it up by index
 * needs no constant time: what the timing may tell is about the hash, which does not lead back to a token.
 */
const hashOf = (refreshToken: string): Buffer => createHash('sha256').update(refreshToken).digest()
