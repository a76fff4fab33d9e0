import { type RawBuilder, sql } from 'kysely'
import type { z } from 'zod'
import { type Connection, type Database, run } from '../database/database.ts'
import { brokenUnique } from '../database/failures.ts'
import type { AfterCommit, DomainEvents } from '../kernel/domain-events.ts'
import { notFound } from '../kernel/errors.ts'
import { newId } from '../kernel/ids.ts'
import type { Context } from '../kernel/operation.ts'
import type { identityContract, Me, Session } from './identity.contract.ts'
import { taken, wrongCredentials } from './identity.errors.ts'
import { hashPassword, verifyPassword } from './password.ts'
import type { Sessions } from './sessions.service.ts'
import { type AccountRow, presentMe } from './user.presenter.ts'

interface AccountsDependencies {
  database: Database
  sessions: Sessions
  events: DomainEvents
}

/** What an account begins with. */
export interface NewAccount {
  username: string
  displayName: string
  email?: string | undefined
  /** The address was proved by whoever vouches for it. */
  emailVerified?: boolean
  passwordHash?: string
  locale?: string | undefined
  referralCode?: string | undefined
}

export type Accounts = ReturnType<typeof createAccounts>

type Input<Name extends keyof typeof identityContract> = z.output<(typeof identityContract)[Name]['input']>

/** The columns of an AccountRow. */
const account = sql`id, kind, username, email, display_name as "displayName", locale, role,
  email_verified_at is not null as verified, created_at as "createdAt"`

/**
 * Owns the accounts: `users` as their owners see and change them, and the proof of a password. Always holds: usernames and
 * emails are unique without regard to case, by the database's indexes alone; emails are stored in lower case, passwords
 * as argon2id hashes of exactly what was typed.
 */
export function createAccounts({ database, sessions, events }: AccountsDependencies) {
  /**
   * Adds a person's account in the transaction, with all that later features add to it. What it returns besides is to be
   * called after the commit. A broken unique index is the caller's to translate, by `refusingTaken`.
   */
  async function create(em: Connection, fields: NewAccount): Promise<{ user: AccountRow; afterCommit: AfterCommit }> {
    const id = newId()
    const verified = fields.emailVerified ? sql`now()` : sql`null`
    const user = await single(
      em,
      sql`
        insert into users (id, username, email, email_verified_at, password_hash, display_name, locale,
          referral_code_used)
        values (${id}, ${fields.username}, ${fields.email?.toLowerCase() ?? null}, ${verified},
          ${fields.passwordHash ?? null}, ${fields.displayName}, ${fields.locale ?? 'en'},
          ${fields.referralCode ?? null})
        returning ${account}`,
    )
    const afterCommit = await events.publish(em, 'user.registered', { userId: id, referralCode: fields.referralCode })
    return { user, afterCommit }
  }

  /**
   * Creates an account and its first login.
   * @throws AppError conflict where username or email is taken
   */
  async function register(input: Input<'auth:register'>, context: Context): Promise<Session> {
    // outside of the transaction: it takes tens of milliseconds
    const passwordHash = await hashPassword(input.password)
    const { session, afterCommit } = await refusingTaken(() =>
      database.transact(async (em) => {
        const { user, afterCommit } = await create(em, {
          ...input,
          passwordHash,
          displayName: input.displayName ?? input.username,
        })
        const tokens = await sessions.open(em, user.id, context)
        return { session: { user: presentMe(user), ...tokens }, afterCommit }
      }),
    )
    await afterCommit()
    return session
  }

  /**
   * Logs in by email or username. Accounts that do not exist, that were deleted and that have no password answer like a
   * wrong password, in words and in time; a ban shows only to those who know the password.
   * @throws AppError unauthenticated, banned
   */
  async function login({ email, username, password }: Input<'auth:login'>, context: Context): Promise<Session> {
    const named = email === undefined ? sql`lower(username) = lower(${username})` : sql`lower(email) = lower(${email})`
    const [found] = await database.query(sql<AccountRow & { passwordHash: string | null }>`
      select ${account}, password_hash as "passwordHash" from users where ${named} and deleted_at is null`)
    const matches = await verifyPassword(found?.passwordHash, password)
    if (!found || !matches) throw wrongCredentials()
    const tokens = await database.transact((em) => sessions.open(em, found.id, context))
    return { user: presentMe(found), ...tokens }
  }

  /** @throws AppError not_found where the account was deleted since the request was authenticated */
  async function get(userId: string): Promise<Me> {
    const [row] = await database.query(sql<AccountRow>`
      select ${account} from users where id = ${userId} and deleted_at is null`)
    if (!row) throw notFound('account')
    return presentMe(row)
  }

  /**
   * Changes what is given and leaves the rest.
   * @throws AppError conflict where the username is taken, not_found
   */
  async function update(userId: string, changes: Input<'me:update'>): Promise<Me> {
    const row = await refusingTaken(() =>
      database.transact((em) =>
        single(
          em,
          sql`
            update users set
              username = coalesce(${changes.username ?? null}, username),
              display_name = coalesce(${changes.displayName ?? null}, display_name),
              locale = coalesce(${changes.locale ?? null}, locale)
            where id = ${userId} and deleted_at is null
            returning ${account}`,
        ),
      ),
    )
    return presentMe(row)
  }

  return { create, register, login, get, update }
}

async function single(em: Connection, statement: RawBuilder<unknown>): Promise<AccountRow> {
  const [row] = await run(em, statement as RawBuilder<AccountRow>)
  if (!row) throw notFound('account')
  return row
}

/** Which of two accounts was first is the unique indexes' to say: asking before writing would leave a gap. */
export async function refusingTaken<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const broken = brokenUnique(error)
    if (broken === 'users_username_unique') throw taken('username')
    if (broken === 'users_email_unique') throw taken('email')
    throw error
  }
}
