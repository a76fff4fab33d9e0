import { type RawBuilder, sql } from 'kysely'
import { type Connection, run } from '../database/database.ts'

/** Of a row of `users`: whether the viewer may find the user. */
export const isVisibleTo = (viewerId: string) => sql<boolean>`(private_to is null or private_to = ${viewerId})`

/** Whether one of the two has blocked the other: an id each, or the column that holds one. */
export const hasBlock = (one: RawBuilder<unknown> | string, other: RawBuilder<unknown> | string) => sql<boolean>`
  exists (
    select from blocks b
    where b.user_id = ${one}::uuid and b.blocked_user_id = ${other}::uuid
      or b.user_id = ${other}::uuid and b.blocked_user_id = ${one}::uuid
  )`

/**
 * Until the transaction ends, none of these users is deleted and no block between them and the viewer is made or taken back:
 * for what the viewer begins with them. Who may be met is to be asked after it, by a statement of its own.
 */
export async function holdMeeting(em: Connection, userIds: string[], viewerId: string): Promise<void> {
  await holdUsers(em, [...userIds, viewerId])
  // every block of or on the viewer locks this row against it
  await run(em, sql`select from users where id = ${viewerId} for share`)
}

/**
 * Locks the rows of both users against `holdMeeting` of either, in the order of their ids. Not against what merely refers to a
 * user: a message that is being stored holds its conversation and then its sender's row, and what follows from a block
 * locks the conversation of the two.
 */
export async function lockPair(em: Connection, oneId: string, otherId: string): Promise<void> {
  await run(em, sql`select from users where id in (${oneId}, ${otherId}) order by id for no key update`)
}

/**
 * Keeps these users from being deleted until the transaction ends, for what would else be tied to an account that goes at
 * this moment. Waits for a deletion that is under way; whether they are still there is to be asked after it, by a statement
 * of its own. It hinders nothing but deletions: writing a row that refers to a user takes the same lock.
 */
async function holdUsers(em: Connection, userIds: string[]): Promise<void> {
  await run(em, sql`select from users where id = any (${userIds}::uuid[]) order by id for key share`)
}
