import { sql } from 'kysely'
import type { z } from 'zod'
import { type Connection, type Database, run } from '../database/database.ts'
import type { AfterCommit } from '../kernel/domain-events.ts'
import { AppError, unprocessable } from '../kernel/errors.ts'
import type { UserContext } from '../kernel/operation.ts'
import type { Guesses } from '../kernel/ports.ts'
import { refusingTaken } from './accounts.service.ts'
import type { emailContract } from './email.contract.ts'
import { lockProved, proveIt } from './fresh-proof.ts'
import { loginEnded } from './identity.errors.ts'
import type { Mails } from './mails.ts'
import type { OneTimeCodes, Verdict } from './one-time-codes.ts'

interface EmailsDependencies {
  database: Database
  codes: OneTimeCodes
  mails: Mails
  guesses: Guesses
}

export type Emails = ReturnType<typeof createEmails>

type Input<Name extends keyof typeof emailContract> = z.output<(typeof emailContract)[Name]['input']>

/**
 * Proves addresses: the one that an account was registered with, and the one that it is to have. Always holds: an address
 * counts as verified once a code that was mailed to it came back, and an account's address changes only to such a one.
 */
export function createEmails({ database, codes, mails, guesses }: EmailsDependencies) {
  /**
   * Has a code mailed to the account's address, in place of the one before. The user's row is locked, or new; call what
   * it returns after the commit.
   */
  async function sendVerification(em: Connection, userId: string): Promise<AfterCommit> {
    return mails.sendCode(em, await codes.make(em, userId, 'verify_email'))
  }

  /** @throws AppError unprocessable where the code is wrong, gone where there is none that could be right, rate_limited */
  async function verify({ code }: Input<'auth:verify-email'>, { actor: { userId } }: UserContext) {
    const attempt = await guesses.attempt('code', userId)
    const verdict = await database.transact(async (em) => {
      const user = await lockUser(em, userId)
      // so that it does no harm to send the request again after a lost answer
      if (user.verified) return 'verified'
      const judged = await codes.judge(em, userId, 'verify_email', code)
      if (judged.verdict === 'right')
        await run(em, sql`update users set email_verified_at = now() where id = ${userId}`)
      return judged.verdict
    })
    if (verdict === 'verified') await attempt.takeBack()
    else await settle(userId, verdict)
    return {}
  }

  /** @throws AppError conflict where the address is verified, unprocessable where there is none, rate_limited */
  async function resend(_input: unknown, { actor: { userId } }: UserContext) {
    await guesses.attempt('mail', userId)
    const begin = await database.transact(async (em) => {
      const user = await lockUser(em, userId)
      if (user.email === null) throw unprocessable('This account has no address yet.')
      if (user.verified) throw new AppError('conflict', 'This address is confirmed already.')
      return sendVerification(em, userId)
    })
    await begin()
    return {}
  }

  /**
   * Mails a code to an address that the account is to have, or to have as its first. Whether another account has it does
   * not show: that is said at the confirmation, to who has proved to own the mailbox.
   * @throws AppError unauthenticated without proof, conflict where it is the account's already, rate_limited
   */
  async function change({ newEmail, password }: Input<'auth:change-email'>, { actor }: UserContext) {
    const email = newEmail.toLowerCase()
    const proof = await proveIt(database, actor, password, guesses)
    await guesses.attempt('mail', actor.userId)
    await guesses.attempt('mail', email)
    const begin = await database.transact(async (em) => {
      await lockProved(em, actor, proof)
      const user = await lockUser(em, actor.userId)
      if (user.verified && user.email === email) throw new AppError('conflict', 'This is your address already.')
      return mails.sendCode(em, await codes.make(em, actor.userId, 'change_email', email))
    })
    begin()
    return {}
  }

  /**
   * Takes the new address. What was mailed to the old one is of no use any more, and the old one is told.
   * @throws AppError unprocessable and gone as for `verify`, conflict where another account has the address, rate_limited
   */
  async function confirm({ code }: Input<'auth:confirm-email'>, { actor: { userId } }: UserContext) {
    await guesses.attempt('code', userId)
    // a conflict undoes the count of the attempt as well: it was right, so nothing was guessed
    const { verdict, begin } = await refusingTaken(() =>
      database.transact(async (em) => {
        const user = await lockUser(em, userId)
        const { verdict, newEmail } = await codes.judge(em, userId, 'change_email', code)
        if (verdict !== 'right') return { verdict }
        await run(em, sql`update users set email = ${newEmail}, email_verified_at = now() where id = ${userId}`)
        await codes.end(em, userId, ['verify_email', 'reset_password'])
        if (user.email === null || user.email === newEmail) return { verdict }
        return { verdict, begin: await mails.sendNotice(em, { notice: 'email_changed', userId, to: user.email }) }
      }),
    )
    begin?.()
    await settle(userId, verdict)
    return {}
  }

  /** After the commit, in which the attempt was counted: throws for a code that was not right. */
  async function settle(userId: string, verdict: Verdict): Promise<void> {
    if (verdict === 'wrong') throw unprocessable('The code is wrong.')
    if (verdict === 'none')
      throw new AppError('gone', 'There is no code that still works: it has expired, was used, or was tried too often.')
    await guesses.forgive('code', userId)
  }

  return { sendVerification, verify, resend, change, confirm }
}

/** @throws AppError unauthenticated where the user was deleted or banned since the request was authenticated */
async function lockUser(em: Connection, userId: string): Promise<{ email: string | null; verified: boolean }> {
  const [user] = await run(
    em,
    sql<{ email: string | null; verified: boolean }>`
      select email, email_verified_at is not null as verified from users
      where id = ${userId} and deleted_at is null and banned_at is null for no key update`,
  )
  if (!user) throw loginEnded()
  return user
}
