import { sql } from 'kysely'
import { type Connection, type Database, run } from '../database/database.ts'
import type { AfterCommit } from '../kernel/domain-events.ts'
import type { Attachments } from '../kernel/ports.ts'
import { isVisibleTo } from './meeting.ts'

/** Says which attachments are avatars of users, and to whom: an avatar shows wherever its user can be found. */
export function declareAvatars({ database, attachments }: { database: Database; attachments: Attachments }): void {
  attachments.declareUse({
    async usedAmong(em, attachmentIds) {
      const rows = await run(
        em,
        sql<{ id: string }>`
          select distinct avatar_id as id from users
          where avatar_id = any (${attachmentIds}::uuid[]) and deleted_at is null`,
      )
      return rows.map(({ id }) => id)
    },

    async isVisibleTo(userId, attachmentId) {
      const rows = await database.query(sql`
        select id from users
        where avatar_id = ${attachmentId} and deleted_at is null and ${isVisibleTo(userId)} limit 1`)
      return rows.length > 0
    },
  })
}

/** Lets go of an avatar that has another in its place or is taken away, if there was one. */
export async function releaseAvatar(
  em: Connection,
  attachments: Pick<Attachments, 'release'>,
  avatarId: string | null,
): Promise<AfterCommit> {
  return avatarId === null ? () => {} : attachments.release(em, [avatarId])
}
