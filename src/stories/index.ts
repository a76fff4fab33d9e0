import { sql } from 'kysely'
import type { Logger } from 'pino'
import { type Database, run } from '../database/database.ts'
import type { Clock } from '../kernel/clock.ts'
import type { DomainEvents } from '../kernel/domain-events.ts'
import type { Route } from '../kernel/operation.ts'
import type { Attachments, ExportSection, Fanout, Jobs, MediaUrls } from '../kernel/ports.ts'
import type { Messenger } from '../messenger/index.ts'
import { storiesSections } from './own-data.ts'
import { storiesEvents } from './stories.contract.ts'
import { storiesRoutes } from './stories.routes.ts'
import { createStoryService } from './stories.service.ts'
import { createStoryEndings } from './story-endings.ts'
import { createStoryNews } from './story-news.ts'
import { isVisible } from './story-rows.ts'

export interface StoriesDependencies {
  database: Database
  messenger: Messenger
  attachments: Attachments
  urls: MediaUrls
  fanout: Pick<Fanout, 'toUsers'>
  events: DomainEvents
  jobs: Jobs
  addExportSection: (section: ExportSection) => void
  log: Logger
  clock: Clock
}

/** What people show each other for 24 hours. */
export function createStories(deps: StoriesDependencies): { routes: Route[]; events: typeof storiesEvents } {
  const { database, attachments, addExportSection, clock } = deps
  const news = createStoryNews(deps)
  const endings = createStoryEndings({ ...deps, news })
  for (const section of storiesSections(database, clock)) addExportSection(section)

  attachments.declareUse({
    // also of those that have ended and are not removed yet: their removal asks again
    async usedAmong(em, attachmentIds) {
      const rows = await run(
        em,
        sql<{ id: string }>`
          select distinct attachment_id as id from stories where attachment_id = any (${attachmentIds}::uuid[])`,
      )
      return rows.map(({ id }) => id)
    },

    async isVisibleTo(userId, attachmentId) {
      const [row] = await database.query(
        sql<{ until: string | null }>`
          select max(s.expires_at) as until from stories s
          where s.attachment_id = ${attachmentId} and ${isVisible(userId, clock())}
            and exists (select from users where id = ${userId} and kind = 'human')`,
      )
      return row?.until ? new Date(row.until) : false
    },
  })

  return { routes: storiesRoutes(createStoryService({ ...deps, news }), endings), events: storiesEvents }
}
