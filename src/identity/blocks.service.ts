import { sql } from 'kysely'
import { z } from 'zod'
import { type Connection, type Database, run } from '../database/database.ts'
import { decodeCursor, encodeCursor, keyId, keyTime, keyTimeOf } from '../kernel/cursors.ts'
import type { AfterCommit, DomainEvents } from '../kernel/domain-events.ts'
import { notFound, unprocessable } from '../kernel/errors.ts'
import type { UserContext } from '../kernel/operation.ts'
import type { MediaUrls } from '../kernel/ports.ts'
import type { blocksContract } from './blocks.contract.ts'
import { isVisibleTo, lockPair } from './meeting.ts'
import { presentUser, type UserRow } from './user.presenter.ts'
import { userColumns } from './users.service.ts'

type Contract = typeof blocksContract
type Input<Name extends keyof Contract> = z.output<Contract[Name]['input']>

/** A place in the list: when they were blocked, and their id. */
const listKey = z.tuple([keyTime, keyId])

export type Blocks = ReturnType<typeof createBlocks>

/**
 * Owns `blocks`: who wants nothing of whom. Always holds: whoever makes a block or takes one back has locked the rows of
 * both, so that nothing new begins between them at the same moment (`holdMeeting`). A block is the business of who made it
 * alone: nobody else is told.
 */
export function createBlocks({
  database,
  events,
  urls,
}: {
  database: Database
  events: DomainEvents
  urls: MediaUrls
}) {
  /** Does it once: repeating changes nothing, and nothing follows from it. */
  async function change(em: Connection, statement: ReturnType<typeof sql>, userId: string, blockedId: string) {
    const changed = await run(em, statement)
    return changed.length > 0 ? events.publish(em, 'user.blocked', { userId, blockedId }) : () => {}
  }

  return {
    /** @throws AppError not_found for whom the actor cannot find, unprocessable for oneself */
    async add({ userId: blockedId }: Input<'block:add'>, { actor }: UserContext): Promise<Record<string, never>> {
      const { userId } = actor
      if (blockedId === userId) throw unprocessable('Nobody blocks themself.')
      const afterCommit = await database.transact(async (em): Promise<AfterCommit> => {
        await lockPair(em, userId, blockedId)
        const found = await run(
          em,
          sql`
            select id from users
            where deleted_at is null and (id = ${userId} or (id = ${blockedId} and ${isVisibleTo(userId)}))`,
        )
        if (found.length < 2) throw notFound('user')
        const insert = sql`
          insert into blocks (user_id, blocked_user_id) values (${userId}, ${blockedId})
          on conflict do nothing returning 1`
        return change(em, insert, userId, blockedId)
      })
      await afterCommit()
      return {}
    },

    async remove({ userId: blockedId }: Input<'block:remove'>, { actor }: UserContext): Promise<Record<string, never>> {
      const { userId } = actor
      const afterCommit = await database.transact(async (em): Promise<AfterCommit> => {
        await lockPair(em, userId, blockedId)
        const remove = sql`
          delete from blocks where user_id = ${userId} and blocked_user_id = ${blockedId} returning 1`
        return change(em, remove, userId, blockedId)
      })
      await afterCommit()
      return {}
    },

    /** @throws AppError invalid_request for a cursor that is not of this list */
    async list({ cursor, limit }: Input<'block:list'>, { actor }: UserContext) {
      const after = cursor === undefined ? undefined : decodeCursor(cursor, listKey)
      const rows = await database.query(sql<UserRow & { createdAt: string; place: string }>`
        select users.*, b.created_at as "createdAt", ${keyTimeOf('b.created_at')} as place
        from blocks b join (select ${userColumns} from users) users on users.id = b.blocked_user_id
        where b.user_id = ${actor.userId}
          ${after ? sql`and (b.created_at, b.blocked_user_id) < (${after[0]}::timestamptz, ${after[1]}::uuid)` : sql``}
        order by b.created_at desc, b.blocked_user_id desc limit ${limit + 1}`)
      const page = rows.slice(0, limit)
      const last = page.at(-1)
      return {
        items: page.map((row) => ({ ...presentUser(row, urls), createdAt: new Date(row.createdAt).toISOString() })),
        ...(rows.length > limit && last && { nextCursor: encodeCursor([last.place, last.id]) }),
      }
    },
  }
}
