import { type RawBuilder, sql } from 'kysely'
import { hasBlock } from '../identity/index.ts'
import type { AttachmentFacts } from '../media/index.ts'

/** What the presenter reads of a story; times as the driver gives them. */
export interface StoryRow {
  id: string
  user_id: string
  attachment: AttachmentFacts | null
  caption: string | null
  created_at: string
  expires_at: string
  /** The viewer's own view, if there is one. */
  viewed_at: string | null
  reaction: string | null
  /** Null: it is not the viewer's own. */
  view_count: number | null
}

export const time = (at: Date) => sql`${at.toISOString()}::timestamptz`

/** Of `stories s`: whether it has not ended. */
export const isLiving = (at: Date): RawBuilder<boolean> => sql`s.expires_at > ${time(at)}`

/** Of `users u`: whether others may see what they tell. */
const isThere = sql<boolean>`(u.deleted_at is null and u.banned_at is null)`

/**
 * Of `stories s`: whether the viewer may see it at that time. It is asked anew each time: who leaves the last conversation
 * with somebody, or has a block with them, sees their stories no more.
 */
export const isVisible = (viewerId: string, at: Date): RawBuilder<boolean> => sql`
  ${isLiving(at)} and (
    s.user_id = ${viewerId} or exists (
      select from users u where u.id = s.user_id and ${isThere} and not ${hasBlock(sql`u.id`, viewerId)}
    ) and exists (
      select from participants theirs
      join conversations c on c.id = theirs.conversation_id and c.deleted_at is null
      join participants own on own.conversation_id = c.id and own.left_at is null
      where theirs.user_id = s.user_id and theirs.left_at is null and own.user_id = ${viewerId}
    )
  )`

/** The ids of all people whose stories the viewer may see, the viewer among them: what `isVisible` says, for a list. */
const toldBy = (viewerId: string): RawBuilder<unknown> => sql`
  select ${viewerId}::uuid union
  select u.id from participants own
  join conversations c on c.id = own.conversation_id and c.deleted_at is null
  join participants theirs on theirs.conversation_id = c.id and theirs.left_at is null
  join users u on u.id = theirs.user_id
  where own.user_id = ${viewerId} and own.left_at is null and ${isThere} and not ${hasBlock(sql`u.id`, viewerId)}`

/** Stories as the viewer sees them; to be followed by `where`, on `stories s`. */
export const storiesOf = (viewerId: string): RawBuilder<StoryRow> => sql`
  select s.id, s.user_id, case when a.id is not null then attachment_facts(a) end as attachment,
    to_json(s.caption) as caption, s.created_at, s.expires_at, v.viewed_at, v.reaction,
    case when s.user_id = ${viewerId} then (
      select count(*)::int from story_views all_views where all_views.story_id = s.id
    ) end as view_count
  from stories s
  left join attachments a on a.id = s.attachment_id
  left join story_views v on v.story_id = s.id and v.user_id = ${viewerId}`

/** Where somebody's ring stands in the viewer's list. */
export interface RingPlace {
  user_id: string
  /** 0: the viewer's own; 1: with something unseen; 2: seen. */
  rank: number
  latest: string
}

/**
 * The people with living stories that the viewer may see, and the place of each in the list. `asOf`: without what was told
 * and seen since; undefined: all of it.
 */
export const ringsOf = (viewerId: string, at: Date, asOf: Date | undefined): RawBuilder<RingPlace> => sql`
  select s.user_id, max(s.created_at) as latest,
    case when s.user_id = ${viewerId} then 0 when bool_or(v.user_id is null) then 1 else 2 end as rank
  from stories s
  left join story_views v on v.story_id = s.id and v.user_id = ${viewerId}
    ${asOf ? sql`and v.viewed_at <= ${time(asOf)}` : sql``}
  where s.user_id in (${toldBy(viewerId)}) and ${isLiving(at)} ${asOf ? sql`and s.created_at <= ${time(asOf)}` : sql``}
  group by s.user_id`
