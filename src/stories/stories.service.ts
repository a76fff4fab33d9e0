import { type RawBuilder, sql } from 'kysely'
import { z } from 'zod'
import { type Connection, type Database, run } from '../database/database.ts'
import type { Clock } from '../kernel/clock.ts'
import { decodeCursor, encodeCursor, keyId, keyTime, keyTimeOf } from '../kernel/cursors.ts'
import { notFound, unprocessable } from '../kernel/errors.ts'
import { newId } from '../kernel/ids.ts'
import type { UserContext } from '../kernel/operation.ts'
import type { Attachments, MediaUrls } from '../kernel/ports.ts'
import { type FaceRow, faceColumns, type Messenger } from '../messenger/index.ts'
import type { StoryInput, StoryOutput } from './stories.contract.ts'
import { iso, presentRing, presentStory, presentView, type ViewRow } from './story.presenter.ts'
import type { StoryNews } from './story-news.ts'
import { isLiving, isVisible, type RingPlace, ringsOf, type StoryRow, storiesOf, time } from './story-rows.ts'

const lifeMs = 24 * 3_600_000
/** Living stories of one person. */
const maxStories = 100

/** A place in the list of rings: as of when, rank, latest story, whose. */
const ringKey = z.tuple([keyTime, z.int().min(0).max(2), keyTime, keyId])
/** A place among the views: when, and whose. */
const viewKey = z.tuple([keyTime, keyId])

type Done = Record<string, never>

export type Stories = ReturnType<typeof createStoryService>

/**
 * Owns `stories` and `story_views`. Always holds: whoever reads a story may see it at that moment by `isVisible`, and all
 * times are those of the clock; a person has seen a story once, and the owner's own looks do not count.
 */
export function createStoryService(deps: {
  database: Database
  messenger: Pick<Messenger, 'replyToStory'>
  attachments: Attachments
  urls: MediaUrls
  news: StoryNews
  clock: Clock
}) {
  const { database, messenger, attachments, urls, news, clock } = deps

  /** Notes in one statement what the viewer says to a story; `change` writes to `story_views` by the row of `story`. */
  async function note(storyId: string, viewerId: string, at: Date, change: RawBuilder<unknown>): Promise<string> {
    // held, so that neither the story nor the viewer's account goes before the row is there
    const [row] = await database.query(
      sql<{ ownerId: string; viewedAt: string | null; reaction: string | null }>`
        with story as (
          select s.id, s.user_id from stories s join users me on me.id = ${viewerId} and me.deleted_at is null
          where s.id = ${storyId} and ${isVisible(viewerId, at)} for key share of s, me
        ), changed as (${change} returning viewed_at, reaction)
        select story.user_id as "ownerId", changed.viewed_at as "viewedAt", changed.reaction
        from story left join changed on true`,
    )
    if (!row) throw notFound('story')
    const { ownerId, viewedAt, reaction } = row
    if (viewedAt !== null) {
      const view = { storyId, userId: viewerId, viewedAt: iso(viewedAt), ...(reaction !== null && { reaction }) }
      news.viewed(ownerId, view)
    }
    return ownerId
  }

  return {
    /** @throws AppError unprocessable where the attachment is no image or video of the actor's, and beyond the limit */
    async create(input: StoryInput<'story:create'>, { actor }: UserContext): Promise<StoryOutput<'story:create'>> {
      const { userId } = actor
      const { attachmentId = null, caption = null } = input
      const row = await database.transact(async (em) => {
        const at = clock()
        await assertHasRoom(em, userId, at)
        if (attachmentId !== null) await attachments.hold(em, userId, attachmentId, ['image', 'video'])
        const id = newId()
        await run(
          em,
          sql`
            insert into stories (id, user_id, attachment_id, caption, created_at, expires_at)
            values (${id}, ${userId}, ${attachmentId}, ${caption}, ${time(at)},
              ${time(new Date(at.getTime() + lifeMs))})`,
        )
        const [row] = await run(em, sql<StoryRow>`${storiesOf(userId)} where s.id = ${id}`)
        return row as StoryRow
      })
      await news.created(row)
      return presentStory(row, urls)
    },

    /**
     * Rings in their order. While somebody turns the pages, the order stays what it was at the first one: the cursor says as of
     * when, and what was told or seen since moves nothing. So nobody is left out; only whose latest story ends meanwhile
     * may come once more. What the rings show is of now.
     * @throws AppError invalid_request for a cursor that is not of this list
     */
    async list(input: StoryInput<'story:list'>, { actor }: UserContext): Promise<StoryOutput<'story:list'>> {
      const { userId } = actor
      const at = clock()
      const after = input.cursor === undefined ? undefined : decodeCursor(input.cursor, ringKey)
      const asOf = after && new Date(after[0])
      const rows = await database.query(
        sql<RingPlace & FaceRow & { place: string }>`
          select ring.rank, ${keyTimeOf('ring.latest')} as place, ${faceColumns}
          from (${ringsOf(userId, at, asOf)}) ring join users u on u.id = ring.user_id
          where ${after ? sql`(-ring.rank, ring.latest, u.id) < (${-after[1]}::int, ${after[2]}::timestamptz, ${after[3]}::uuid)` : sql`true`}
          order by ring.rank, ring.latest desc, u.id desc limit ${input.limit + 1}`,
      )
      const page = rows.slice(0, input.limit)
      const stories = Map.groupBy(await told(page, userId, at), ({ user_id }) => user_id)
      const last = page.at(-1)
      return {
        items: page.flatMap((face) => {
          const [first, ...rest] = stories.get(face.user_id) ?? []
          return first ? [presentRing(face, [first, ...rest], urls)] : []
        }),
        ...(rows.length > page.length &&
          last && { nextCursor: encodeCursor([(asOf ?? at).toISOString(), last.rank, last.place, last.user_id]) }),
      }
    },

    /** @throws AppError not_found */
    async get({ storyId }: StoryInput<'story:get'>, { actor }: UserContext): Promise<StoryOutput<'story:get'>> {
      const [row] = await database.query(
        sql<StoryRow>`${storiesOf(actor.userId)} where s.id = ${storyId} and ${isVisible(actor.userId, clock())}`,
      )
      if (!row) throw notFound('story')
      return presentStory(row, urls)
    },

    /** Repeating changes nothing. @throws AppError not_found */
    async view({ storyId }: StoryInput<'story:view'>, { actor: { userId } }: UserContext): Promise<Done> {
      const at = clock()
      const insert = sql`
        insert into story_views (story_id, user_id, viewed_at)
        select id, ${userId}, ${time(at)} from story where user_id <> ${userId} on conflict do nothing`
      await note(storyId, userId, at, insert)
      return {}
    },

    /** @throws AppError not_found for all but its owner */
    async views(input: StoryInput<'story:views'>, { actor }: UserContext): Promise<StoryOutput<'story:views'>> {
      const { storyId, limit, cursor } = input
      const after = cursor === undefined ? undefined : decodeCursor(cursor, viewKey)
      const [own] = await database.query(
        sql`select s.id from stories s where s.id = ${storyId} and s.user_id = ${actor.userId} and ${isLiving(clock())}`,
      )
      if (!own) throw notFound('story')
      const rows = await database.query(
        sql<ViewRow & { place: string }>`
          select ${faceColumns}, v.viewed_at, v.reaction, ${keyTimeOf('v.viewed_at')} as place
          from story_views v join users u on u.id = v.user_id
          where v.story_id = ${storyId}
            ${after ? sql`and (v.viewed_at, v.user_id) < (${after[0]}::timestamptz, ${after[1]}::uuid)` : sql``}
          order by v.viewed_at desc, v.user_id desc limit ${limit + 1}`,
      )
      const page = rows.slice(0, limit)
      const last = page.at(-1)
      return {
        items: page.map((row) => presentView(row, urls)),
        ...(rows.length > page.length && last && { nextCursor: encodeCursor([last.place, last.user_id]) }),
      }
    },

    /** Repeating changes nothing. @throws AppError not_found, unprocessable for one's own story */
    async react({ storyId, emoji }: StoryInput<'story:react'>, { actor: { userId } }: UserContext): Promise<Done> {
      const at = clock()
      const insert = sql`
        insert into story_views (story_id, user_id, viewed_at, reaction)
        select id, ${userId}, ${time(at)}, ${emoji} from story where user_id <> ${userId}
        on conflict (story_id, user_id) do update set reaction = excluded.reaction
        where story_views.reaction is distinct from excluded.reaction`
      const ownerId = await note(storyId, userId, at, insert)
      if (ownerId === userId) throw unprocessable('Nobody reacts to their own story.')
      return {}
    },

    /** Repeating changes nothing. @throws AppError not_found */
    async unreact({ storyId }: StoryInput<'story:unreact'>, { actor: { userId } }: UserContext): Promise<Done> {
      const update = sql`
        update story_views set reaction = null from story
        where story_id = story.id and story_views.user_id = ${userId} and reaction is not null`
      await note(storyId, userId, clock(), update)
      return {}
    },

    /** @throws AppError not_found, unprocessable for one's own story; what the messenger throws */
    async reply(input: StoryInput<'story:reply'>, context: UserContext): Promise<StoryOutput<'story:reply'>> {
      const { storyId, clientId, content } = input
      const senderId = context.actor.userId
      const [story] = await database.query(
        sql<{ ownerId: string }>`
          select s.user_id as "ownerId" from stories s where s.id = ${storyId} and ${isVisible(senderId, clock())}`,
      )
      if (!story) throw notFound('story')
      if (story.ownerId === senderId) throw unprocessable('Nobody replies to their own story.')
      const recipientId = story.ownerId
      return messenger.replyToStory({ senderId, recipientId, storyId, clientId, content })
    },
  }

  /** The living stories of these people, oldest first. */
  async function told(people: FaceRow[], viewerId: string, at: Date): Promise<StoryRow[]> {
    if (people.length === 0) return []
    const ids = people.map(({ user_id }) => user_id)
    return database.query(
      sql<StoryRow>`
        ${storiesOf(viewerId)} where s.user_id = any (${ids}::uuid[]) and ${isLiving(at)}
        order by s.created_at, s.id`,
    )
  }
}

/**
 * Locks the teller's row, so that of two stories that are told at once the second is counted with the first.
 * @throws AppError unprocessable, not_found where the account is being deleted
 */
async function assertHasRoom(em: Connection, userId: string, at: Date): Promise<void> {
  const [user] = await run(em, sql`select id from users where id = ${userId} and deleted_at is null for no key update`)
  if (!user) throw notFound('account')
  const [row] = await run(
    em,
    sql<{ count: number }>`
      select count(*)::int as count from stories s where s.user_id = ${userId} and ${isLiving(at)}`,
  )
  if (row && row.count >= maxStories) throw unprocessable(`One person has at most ${maxStories} stories at a time.`)
}
