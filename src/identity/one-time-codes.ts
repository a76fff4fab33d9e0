import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import { sql } from 'kysely'
import { type Connection, type Database, run } from '../database/database.ts'
import { newId } from '../kernel/ids.ts'

type CodePurpose = 'verify_email' | 'reset_password' | 'change_email'

/** How long each is good. A link may wait in a mailbox for a while; digits are typed from one screen to the next. */
const lifeMinutes: Record<CodePurpose, number> = { verify_email: 15, change_email: 15, reset_password: 60 }

/** Of a million codes five may be tried: one in 200,000 guesses right. */
const maxAttempts = 5

/** What becomes of a code that somebody typed; `none`: there is no code any more that could be right. */
export type Verdict = 'right' | 'wrong' | 'none'

/** What is mailed to whom. */
export interface CodeMail {
  purpose: CodePurpose
  /** Six digits, or the token of a link. */
  secret: string
  to: string
  locale: string
  /** How long it is good from when it was asked for. */
  minutes: number
}

export type OneTimeCodes = ReturnType<typeof createOneTimeCodes>

/**
 * Owns `one_time_codes`. Of each user and purpose there is one row at most, since a new code takes the place of the one
 * before. Always holds: whatever makes, tries or ends codes has locked the user's row first.
 *
 * No code rests in the database, nor in a job: it follows from the row's id by a key that follows from the server's
 * secret, so the job that mails it makes it again. The row keeps a keyed hash; a plain one of six digits would be
 * found by trying them all. A new JWT_SECRET ends all codes that are on their way.
 */
export function createOneTimeCodes({ database, secret }: { database: Pick<Database, 'query'>; secret: string }) {
  const key = Buffer.from(hkdfSync('sha256', secret, '', 'kintsugi one-time codes', 32))
  const mac = (use: string, text: string): Buffer => createHmac('sha256', key).update(`${use}:${text}`).digest()

  /** Six digits or, for a link, 256 bits; 48 bits make each of the million codes as likely as the others. */
  function secretOf(purpose: CodePurpose, id: string): string {
    const bits = mac(purpose, id)
    if (purpose === 'reset_password') return bits.toString('base64url')
    return String(bits.readUIntBE(0, 6) % 1_000_000).padStart(6, '0')
  }

  /** Equal digits of different codes have different hashes; a token is found by its own. */
  const hashOf = (purpose: CodePurpose, id: string, typed: string): Buffer =>
    mac('hash', purpose === 'reset_password' ? typed : `${id}:${typed}`)

  /** Makes a code in place of the user's former one; returns its id, to be mailed. The user's row is locked. */
  async function make(em: Connection, userId: string, purpose: CodePurpose, newEmail?: string): Promise<string> {
    const id = newId()
    await end(em, userId, [purpose])
    await run(
      em,
      sql`
        insert into one_time_codes (id, user_id, purpose, code_hash, new_email, expires_at)
        values (${id}, ${userId}, ${purpose}, ${hashOf(purpose, id, secretOf(purpose, id))}, ${newEmail ?? null},
          now() + make_interval(mins => ${lifeMinutes[purpose]}))`,
    )
    return id
  }

  /**
   * Judges digits that the user typed. The attempt is counted first, and it stays counted only if the transaction is
   * committed: hand the verdict out of it before anything is thrown. The user's row is locked.
   */
  async function judge(
    em: Connection,
    userId: string,
    purpose: 'verify_email' | 'change_email',
    typed: string,
  ): Promise<{ verdict: Verdict; newEmail: string | null }> {
    const [code] = await run(
      em,
      sql<{ id: string; hash: Uint8Array; newEmail: string | null }>`
        update one_time_codes set attempts = attempts + 1
        where user_id = ${userId} and purpose = ${purpose} and used_at is null and expires_at > now()
          and attempts < ${maxAttempts}
        returning id, code_hash as hash, new_email as "newEmail"`,
    )
    if (!code) return { verdict: 'none', newEmail: null }
    if (!timingSafeEqual(code.hash, hashOf(purpose, code.id, typed))) return { verdict: 'wrong', newEmail: null }
    await run(em, sql`update one_time_codes set used_at = now() where id = ${code.id}`)
    return { verdict: 'right', newEmail: code.newEmail }
  }

  /** Whose password this token may set; undefined where it is unknown, expired or used, and for who is banned or deleted. */
  async function ownerOf(token: string): Promise<TokenOwner | undefined> {
    // found by index: what its time may tell is about the hash, which does not lead back to a token
    const [owner] = await database.query(sql<TokenOwner>`
      select u.id, u.username, u.email from one_time_codes c join users u on u.id = c.user_id
      where c.code_hash = ${hashOf('reset_password', '', token)} and c.purpose = 'reset_password'
        and c.used_at is null and c.expires_at > now() and u.deleted_at is null and u.banned_at is null`)
    return owner
  }

  /** Uses the token up; false where it is not good any more. The user's row is locked. */
  async function redeem(em: Connection, userId: string, token: string): Promise<boolean> {
    const used = await run(
      em,
      sql`
        update one_time_codes set used_at = now()
        where code_hash = ${hashOf('reset_password', '', token)} and user_id = ${userId}
          and purpose = 'reset_password' and used_at is null and expires_at > now()
        returning id`,
    )
    return used.length > 0
  }

  /** Ends the user's codes for these purposes, so that none works or is mailed any more. The user's row is locked. */
  async function end(em: Connection, userId: string, purposes: CodePurpose[]): Promise<void> {
    await run(em, sql`delete from one_time_codes where user_id = ${userId} and purpose = any(${purposes}::text[])`)
  }

  /** What to mail of a code; undefined once it is of no use. */
  async function toMail(id: string): Promise<CodeMail | undefined> {
    const [code] = await database.query(sql<{ purpose: CodePurpose; to: string; locale: string }>`
      select c.purpose, coalesce(c.new_email, u.email) as "to", u.locale
      from one_time_codes c join users u on u.id = c.user_id
      where c.id = ${id} and c.used_at is null and c.expires_at > now() and c.attempts < ${maxAttempts}
        and u.deleted_at is null and u.banned_at is null and coalesce(c.new_email, u.email) is not null`)
    return code && { ...code, secret: secretOf(code.purpose, id), minutes: lifeMinutes[code.purpose] }
  }

  return { make, judge, ownerOf, redeem, end, toMail }
}

interface TokenOwner {
  id: string
  username: string
  email: string | null
}
