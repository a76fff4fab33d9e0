import { createHash, type KeyObject, randomBytes } from 'node:crypto'
import { type RawBuilder, sql } from 'kysely'
import type { Logger } from 'pino'
import { type Connection, type Database, run } from '../database/database.ts'
import { newId } from '../kernel/ids.ts'
import type { Actor, Context, Role } from '../kernel/operation.ts'
import type { Fanout } from '../kernel/ports.ts'
import { signAccessToken } from './access-token.ts'
import type { Tokens } from './identity.contract.ts'
import { banned, loginEnded } from './identity.errors.ts'

/** A login that is not refreshed for so long ends. */
export const refreshTokenDays = 7

/**
 * Two tabs share one stored token and may refresh at once: for so long after its trade a token still gets a successor.
 * Later it can only be a copy that someone else holds.
 */
const graceSeconds = 10

/** Header fields may be of 16 KB; the longest of real browsers are near 300 characters. */
const maxUserAgentLength = 400

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
   * Begins a login for a user who has proved who they are.
   * @throws AppError unauthenticated where the user was deleted meanwhile, banned
   */
  async function open(em: Connection, userId: string, context: Context): Promise<Tokens> {
    const user = await lockUser(em, sql`${userId}`)
    if (!user) throw loginEnded()
    if (user.banned) throw banned()
    return issue(em, { userId, sessionId: newId(), role: user.role }, context)
  }

  /**
   * Trades a refresh token for its successor and a new access token. Where one was traded longer ago than the grace, its
   * owner or a thief holds the successor, and nobody can tell who of them is asking: the login ends, with its sockets.
   * @throws AppError unauthenticated, banned
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
      if (!user || !token?.live) throw loginEnded()
      // returned, not thrown: the revocation has to be committed
      if (token.replayed)
        return { stolen: { userId: user.id, ...(await revoke(em, user.id, sql`family_id = ${token.familyId}`)) } }
      if (user.banned) throw banned()
      // the first trade counts: the grace does not start anew with each use
      await run(
        em,
        sql`
          update refresh_tokens set rotated_at = coalesce(rotated_at, now()) where token_hash = ${tokenHash}`,
      )
      return { tokens: await issue(em, { userId: user.id, sessionId: token.familyId, role: user.role }, context) }
    })
    if (outcome.tokens) return outcome.tokens

    log.warn(outcome.stolen, 'a refresh token was used again after its trade: the login is revoked')
    fanout.closeSessions(outcome.stolen.sessionIds)
    throw loginEnded()
  }

  /** Ends the login that the actor speaks through, or every login of theirs; then their sockets, on every node. */
  async function close({ userId, sessionId }: Actor, which: 'this' | 'all'): Promise<void> {
    const { sessionIds } = await database.transact(async (em) => {
      await lockUser(em, sql`${userId}`)
      return revoke(em, userId, which === 'this' ? sql`family_id = ${sessionId}` : sql`true`)
    })
    fanout.closeSessions(sessionIds)
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

  /** Adds a token to a family. The user's row is locked. Expired tokens of the user go: nothing asks for them again. */
  async function issue(em: Connection, actor: Actor, { userAgent, ip }: Context): Promise<Tokens> {
    const refreshToken = randomBytes(32).toString('base64url')
    const device = { ...(userAgent && { userAgent: userAgent.slice(0, maxUserAgentLength) }), ip }
    await run(
      em,
      sql`
        with expired as (delete from refresh_tokens where user_id = ${actor.userId} and expires_at <= now())
        insert into refresh_tokens (token_hash, user_id, family_id, device, logged_in_at, expires_at)
        values (${hashOf(refreshToken)}, ${actor.userId}, ${actor.sessionId}, ${JSON.stringify(device)}::jsonb,
          coalesce((select min(logged_in_at) from refresh_tokens where family_id = ${actor.sessionId}), now()),
          now() + make_interval(days => ${refreshTokenDays}))`,
    )
    return {
      accessToken: signAccessToken(key, actor, accessTokenSeconds),
      expiresIn: accessTokenSeconds,
      refreshToken,
    }
  }

  return { open, refresh, close, endAll }
}

interface LockedUser {
  id: string
  role: Role
  banned: boolean
}

/** Locks the user's row against other work on their logins; what merely refers to the user goes on. */
async function lockUser(em: Connection, id: ReturnType<typeof sql>): Promise<LockedUser | undefined> {
  const [user] = await run(
    em,
    sql<LockedUser>`
      select id, role, banned_at is not null as banned from users
      where id = ${id} and deleted_at is null for no key update`,
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
