import { sql } from 'kysely'
import { type Connection, type Database, run } from '../database/database.ts'
import type { Clock } from '../kernel/clock.ts'
import type { AfterCommit, DomainEvents } from '../kernel/domain-events.ts'
import { notFound } from '../kernel/errors.ts'
import type { Attachments, Jobs } from '../kernel/ports.ts'
import type { StoryNews } from './story-news.ts'
import { isLiving, time } from './story-rows.ts'

/** Stories of one transaction: each may take thousands of views along. */
const removedAtOnce = 50

interface Ended {
  id: string
  userId: string
  attachmentId: string | null
}

/**
 * Ends stories: by their owner, with the account, by their time. For readers a story has ended when its time is over; the
 * rows go by a job, within a minute, and what they show with them.
 */
export function createStoryEndings(deps: {
  database: Database
  attachments: Attachments
  events: DomainEvents
  jobs: Jobs
  news: Pick<StoryNews, 'removed'>
  clock: Clock
}) {
  const { database, attachments, events, jobs, news, clock } = deps

  const queue = jobs.define({
    name: 'stories-expire',
    expireSeconds: 300,
    retries: 1,
    schedule: '* * * * *',
    async handle(_data, { signal }) {
      while ((await removeExpired()) === removedAtOnce) signal.throwIfAborted()
    },
  })

  async function removeExpired(): Promise<number> {
    const { ended, release } = await database.transact((em) =>
      end(
        em,
        sql`s.id = any (array(
          select id from stories where expires_at <= ${time(clock())} order by expires_at limit ${removedAtOnce}
          for update skip locked
        ))`,
      ),
    )
    await release()
    const byOwner = Map.groupBy(ended, ({ userId }) => userId)
    for (const [ownerId, stories] of byOwner) {
      await news.removed(
        ownerId,
        stories.map(({ id }) => id),
      )
    }
    return ended.length
  }

  async function end(em: Connection, which: ReturnType<typeof sql>): Promise<{ ended: Ended[]; release: AfterCommit }> {
    const ended = await run(
      em,
      sql<Ended>`
        delete from stories s where ${which} returning id, user_id as "userId", attachment_id as "attachmentId"`,
    )
    const shown = ended.flatMap(({ attachmentId }) => attachmentId ?? [])
    return { ended, release: shown.length > 0 ? await attachments.release(em, shown) : () => {} }
  }

  /** Nobody sees the stories of a deleted user; their rows go by the job, which has to do no more than that. */
  events.on('user.deleting', async (em, { userId }) => {
    const at = time(clock())
    await run(em, sql`delete from story_views where user_id = ${userId}`)
    const ended = await run(
      em,
      sql<{ id: string }>`
        update stories s set expires_at = greatest(${at}, created_at + interval '1 millisecond')
        where user_id = ${userId} and ${isLiving(clock())} returning id`,
    )
    const start = await queue.enqueue(em, {})
    return async () => {
      start()
      await news.removed(
        userId,
        ended.map(({ id }) => id),
      )
    }
  })

  return {
    /** @throws AppError not_found where it is no living story of that user */
    async remove(storyId: string, userId: string): Promise<void> {
      const release = await database.transact(async (em) => {
        const which = sql`s.id = ${storyId} and s.user_id = ${userId} and ${isLiving(clock())}`
        const { ended, release } = await end(em, which)
        if (ended.length === 0) throw notFound('story')
        return release
      })
      await release()
      await news.removed(userId, [storyId])
    },
  }
}
