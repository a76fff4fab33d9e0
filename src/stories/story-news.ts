import type { Logger } from 'pino'
import type { Fanout, MediaUrls } from '../kernel/ports.ts'
import type { Messenger } from '../messenger/index.ts'
import type { StoryEvent } from './stories.contract.ts'
import { presentStory } from './story.presenter.ts'
import type { StoryRow } from './story-rows.ts'

/** People whom one order to the nodes names. */
const orderSize = 1_000

export type StoryNews = ReturnType<typeof createStoryNews>

/**
 * Tells of stories whoever may see them at that moment, on all of their devices. After the commit; what is not told is no
 * fault of the request, and is found by asking.
 */
export function createStoryNews(deps: {
  messenger: Pick<Messenger, 'peersOf'>
  fanout: Pick<Fanout, 'toUsers'>
  urls: MediaUrls
  log: Logger
}) {
  const { messenger, fanout, urls, log } = deps

  async function toPeers(ownerId: string, event: string, payloads: object[]): Promise<void> {
    const peers = await messenger.peersOf(ownerId)
    for (let i = 0; i < peers.length; i += orderSize) {
      for (const payload of payloads) fanout.toUsers(peers.slice(i, i + orderSize), event, payload)
    }
  }

  const unlessFailed = (what: string, work: Promise<void>): Promise<void> =>
    work.catch((error: unknown) => log.error({ err: error }, `${what} was not told`))

  return {
    /** @param row the story as its owner sees it */
    created(row: StoryRow): Promise<void> {
      fanout.toUsers([row.user_id], 'story:created', presentStory(row, urls))
      const asSeen = presentStory({ ...row, view_count: null }, urls)
      return unlessFailed('a story', toPeers(row.user_id, 'story:created', [asSeen]))
    },

    removed(ownerId: string, storyIds: string[]): Promise<void> {
      if (storyIds.length === 0) return Promise.resolve()
      const payloads = storyIds.map((storyId) => ({ storyId }))
      for (const payload of payloads) fanout.toUsers([ownerId], 'story:removed', payload)
      return unlessFailed('the end of a story', toPeers(ownerId, 'story:removed', payloads))
    },

    viewed: (ownerId: string, view: StoryEvent<'story:viewed'>): void =>
      fanout.toUsers([ownerId], 'story:viewed', view),
  }
}
