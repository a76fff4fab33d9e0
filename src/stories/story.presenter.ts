import type { MediaUrls } from '../kernel/ports.ts'
import { presentAttachment } from '../media/index.ts'
import { type FaceRow, presentFace } from '../messenger/index.ts'
import type { Story, StoryRing, StoryView } from './stories.contract.ts'
import type { StoryRow } from './story-rows.ts'

/** A story as the viewer whom the row was read for sees it. */
export function presentStory(row: StoryRow, urls: MediaUrls): Story {
  const isOwn = row.view_count !== null
  const expiresAt = new Date(row.expires_at)
  return {
    id: row.id,
    userId: row.user_id,
    ...(row.attachment && { attachment: presentAttachment(row.attachment, urls, expiresAt) }),
    ...(row.caption !== null && { caption: row.caption }),
    createdAt: iso(row.created_at),
    expiresAt: expiresAt.toISOString(),
    isViewed: isOwn || row.viewed_at !== null,
    ...(row.reaction !== null && { reaction: row.reaction }),
    ...(row.view_count !== null && { viewCount: row.view_count }),
  }
}

/** The stories of one person, in the order in which they were told. */
export function presentRing(face: FaceRow, rows: [StoryRow, ...StoryRow[]], urls: MediaUrls): StoryRing {
  const stories = rows.map((row) => presentStory(row, urls))
  return {
    user: presentFace(face, urls),
    stories,
    hasUnseen: stories.some(({ isViewed }) => !isViewed),
    latestAt: iso((rows.at(-1) ?? rows[0]).created_at),
  }
}

/** What the presenter reads of somebody who has seen a story. */
export type ViewRow = FaceRow & { viewed_at: string; reaction: string | null }

export const presentView = (row: ViewRow, urls: MediaUrls): StoryView => ({
  user: presentFace(row, urls),
  viewedAt: iso(row.viewed_at),
  ...(row.reaction !== null && { reaction: row.reaction }),
})

export const iso = (time: string): string => new Date(time).toISOString()
