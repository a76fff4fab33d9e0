import { createHash } from 'node:crypto'
import { sql } from 'kysely'
import { type Connection, type Database, run } from '../database/database.ts'
import { AppError } from '../kernel/errors.ts'
import type { Actor } from '../kernel/operation.ts'
import type { Guesses } from '../kernel/ports.ts'
import { loginEnded } from './identity.errors.ts'
import { verifyPassword } from './password.ts'

/** An account without a password proves itself by a login that is not older. */
const freshMinutes = 10

/** What was proved, and so what has to hold still when it comes to be acted on. Nothing that must not leave the server. */
export interface Proof {
  /** Stands for the hash that the password was checked against, salt and all; null for an account that has none. */
  passwordDigest: string | null
}

/** The login that the proof was made in. */
type Login = Pick<Actor, 'userId' | 'sessionId'>

/**
 * Has someone who is signed in prove once more who they are, before what a stolen access token must not be enough for: by
 * the password where the account has one, else by a login of the last 10 minutes; a guest by any login, since that is all there is of a guest,
 * and who must not lose the account has to be able to give it an email and a password at any time. Guesses are counted by login, so that a
 * thief's do not hold up the owner, and more generously by account. Not for use in a transaction: hashing takes its time.
 * @throws AppError unauthenticated with what is asked for, rate_limited
 */
export async function proveIt(
  database: Pick<Database, 'query'>,
  { userId, sessionId }: Actor,
  password: string | undefined,
  guesses: Guesses,
): Promise<Proof> {
  const [account] = await database.query(sql<{ passwordHash: string | null; fresh: boolean }>`
    select password_hash as "passwordHash", exists (
      select from refresh_tokens where family_id = ${sessionId} and user_id = u.id and revoked_at is null
        and expires_at > now() and (
          logged_in_at > now() - make_interval(mins => ${freshMinutes})
          or u.email is null and not exists (select from user_identities i where i.user_id = u.id)
        )
    ) as fresh
    from users u where id = ${userId} and deleted_at is null and banned_at is null`)
  if (!account) throw loginEnded()
  if (account.passwordHash === null) {
    if (!account.fresh) throw unproved(`Log in again: this needs a login of the last ${freshMinutes} minutes.`)
    return { passwordDigest: null }
  }
  if (password === undefined) throw unproved('This needs your password.')
  const login = `${userId}:${sessionId}`
  // in this order: who is refused by login has used up nothing that the owner's other devices have
  const byLogin = await guesses.attempt('password', login)
  const ofAccount = await guesses.attempt('password_of_account', userId).catch(async (refusal: unknown) => {
    await byLogin.takeBack()
    throw refusal
  })
  if (!(await verifyPassword(account.passwordHash, password))) throw unproved('The password is wrong.')
  await Promise.all([guesses.forgive('password', login), ofAccount.takeBack()])
  return { passwordDigest: digestOf(account.passwordHash) }
}

/**
 * Locks the user's row and sees that the proof still holds: a password that was changed meanwhile, or a login that was
 * ended, proves nothing any more. First thing in the transaction that acts on it.
 * @throws AppError unauthenticated
 */
export async function lockProved(em: Connection, { userId, sessionId }: Login, proof: Proof): Promise<void> {
  const [user] = await run(
    em,
    sql<{ passwordHash: string | null }>`
      select password_hash as "passwordHash" from users
      where id = ${userId} and deleted_at is null and banned_at is null for no key update`,
  )
  if (!user) throw loginEnded()
  if (digestOf(user.passwordHash) !== proof.passwordDigest) throw unproved('The password was changed meanwhile.')
  // after the lock, as a statement of its own: it sees what was committed while the lock was waited for
  const [login] = await run(
    em,
    sql`
      select 1 from refresh_tokens
      where family_id = ${sessionId} and user_id = ${userId} and revoked_at is null and expires_at > now() limit 1`,
  )
  if (!login) throw loginEnded()
}

const digestOf = (passwordHash: string | null): string | null =>
  passwordHash === null ? null : createHash('sha256').update(passwordHash).digest('base64url')

const unproved = (message: string) => new AppError('unauthenticated', message)
