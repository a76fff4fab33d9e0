import { sql } from 'kysely'
import type { Database } from '../database/database.ts'
import type { Clock } from '../kernel/clock.ts'
import { inPages } from '../kernel/pages.ts'
import type { ExportSection } from '../kernel/ports.ts'
import { isLiving } from './story-rows.ts'

const pageSize = 200

/** A time in the form of the contracts. */
const timeOf = (column: string) => sql<string>`
  to_char(${sql.ref(column)} at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`

/** The stories' part of the export of a user's data; what has ended is in nobody's. */
export function storiesSections(database: Pick<Database, 'query'>, clock: Clock): ExportSection[] {
  return [
    {
      name: 'stories',
      about: 'Your stories of the last 24 hours; what they show is among your uploads.',
      rows: (userId) =>
        inPages<{ id: string }>((after) =>
          database.query(sql`
            select s.id, s.attachment_id as "attachmentId", to_json(s.caption) as caption,
              ${timeOf('s.created_at')} as "createdAt", ${timeOf('s.expires_at')} as "expiresAt",
              (select count(*)::int from story_views v where v.story_id = s.id) as "viewCount"
            from stories s
            where s.user_id = ${userId} and ${isLiving(clock())} ${after ? sql`and s.id > ${after.id}` : sql``}
            order by s.id limit ${pageSize}`),
        ),
    },
    {
      name: 'story-views',
      about: 'Stories of the last 24 hours that you have seen, when, and your reactions to them.',
      rows: (userId) =>
        inPages<{ storyId: string }>((after) =>
          database.query(sql`
            select s.id as "storyId", s.user_id as "userId", ${timeOf('v.viewed_at')} as "viewedAt", v.reaction
            from story_views v join stories s on s.id = v.story_id
            where v.user_id = ${userId} and ${isLiving(clock())} ${after ? sql`and s.id > ${after.storyId}` : sql``}
            order by s.id limit ${pageSize}`),
        ),
    },
  ]
}
