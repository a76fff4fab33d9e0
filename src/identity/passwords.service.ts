import { sql } from 'kysely'
import type { z } from 'zod'
import { type Connection, type Database, run } from '../database/database.ts'
import type { AfterCommit } from '../kernel/domain-events.ts'
import { AppError } from '../kernel/errors.ts'
import { networkOf } from '../kernel/networks.ts'
import type { Context, UserContext } from '../kernel/operation.ts'
import type { Guesses, Jobs } from '../kernel/ports.ts'
import type { emailContract } from './email.contract.ts'
import { lockProved, proveIt } from './fresh-proof.ts'
import type { Mails } from './mails.ts'
import type { OneTimeCodes } from './one-time-codes.ts'
import type { Hashing } from './password.ts'
import { assertGoodPassword } from './password-policy.ts'
import type { Sessions } from './sessions.service.ts'
import { detachIdentities } from './user-identities.ts'

interface PasswordsDependencies {
  database: Database
  hashing: Hashing
  sessions: Pick<Sessions, 'endAll'>
  codes: OneTimeCodes
  mails: Mails
  jobs: Jobs
  guesses: Guesses
}

export type Passwords = ReturnType<typeof createPasswords>

type Input<Name extends keyof typeof emailContract> = z.output<(typeof emailContract)[Name]['input']>

/**
 * Changes passwords: by a link that was mailed, or by the present one. Always holds: a login that rests on the old
 * password, or began while someone else may have known it, ends in the transaction that changes it.
 */
export function createPasswords({ database, hashing, sessions, codes, mails, jobs, guesses }: PasswordsDependencies) {
  const requests = jobs.define<{ email: string }>({
    name: 'forgot-password',
    expireSeconds: 30,
    retries: 5,
    async handle({ email }) {
      const begin = await database.transact((em) => mailLink(em, email))
      begin?.()
    },
  })

  async function mailLink(em: Connection, email: string): Promise<(() => void) | undefined> {
    const [user] = await run(
      em,
      sql<{ id: string }>`
        select id from users where lower(email) = ${email} and deleted_at is null and banned_at is null
        for no key update`,
    )
    return user && mails.sendCode(em, await codes.make(em, user.id, 'reset_password'))
  }

  /**
   * Takes the wish for a new password. Whether there is such an account is looked up by the job alone, so the answer tells
   * nobody, neither in words nor in time.
   * @throws AppError rate_limited, by address whether it is known or not
   */
  async function forgot(input: Input<'auth:forgot-password'>) {
    const email = input.email.toLowerCase()
    await guesses.attempt('mail', email)
    const begin = await database.transact((em) => requests.enqueue(em, { email }))
    begin()
    return {}
  }

  /**
   * Sets a new password by the token of a link, and ends every login. The address counts as verified: the link was
   * mailed to it. Where it was not before, whoever registered with it may be somebody else, who linked identities of
   * theirs to come in by when its owner uses the account: they go. A password that is refused leaves the token as it was.
   * @throws AppError gone where the token is unknown, expired or used, invalid_request for a password that is too common, rate_limited
   */
  async function reset({ token, password }: Input<'auth:reset-password'>, { ip }: Context) {
    const attempt = await guesses.attempt('code', networkOf(ip))
    const owner = await codes.ownerOf(token)
    if (!owner) throw linkEnded()
    await attempt.takeBack()
    await assertGoodPassword(password, owner)
    const passwordHash = await hashing.hash(password)
    const finish = await database.transact(async (em) => {
      const [user] = await run(
        em,
        sql<{ verified: boolean }>`
          select email_verified_at is not null as verified from users
          where id = ${owner.id} and deleted_at is null and banned_at is null for no key update`,
      )
      if (!user || !(await codes.redeem(em, owner.id, token))) return undefined
      const begins = user.verified ? [] : await unlinkAll(em, owner.id)
      await run(em, sql`update users set email_verified_at = coalesce(email_verified_at, now()) where id = ${owner.id}`)
      const finishSetting = await setPassword(em, owner.id, passwordHash)
      return async () => {
        await finishSetting()
        for (const begin of begins) begin()
      }
    })
    if (!finish) throw linkEnded()
    await finish()
    return {}
  }

  /**
   * Changes the password of who proves to be the account's owner; all other logins end.
   * @throws AppError unauthenticated without proof, invalid_request for a password that is too common, rate_limited
   */
  async function change({ currentPassword, newPassword }: Input<'auth:change-password'>, { actor }: UserContext) {
    const proof = await proveIt(database, actor, currentPassword, guesses)
    const [owner] = await database.query(sql<{ username: string; email: string | null }>`
      select username, email from users where id = ${actor.userId}`)
    await assertGoodPassword(newPassword, owner ?? {}, 'newPassword')
    const passwordHash = await hashing.hash(newPassword)
    const finish = await database.transact(async (em) => {
      await lockProved(em, actor, proof)
      return setPassword(em, actor.userId, passwordHash, actor.sessionId)
    })
    await finish()
    return {}
  }

  /** The user's row is locked. Call what it returns after the commit. */
  async function unlinkAll(em: Connection, userId: string): Promise<(() => void)[]> {
    const begins: (() => void)[] = []
    for (const provider of await detachIdentities(em, userId))
      begins.push(await mails.sendNotice(em, { notice: 'identity_unlinked', userId, provider }))
    return begins
  }

  /** The user's row is locked. A code for a change of address may have been asked for by who knew the old password. */
  async function setPassword(
    em: Connection,
    userId: string,
    passwordHash: string,
    keptSessionId?: string,
  ): Promise<AfterCommit> {
    await run(em, sql`update users set password_hash = ${passwordHash} where id = ${userId}`)
    await codes.end(em, userId, ['reset_password', 'change_email'])
    const endSockets = await sessions.endAll(em, userId, keptSessionId)
    const begin = await mails.sendNotice(em, { notice: 'password_changed', userId })
    return () => {
      endSockets()
      begin()
    }
  }

  return { forgot, reset, change }
}

/** One answer, whatever became of it: a link works, or another has to be asked for. */
const linkEnded = () => new AppError('gone', 'This link does not work any more. Ask for a new one.')
