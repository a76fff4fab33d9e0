import type { KeyObject } from 'node:crypto'
import { sql } from 'kysely'
import type { Logger } from 'pino'
import type { Database } from '../database/database.ts'
import type { Role } from '../kernel/operation.ts'
import type { Authentication, Authenticator } from '../kernel/ports.ts'
import { type Claims, verifyAccessToken } from './access-token.ts'
import { isUnseen, notingSeen } from './activity.ts'
import { banned, loginEnded } from './identity.errors.ts'

/** The second half of authentication: whether the login behind a verified token still stands. */
export interface LoginCheck {
  /** @throws AppError unauthenticated, banned, unavailable */
  accept(claims: Claims): Promise<Authentication>
}

/**
 * Builds the verification of access tokens. A token is good while its login has a refresh token that is neither revoked
 * nor expired, and its user is neither deleted nor banned; all of it is read in one statement each time, so that a
 * revocation counts at once on every node. The role is the user's present one, not the one at the time of signing.
 * Whoever is let in is here: that is noted, every few minutes.
 */
export function createAuthenticator(database: Database, key: KeyObject, log: Logger): Authenticator & LoginCheck {
  async function accept({ sub: userId, sid: sessionId, exp }: Claims): Promise<Authentication> {
    const [user] = await database.query(sql<{
      role: Role
      banned: boolean
      banReason: string | null
      live: boolean
      unseen: boolean
    }>`
      select role, banned_at is not null as banned, ban_reason as "banReason", ${isUnseen} as unseen, exists (
        select from refresh_tokens t
        where t.family_id = ${sessionId} and t.user_id = u.id and t.revoked_at is null and t.expires_at > now()
      ) as live
      from users u where id = ${userId} and deleted_at is null`)
    // before the rest: whoever is banned hears so, even though the ban ended the login as well
    if (user?.banned) throw banned(user.banReason)
    if (!user?.live) throw loginEnded()
    if (user.unseen) await noteSeen(userId)
    return { actor: { userId, kind: 'human', sessionId, role: user.role }, expiresAt: new Date(exp * 1000) }
  }

  /** For the figures: no reason to keep anyone out. */
  async function noteSeen(userId: string): Promise<void> {
    await database
      .query(notingSeen(userId))
      .catch((error: unknown) => log.warn({ err: error, userId }, 'it was not noted that a user is here'))
  }

  return {
    accept,
    authenticate: async (accessToken) => accept(verifyAccessToken(key, accessToken)),

    async liveSessions(sessionIds) {
      const live = await database.query(sql<{ id: string }>`
        select distinct t.family_id as id from refresh_tokens t join users u on u.id = t.user_id
        where t.family_id = any(${sessionIds}::uuid[]) and t.revoked_at is null and t.expires_at > now()
          and u.deleted_at is null and u.banned_at is null`)
      return new Set(live.map(({ id }) => id))
    },
  }
}
