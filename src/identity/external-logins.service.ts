import { sql } from 'kysely'
import { type Connection, type Database, run } from '../database/database.ts'
import type { AfterCommit } from '../kernel/domain-events.ts'
import { AppError, notFound, unprocessable } from '../kernel/errors.ts'
import type { Actor, Context } from '../kernel/operation.ts'
import type { Guesses } from '../kernel/ports.ts'
import { type Accounts, refusingTaken } from './accounts.service.ts'
import type { Identity } from './external-logins.contract.ts'
import { type ExternalPerson, usernameFor } from './external-person.ts'
import { lockProved, type Proof, proveIt } from './fresh-proof.ts'
import type { Session, Tokens } from './identity.contract.ts'
import type { Mails } from './mails.ts'
import { again, Overtaken } from './overtaken.ts'
import type { Sessions } from './sessions.service.ts'
import { attachIdentity, claimIdentity, detachIdentities, holderOf, refreshProfile } from './user-identities.ts'

interface ExternalLoginsDependencies {
  database: Database
  accounts: Pick<Accounts, 'create' | 'get'>
  sessions: Pick<Sessions, 'open'>
  mails: Pick<Mails, 'sendNotice'>
  guesses: Guesses
  /** The names of the services by which one can log in now. */
  providers: readonly string[]
}

interface IdentityRow {
  provider: string
  profile: ExternalPerson['profile']
  linkedAt: string
}

type Who = Pick<Actor, 'userId' | 'sessionId'>

export type ExternalLogins = ReturnType<typeof createExternalLogins>

/**
 * Owns `user_identities`. Always holds: an identity is of one user, and a user has one identity at each provider, both by
 * the table's keys. An identity comes to an account only by a user who proved to be its owner, by an address that the
 * provider vouches for and that was proved here as well, or with a new account. An unproved address counts for nothing:
 * whoever registered it first may not be the one who reads its mail, and would share the account with them. The owner is
 * told of each way in that an account gets or loses.
 */
export function createExternalLogins(deps: ExternalLoginsDependencies) {
  const { database, accounts, sessions, mails, guesses, providers } = deps

  /**
   * Logs in whom a provider vouches for, with a new account where there is none.
   * @throws AppError banned, conflict where an account has the address and did not prove it
   */
  async function login(person: ExternalPerson, context: Context): Promise<Session> {
    const { userId, tokens, afterCommit } = await refusingTaken(() =>
      again((attempt) => database.transact((em) => enter(em, person, usernameFor(person, attempt), context))),
    )
    await afterCommit?.()
    return { user: await accounts.get(userId), ...tokens }
  }

  async function enter(
    em: Connection,
    person: ExternalPerson,
    username: string,
    context: Context,
  ): Promise<{ userId: string; tokens: Tokens; afterCommit?: AfterCommit | undefined }> {
    const known = await holderOf(em, person)
    if (known) {
      const tokens = await sessions.open(em, known, context)
      // the user's row is locked since: before, the identity may have been unlinked
      if (!(await refreshProfile(em, person, known))) throw new Overtaken()
      return { userId: known, tokens }
    }
    const owner = person.verifiedEmail === undefined ? undefined : await lockOwner(em, person.verifiedEmail)
    if (owner) {
      if (!owner.verified) throw unproved(person)
      const afterCommit = await attach(em, person, owner.id)
      return { userId: owner.id, tokens: await sessions.open(em, owner.id, context), afterCommit }
    }
    const { user, afterCommit } = await accounts.create(em, {
      username,
      displayName: person.displayName ?? username,
      email: person.verifiedEmail,
      emailVerified: person.verifiedEmail !== undefined,
      locale: person.locale,
    })
    if (!(await claimIdentity(em, person, user.id))) throw new Overtaken()
    return { userId: user.id, tokens: await sessions.open(em, user.id, context), afterCommit }
  }

  /** Makes the identity the user's, and has them told where it is new to them. The user's row is locked. */
  async function attach(em: Connection, person: ExternalPerson, userId: string): Promise<AfterCommit | undefined> {
    if (!(await attachIdentity(em, person, userId))) return undefined
    return mails.sendNotice(em, { notice: 'identity_linked', userId, provider: person.provider })
  }

  /**
   * Has the actor prove once more who they are, before an identity is linked or unlinked: a way in outlasts every token.
   * @throws AppError unauthenticated with what is asked for, rate_limited
   */
  const prove = (actor: Actor, password: string | undefined): Promise<Proof> =>
    proveIt(database, actor, password, guesses)

  /**
   * Links an identity to the user of the login in which that was proved. Linking it again changes nothing.
   * @throws AppError unauthenticated where the proof holds no more, conflict where the identity is another user's or the
   * user has another one there
   */
  async function link(login: Who, proof: Proof, person: ExternalPerson): Promise<Identity> {
    const { row, afterCommit } = await database.transact(async (em) => {
      await lockProved(em, login, proof)
      const afterCommit = await attach(em, person, login.userId)
      const [row] = await run(
        em,
        sql<IdentityRow>`${identities} where user_id = ${login.userId} and provider = ${person.provider}`,
      )
      return { row, afterCommit }
    })
    await afterCommit?.()
    if (!row) throw notFound('identity')
    return present(row)
  }

  async function list(userId: string): Promise<Identity[]> {
    const rows = await database.query(sql<IdentityRow>`
      ${identities} where user_id = ${userId} order by created_at, provider`)
    return rows.map(present)
  }

  /**
   * Unlinks the identity at that provider. Logins that it began go on.
   * @throws AppError unauthenticated where the proof holds no more, not_found, unprocessable where no other way to log in
   * would be left
   */
  async function unlink(login: Who, proof: Proof, provider: string): Promise<void> {
    const { userId } = login
    const afterCommit = await database.transact(async (em) => {
      await lockProved(em, login, proof)
      const [gone] = await detachIdentities(em, userId, provider)
      if (gone === undefined) throw notFound('identity')
      const [left] = await run(
        em,
        sql`select true as "left" from user_identities where user_id = ${userId} and provider = any(${[...providers]}::text[]) limit 1`,
      )
      // it has been locked with the proof
      const hasPassword = proof.passwordDigest !== null
      if (!hasPassword && !left)
        throw unprocessable('This is your last way to log in. Set a password or link another account first.')
      return mails.sendNotice(em, { notice: 'identity_unlinked', userId, provider })
    })
    await afterCommit()
  }

  return { login, prove, link, list, unlink }
}

/** The columns of an IdentityRow. */
const identities = sql`select provider, profile, created_at as "linkedAt" from user_identities`

const present = ({ provider, profile, linkedAt }: IdentityRow): Identity => ({
  provider,
  ...(profile.name !== undefined && { name: profile.name }),
  ...(profile.picture !== undefined && { picture: profile.picture }),
  linkedAt: new Date(linkedAt).toISOString(),
})

/** The account that has the address, locked. */
async function lockOwner(em: Connection, email: string): Promise<{ id: string; verified: boolean } | undefined> {
  const [owner] = await run(
    em,
    sql<{ id: string; verified: boolean }>`
      select id, email_verified_at is not null as verified from users
      where lower(email) = lower(${email}) and deleted_at is null for no key update`,
  )
  return owner
}

const unproved = ({ label }: ExternalPerson) =>
  new AppError(
    'conflict',
    `There is an account with the address that ${label} gives, but nobody has proved to read its mail. Log in to it, or ` +
      `set a new password by mail; then link ${label} in your account.`,
  )
