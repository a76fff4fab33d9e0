import type { Story, StoryRing } from '../../../src/client/index.ts'

/** A story that is looked at: whose, and which. */
export interface Spot {
  userId: string
  storyId: string
}

/** How long pictures and words stay before the next story comes. A video stays for its length. */
export const stillMs = 5_000

const byTime = (a: Story, b: Story): number => a.createdAt.localeCompare(b.createdAt) || a.id.localeCompare(b.id)

/** A ring of these stories; undefined where none is left. */
function ringOf(user: StoryRing['user'], stories: Story[], myId: string): StoryRing | undefined {
  const latest = stories.at(-1)
  if (!latest) return undefined
  const hasUnseen = user.userId !== myId && stories.some(({ isViewed }) => !isViewed)
  return { user, stories, hasUnseen, latestAt: latest.createdAt }
}

/** As the server lists them: one's own first, then those with something unseen, then by the newest story. */
export function inOrder(rings: readonly StoryRing[], myId: string): StoryRing[] {
  const rank = ({ user, hasUnseen }: StoryRing): number => {
    if (user.userId === myId) return 0
    return hasUnseen ? 1 : 2
  }
  return rings.toSorted((a, b) => rank(a) - rank(b) || b.latestAt.localeCompare(a.latestAt))
}

/** With the stories of one ring changed; a ring without stories goes. */
function changed(
  rings: readonly StoryRing[],
  myId: string,
  change: (stories: Story[], userId: string) => Story[],
): StoryRing[] {
  return inOrder(
    rings.flatMap((ring) => {
      const stories = change(ring.stories, ring.user.userId)
      return stories === ring.stories ? ring : (ringOf(ring.user, stories, myId) ?? [])
    }),
    myId,
  )
}

/** With a story that was told, or as it is now. Undefined where its teller has no ring yet: who that is is not known. */
export function withStory(rings: readonly StoryRing[], story: Story, myId: string): StoryRing[] | undefined {
  if (!rings.some(({ user }) => user.userId === story.userId)) return undefined
  return changed(rings, myId, (stories, userId) =>
    userId === story.userId ? [...stories.filter(({ id }) => id !== story.id), story].toSorted(byTime) : stories,
  )
}

export const withoutStory = (rings: readonly StoryRing[], storyId: string, myId: string): StoryRing[] =>
  changed(rings, myId, (stories) =>
    stories.some(({ id }) => id === storyId) ? stories.filter(({ id }) => id !== storyId) : stories,
  )

/** With one's own sight of a story, and one's reaction where that is given; `undefined` takes it back. */
export function asSeen(
  rings: readonly StoryRing[],
  storyId: string,
  myId: string,
  own: { reaction?: string | undefined } = {},
): StoryRing[] {
  return changed(rings, myId, (stories) =>
    stories.some(({ id }) => id === storyId)
      ? stories.map((story) => (story.id === storyId ? { ...story, ...own, isViewed: true } : story))
      : stories,
  )
}

/** Where somebody's stories are begun: at the first unseen one, else at the first. */
export function beginningOf({ user, stories }: StoryRing): Spot | undefined {
  const first = stories.find(({ isViewed }) => !isViewed) ?? stories[0]
  return first && { userId: user.userId, storyId: first.id }
}

/**
 * The story after or before one: of the same person, else of the next one in `people`, whose order stays what it was when
 * the first story was opened. Forwards a person's stories begin at the first unseen one, backwards at the last. Undefined
 * beyond the ends.
 */
export function neighbourOf(
  rings: readonly StoryRing[],
  people: readonly string[],
  { userId, storyId }: Spot,
  step: 1 | -1,
): Spot | undefined {
  const ringBy = (id: string | undefined) => rings.find(({ user }) => user.userId === id)
  const stories = ringBy(userId)?.stories ?? []
  const at = stories.findIndex(({ id }) => id === storyId)
  const near = at < 0 ? undefined : stories[at + step]
  if (near) return { userId, storyId: near.id }
  for (let place = people.indexOf(userId) + step; place >= 0 && place < people.length; place += step) {
    const ring = ringBy(people[place])
    const last = ring?.stories.at(-1)
    if (!ring || !last) continue
    return step > 0 ? beginningOf(ring) : { userId: ring.user.userId, storyId: last.id }
  }
  return undefined
}
