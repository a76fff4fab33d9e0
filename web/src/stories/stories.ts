import { effect, signal } from '@preact/signals'
import type { Story, StoryRing } from '../../../src/client/index.ts'
import { client, myId, stage } from '../state/session.ts'
import { asSeen, withoutStory, withStory } from './order.ts'

/** The stories that can be seen now, by person. */
export const rings = signal<readonly StoryRing[]>([])
/** Counts what is heard of who has seen one's own stories. */
export const viewNews = signal(0)

/** The most pages that are read: more rings than anybody looks through. */
const maxPages = 5
/** Tells the answer that was asked for last from those before it. */
let asked = 0

/** Reads all rings anew. Throws ApiError. */
async function readRings(): Promise<void> {
  const mine = ++asked
  const read: StoryRing[] = []
  let cursor: string | undefined
  for (let page = 0; page < maxPages; page++) {
    const query = cursor === undefined ? '' : `?cursor=${encodeURIComponent(cursor)}`
    const { items, nextCursor } = await client.rest.request<{ items: StoryRing[]; nextCursor?: string }>(
      'GET',
      `/v1/stories${query}`,
    )
    read.push(...items)
    cursor = nextCursor
    if (cursor === undefined) break
  }
  if (mine === asked) rings.value = read
}

/** What cannot be read now is read with the next connection. */
const refresh = (): void => void readRings().catch(() => {})

/** Takes a story in; whoever tells a first one is looked up with all others. */
function take(story: Story): void {
  const taken = withStory(rings.value, story, myId())
  if (taken) rings.value = taken
  else refresh()
}

effect(() => {
  if (stage.value === 'ready') refresh()
  else rings.value = []
})
client.on('connected', () => {
  if (stage.peek() === 'ready') refresh()
})
client.on('story:created', take)
client.on('story:removed', ({ storyId }) => {
  rings.value = withoutStory(rings.value, storyId, myId())
})
client.on('story:viewed', ({ storyId }) => {
  viewNews.value++
  // the event says who has looked, not how many have
  client.rest.request<Story>('GET', `/v1/stories/${storyId}`).then(take, () => {})
})

/** Tells a story. Throws ApiError. */
export async function tell(input: { attachmentId?: string; caption?: string }): Promise<void> {
  take(await client.rest.request<Story>('POST', '/v1/stories', input))
}

/** Notes that a story was seen; one's own and those seen before need nothing. */
export async function see(story: Story): Promise<void> {
  if (story.isViewed) return
  rings.value = asSeen(rings.value, story.id, myId())
  await client.rest.request('POST', `/v1/stories/${story.id}/views`, {}).catch(() => {})
}

/** Reacts to a story; without an emoji the reaction is taken back. Throws ApiError. */
export async function react(storyId: string, emoji: string | undefined): Promise<void> {
  if (emoji) await client.rest.request('POST', `/v1/stories/${storyId}/reactions`, { emoji })
  else await client.rest.request('DELETE', `/v1/stories/${storyId}/reactions`)
  rings.value = asSeen(rings.value, storyId, myId(), { reaction: emoji })
}

/** Removes a story of one's own. Throws ApiError. */
export async function remove(storyId: string): Promise<void> {
  await client.rest.request('DELETE', `/v1/stories/${storyId}`)
  rings.value = withoutStory(rings.value, storyId, myId())
}
