import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { type Connection, type Database, run } from '../database/database.ts'
import { brokenUnique } from '../database/failures.ts'
import type { AfterCommit, DomainEvents } from '../kernel/domain-events.ts'
import { unprocessable } from '../kernel/errors.ts'
import type { Actor } from '../kernel/operation.ts'
import type { Attachments, Fanout, Guesses, Jobs } from '../kernel/ports.ts'
import { releaseAvatar } from './avatars.ts'
import { lockProved, type Proof, proveIt } from './fresh-proof.ts'

/** What of identity's is the user's alone. */
const ownTables = [
  'refresh_tokens',
  'user_identities',
  'one_time_codes',
  'user_preferences',
  'user_activity',
  'data_exports',
] as const

export type AccountDeletion = ReturnType<typeof createAccountDeletion>

/** When sockets are closed once more, for the case that this node dies between the commit and its word to the others. */
const closeAgainSeconds = 5

/**
 * Ends accounts. The row of the user stays, since messages and conversations refer to it, and says nothing of the person
 * any more. When the answer comes, nobody can log in to the account or act by its tokens on any node, its name and address
 * are free, and its sockets are told and closed. What the other features hold goes in their own time: they take part in
 * the transaction by `user.deleting`, and do there what is short, such as making a job of the rest.
 *
 * Agents end as people do; what has to be proved before is another's to say.
 */
export function createAccountDeletion(deps: {
  database: Database
  events: DomainEvents
  fanout: Pick<Fanout, 'closeUsers'>
  jobs: Jobs
  guesses: Guesses
  attachments: Pick<Attachments, 'release'>
}) {
  const { database, events, fanout, jobs, guesses, attachments } = deps

  const close = (userId: string): void =>
    fanout.closeUsers([userId], { event: 'notification', payload: { kind: 'account_deleted' } })

  const closing = jobs.define<{ userId: string }>({
    name: 'account-deleted',
    expireSeconds: 60,
    retries: 5,
    handle: async ({ userId }) => close(userId),
  })

  /** Undefined where another request was first. */
  async function endProved(
    em: Connection,
    actor: Actor,
    proof: Proof,
    username: string,
  ): Promise<AfterCommit | undefined> {
    const { isDeleted, isLastSuperAdmin } = await lockForGood(em, actor.userId)
    if (isDeleted) return undefined
    await lockProved(em, actor, proof)
    if (isLastSuperAdmin) throw unprocessable('The last super admin cannot go: make someone else one first.')
    return end(em, actor.userId, username)
  }

  /** Ends a user whose row is locked for good; under that name the row stays. */
  async function end(em: Connection, userId: string, username: string): Promise<AfterCommit> {
    // first, so that subscribers can still read what goes
    const afterCommit = await events.publish(em, 'user.deleting', { userId })
    const [avatar] = await run(em, sql<{ id: string | null }>`select avatar_id as id from users where id = ${userId}`)
    const release = await releaseAvatar(em, attachments, avatar?.id ?? null)
    await run(em, sql`delete from blocks where user_id = ${userId} or blocked_user_id = ${userId}`)
    for (const table of ownTables) await run(em, sql`delete from ${sql.table(table)} where user_id = ${userId}`)
    await run(
      em,
      sql`
        update users set username = ${username}, display_name = 'Deleted user', email = null, email_verified_at = null,
          password_hash = null, avatar_id = null, locale = 'en', role = 'user', permissions = '[]',
          referral_code_used = null, stripe_customer_id = null, mock_mode_enabled = false, last_seen_at = null,
          private_to = null, profile_changed_at = now(), deleted_at = now()
        where id = ${userId}`,
    )
    await closing.enqueue(em, { userId }, { startAfterSeconds: closeAgainSeconds })
    return async () => {
      await afterCommit()
      await release()
    }
  }

  return {
    /**
     * Deletes the actor's account; repeating does nothing.
     * @throws AppError unauthenticated where it is not proved, or not any more; rate_limited; unprocessable for the last
     * super admin
     */
    async delete(actor: Actor, password: string | undefined): Promise<void> {
      const proof = await proveIt(database, actor, password, guesses)
      const afterCommit = await withFreeName(actor.userId, (username) =>
        database.transact((em) => endProved(em, actor, proof, username)),
      )
      close(actor.userId)
      await afterCommit?.()
    },

    /** Ends an agent in the transaction; repeating does nothing. What it returns is to be called after the commit. */
    async endAgent(em: Connection, userId: string): Promise<AfterCommit> {
      const { isDeleted } = await lockForGood(em, userId)
      if (isDeleted) return () => {}
      // of so many bits that nobody has it: a broken unique index would take the caller's transaction along
      const afterCommit = await end(em, userId, `deleted_${randomBytes(12).toString('hex')}`)
      return async () => {
        close(userId)
        await afterCommit()
      }
    },
  }
}

/**
 * Locks the user's row even against what merely refers to it (see `holdUsers`); of a super admin those of all others too,
 * so that of the last two only one can go.
 */
async function lockForGood(em: Connection, userId: string): Promise<{ isDeleted: boolean; isLastSuperAdmin: boolean }> {
  const rows = await run(
    em,
    sql<{ own: boolean; deleted: boolean; superAdmin: boolean; acting: boolean }>`
      select id = ${userId} as own, deleted_at is not null as deleted, role = 'super_admin' as "superAdmin",
        banned_at is null as acting
      from users
      where id = ${userId} or (
        role = 'super_admin' and deleted_at is null and (select role from users where id = ${userId}) = 'super_admin'
      )
      order by id for update`,
  )
  const own = rows.find((row) => row.own)
  const successors = rows.filter((row) => !row.own && row.superAdmin && row.acting)
  return {
    isDeleted: own?.deleted ?? true,
    isLastSuperAdmin: own?.superAdmin === true && successors.length === 0,
  }
}

/** Works with a name for the deleted user, and with another where somebody has called themself just that. */
async function withFreeName<T>(userId: string, work: (username: string) => Promise<T>): Promise<T> {
  try {
    // the end of the id: its beginning is a time, which two users may share
    return await work(`deleted_${userId.slice(-12)}`)
  } catch (error) {
    if (brokenUnique(error) !== 'users_username_unique') throw error
    return await work(`deleted_${randomBytes(6).toString('hex')}`)
  }
}
