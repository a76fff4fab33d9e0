import { type RawBuilder, sql } from 'kysely'
import type { z } from 'zod'
import { type Connection, type Database, run } from '../database/database.ts'
import { brokenUnique } from '../database/failures.ts'
import type { AfterCommit, DomainEvents } from '../kernel/domain-events.ts'
import { notFound } from '../kernel/errors.ts'
import { newId } from '../kernel/ids.ts'
import type { Context } from '../kernel/operation.ts'
import type { Attachments, Guesses, MediaUrls } from '../kernel/ports.ts'
import { releaseAvatar } from './avatars.ts'
import type { identityContract, Me, Session } from './identity.contract.ts'
import { taken, wrongCredentials } from './identity.errors.ts'
import { attemptLogin } from './login-guards.ts'
import type { Hashing } from './password.ts'
import { assertGoodPassword } from './password-policy.ts'
import type { Sessions } from './sessions.service.ts'
import { type AccountRow, presentMe } from './user.presenter.ts'

interface AccountsDependencies {
  database: Database
  attachments: Attachments
  urls: MediaUrls
  sessions: Sessions
  events: DomainEvents
  hashing: Hashing
  guesses: Guesses
  /** Has a code mailed to the address of a new account, by the transaction that makes it. */
  sendVerification(em: Connection, userId: string): Promise<AfterCommit>
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

/** An account and what its password is proved by. */
type Found = AccountRow & { passwordHash: string | null }

/** What others see of an account and its user can change. */
interface Face {
  username: string
  displayName: string
  avatarId: string | null
}

const face = sql`select username, display_name as "displayName", avatar_id as "avatarId" from users`

/** The columns of an AccountRow. */
const account = sql`id, kind, username, email, display_name as "displayName", avatar_id as "avatarId", locale,
  role, email_verified_at is not null as verified, created_at as "createdAt"`

/**
 * Owns the accounts: `users` as their owners see and change them, and the proof of a password. Always holds: usernames and
 * emails are unique without regard to case, by the database's indexes alone; emails are stored in lower case, passwords
 * as argon2id hashes of exactly what was typed.
 */
export function createAccounts(deps: AccountsDependencies) {
  const { database, attachments, urls, sessions, events, hashing, guesses, sendVerification } = deps

  /**
   * Adds a person's account in the transaction, with all that later features add to it. What it returns besides is to be
   * called after the commit. A broken unique index is the caller's to translate, by `refusingTaken`.
   */
  async function create(em: Connection, fields: NewAccount): Promise<{ user: AccountRow; afterCommit: AfterCommit }> {
    const id = newId()
    const verified = fields.emailVerified ? sql`now()` : sql`null`
    const user = await single<AccountRow>(
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
   * Creates an account and its first login, and has a code mailed to its address.
   * @throws AppError conflict where username or email is taken, invalid_request for a password that is too common
   */
  async function register(input: Input<'auth:register'>, context: Context): Promise<Session> {
    await assertGoodPassword(input.password, input)
    // outside of the transaction: it takes tens of milliseconds
    const passwordHash = await hashing.hash(input.password)
    const work = async (em: Connection) => {
      const { user, afterCommit } = await create(em, {
        ...input,
        passwordHash,
        displayName: input.displayName ?? input.username,
      })
      const sendMail = await sendVerification(em, user.id)
      const tokens = await sessions.open(em, user.id, context)
      return { session: { user: presentMe(user, urls), ...tokens }, afterCommit, sendMail }
    }
    const { session, afterCommit, sendMail } = await refusingTaken(
      () => database.transact(work),
      () => takenOf(input),
    )
    await afterCommit()
    await sendMail()
    return session
  }

  /** The unique index that broke first names one of the two: the caller is to hear of both at once. */
  async function takenOf({ username, email }: Input<'auth:register'>): Promise<('username' | 'email')[]> {
    const [found] = await database.query(sql<{ username: boolean | null; email: boolean | null }>`
      select bool_or(lower(username) = lower(${username})) as username, bool_or(lower(email) = lower(${email})) as email
      from users where lower(username) = lower(${username}) or lower(email) = lower(${email})`)
    return (['username', 'email'] as const).filter((path) => found?.[path])
  }

  /**
   * Logs in by email or username. Accounts that do not exist, that were deleted and that have no password answer like a
   * wrong password, in words, in time and in how often they can be tried; a ban shows only to those who know the password.
   * @throws AppError unauthenticated, banned; rate_limited while attempts have to wait, the right one too
   */
  async function login(input: Input<'auth:login'>, context: Context): Promise<Session> {
    const { name, found } = await find(input)
    const attempt = await attemptLogin(guesses, name, context.ip)
    const proved = await prove(found, input.password)
    await attempt.succeeded()
    try {
      return await enter(proved, input.password, context)
    } catch (error) {
      // another login may meanwhile have put a newer hash of the same password in the place of the one that was proved
      const { found: present } = await find(input)
      if (present?.passwordHash === proved.passwordHash) throw error
      return enter(await prove(present, input.password), input.password, context)
    }
  }

  /** The account that a name leads to, and the name as the database compares it. */
  async function find({ email, username }: Input<'auth:login'>): Promise<{ name: string; found: Found | undefined }> {
    const isNamed =
      email === undefined ? sql`lower(username) = lower(${username})` : sql`lower(email) = lower(${email})`
    const [row] = await database.query(sql<{ name: string } & (Found | { id: null })>`
      select lower(${email ?? username}::text) as name, users.* from (values (1)) one
      left join (
        select ${account}, password_hash as "passwordHash" from users where ${isNamed} and deleted_at is null
      ) users on true`)
    return { name: row?.name ?? '', found: row && row.id !== null ? row : undefined }
  }

  /** @throws AppError unauthenticated where it is not the account's password */
  async function prove(found: Found | undefined, password: string): Promise<Found & { passwordHash: string }> {
    const matches = await hashing.verify(found?.passwordHash, password)
    if (!matches || !found?.passwordHash) throw wrongCredentials()
    return { ...found, passwordHash: found.passwordHash }
  }

  /** Begins a login; a hash that was made under another cost is replaced, since the password is at hand. */
  async function enter(proved: Found & { passwordHash: string }, password: string, context: Context): Promise<Session> {
    const renewed = hashing.isOutdated(proved.passwordHash) ? await hashing.hash(password) : undefined
    const tokens = await database.transact(async (em) => {
      // under the lock on the user's row it sees to it that the hash is still the one that was proved
      const tokens = await sessions.open(em, proved.id, context, proved)
      if (renewed) await run(em, sql`update users set password_hash = ${renewed} where id = ${proved.id}`)
      return tokens
    })
    return { user: presentMe(proved, urls), ...tokens }
  }

  /** @throws AppError not_found where the account was deleted since the request was authenticated */
  async function get(userId: string): Promise<Me> {
    const [row] = await database.query(sql<AccountRow>`
      select ${account} from users where id = ${userId} and deleted_at is null`)
    if (!row) throw notFound('account')
    return presentMe(row, urls)
  }

  /**
   * Changes what is given and leaves the rest.
   * @throws AppError conflict where the username is taken, unprocessable where the avatar is no image of the user's, not_found
   */
  async function update(userId: string, changes: Input<'me:update'>): Promise<Me> {
    const avatarId = changes.avatarId === undefined ? sql`avatar_id` : sql`${changes.avatarId}::uuid`
    const { row, afterwards } = await refusingTaken(() =>
      database.transact(async (em) => {
        const before = await single<Face>(
          em,
          sql`${face} where id = ${userId} and deleted_at is null for no key update`,
        )
        const avatarChanges = changes.avatarId !== undefined && changes.avatarId !== before.avatarId
        if (avatarChanges && changes.avatarId) await attachments.hold(em, userId, changes.avatarId, ['image'])
        const isSeen = (['username', 'displayName', 'avatarId'] as const).some(
          (field) => changes[field] !== undefined && changes[field] !== before[field],
        )
        const row = await single<AccountRow>(
          em,
          sql`
            update users set
              username = coalesce(${changes.username ?? null}, username),
              display_name = coalesce(${changes.displayName ?? null}, display_name),
              locale = coalesce(${changes.locale ?? null}, locale),
              avatar_id = ${avatarId},
              profile_changed_at = ${isSeen ? sql`now()` : sql`profile_changed_at`}
            where id = ${userId}
            returning ${account}`,
        )
        const afterwards: AfterCommit[] = []
        if (isSeen) afterwards.push(await events.publish(em, 'user.changed', { userId }))
        if (avatarChanges) afterwards.push(await releaseAvatar(em, attachments, before.avatarId))
        return { row, afterwards }
      }),
    )
    for (const afterCommit of afterwards) await afterCommit()
    return presentMe(row, urls)
  }

  return { create, register, login, get, update }
}

async function single<T>(em: Connection, statement: RawBuilder<unknown>): Promise<T> {
  const [row] = await run(em, statement as RawBuilder<T>)
  if (!row) throw notFound('account')
  return row
}

/**
 * Which of two accounts was first is the unique indexes' to say: asking before writing would leave a gap. `lookUp` may then
 * tell more than the index that broke first.
 */
export async function refusingTaken<T>(
  work: () => Promise<T>,
  lookUp?: () => Promise<('username' | 'email')[]>,
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const broken = brokenUnique(error)
    if (broken !== 'users_username_unique' && broken !== 'users_email_unique') throw error
    const found = await lookUp?.()
    // none: whoever had it has given it up since
    if (found && found.length > 0) throw taken(...found)
    throw taken(broken === 'users_username_unique' ? 'username' : 'email')
  }
}
