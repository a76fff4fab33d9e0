import { sql } from 'kysely'
import { type Connection, run } from '../database/database.ts'
import { AppError } from '../kernel/errors.ts'
import type { ExternalPerson } from './external-person.ts'

/** Whose identity it is; nobody's, where that user was deleted. */
export async function holderOf(
  em: Connection,
  { provider, providerUserId }: ExternalPerson,
): Promise<string | undefined> {
  const [holder] = await run(
    em,
    sql<{ id: string }>`
      select u.id from user_identities i join users u on u.id = i.user_id
      where i.provider = ${provider} and i.provider_user_id = ${providerUserId} and u.deleted_at is null`,
  )
  return holder?.id
}

/**
 * Makes the identity the user's, whose row is locked; where it is that already, only what is said of it is renewed, and the
 * answer is false.
 * @throws AppError conflict where it is another user's, or the user has another one there
 */
export async function attachIdentity(em: Connection, person: ExternalPerson, userId: string): Promise<boolean> {
  if (await claimIdentity(em, person, userId)) return true
  const holder = await holderOf(em, person)
  if (holder === undefined)
    throw new AppError(
      'conflict',
      `This account is linked to another account at ${person.label}. Unlink that one first.`,
    )
  if (holder !== userId) throw new AppError('conflict', `This account at ${person.label} belongs to another user here.`)
  await refreshProfile(em, person, userId)
  return false
}

/** Adds the identity to the user. False where it is someone's, or the user has another one there. */
export async function claimIdentity(em: Connection, person: ExternalPerson, userId: string): Promise<boolean> {
  const { provider, providerUserId, profile } = person
  await run(
    em,
    sql`
      delete from user_identities i using users u
      where i.provider = ${provider} and i.provider_user_id = ${providerUserId}
        and u.id = i.user_id and u.deleted_at is not null`,
  )
  const inserted = await run(
    em,
    sql`
      insert into user_identities (provider, provider_user_id, user_id, profile)
      values (${provider}, ${providerUserId}, ${userId}, ${JSON.stringify(profile)}::jsonb)
      on conflict do nothing returning provider`,
  )
  return inserted.length > 0
}

/** Keeps what the provider says now. False where the identity is no longer the user's. */
export async function refreshProfile(em: Connection, person: ExternalPerson, userId: string): Promise<boolean> {
  const { provider, providerUserId, profile } = person
  const updated = await run(
    em,
    sql`
      update user_identities set profile = ${JSON.stringify(profile)}::jsonb
      where provider = ${provider} and provider_user_id = ${providerUserId} and user_id = ${userId}
      returning provider`,
  )
  return updated.length > 0
}

/** Takes the user's identity at that provider away, or all of them; gives the names of the providers. The user's row is locked. */
export async function detachIdentities(em: Connection, userId: string, provider?: string): Promise<string[]> {
  const gone = await run(
    em,
    sql<{ provider: string }>`
      delete from user_identities
      where user_id = ${userId} and ${provider === undefined ? sql`true` : sql`provider = ${provider}`}
      returning provider`,
  )
  return gone.map((row) => row.provider)
}
