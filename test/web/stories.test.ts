import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Story, StoryRing } from '../../src/client/index.ts'
import { asSeen, beginningOf, inOrder, neighbourOf, withoutStory, withStory } from '../../web/src/stories/order.ts'

const me = 'me'
const story = (userId: string, id: string, hour: number, isViewed = userId === me): Story => ({
  ...{ id, userId, isViewed },
  createdAt: `2026-11-21T${String(hour).padStart(2, '0')}:00:00.000Z`,
  expiresAt: `2026-11-22T${String(hour).padStart(2, '0')}:00:00.000Z`,
})
const ring = (userId: string, ...stories: Story[]): StoryRing => ({
  user: { userId, username: userId, displayName: userId },
  stories,
  hasUnseen: userId !== me && stories.some(({ isViewed }) => !isViewed),
  latestAt: stories.at(-1)!.createdAt,
})
const names = (rings: readonly StoryRing[] | undefined) => rings?.map(({ user }) => user.userId)

describe('rings of stories', () => {
  const seen = ring('seen', story('seen', 's1', 9, true))
  const early = ring('early', story('early', 'e1', 6), story('early', 'e2', 7))
  const late = ring('late', story('late', 'l1', 8))
  const own = ring(me, story(me, 'm1', 1))
  const rings = inOrder([seen, early, late, own], me)

  it('are one’s own, then unseen ones, then the newest', () => {
    assert.deepEqual(names(rings), [me, 'late', 'early', 'seen'])
  })

  it('take in a story that is told, in its place by time, and once', () => {
    const told = story('seen', 's2', 10)
    const once = withStory(rings, told, me) ?? []
    const twice = withStory(once, told, me)
    assert.deepEqual(names(twice), [me, 'seen', 'late', 'early'])
    assert.deepEqual(
      twice?.[1]?.stories.map(({ id }) => id),
      ['s1', 's2'],
    )
    assert.equal(twice?.[1]?.latestAt, told.createdAt)
  })

  it('do not know who tells a first story', () => {
    assert.equal(withStory(rings, story('stranger', 'x', 3), me), undefined)
  })

  it('lose a story that has ended, and the ring with its last one', () => {
    const without = withoutStory(withoutStory(rings, 'l1', me), 'e2', me)
    assert.deepEqual(names(without), [me, 'early', 'seen'])
    assert.equal(without[1]?.latestAt, early.stories[0]?.createdAt)
    assert.deepEqual(withoutStory(rings, 'unknown', me), rings)
  })

  it('move behind the unseen ones when all of it is seen, with the reaction', () => {
    const after = asSeen(asSeen(rings, 'e1', me), 'e2', me, { reaction: '🔥' })
    assert.deepEqual(names(after), [me, 'late', 'seen', 'early'])
    assert.equal(after[3]?.hasUnseen, false)
    assert.equal(after[3]?.stories[1]?.reaction, '🔥')
    assert.equal(asSeen(after, 'e2', me)[3]?.stories[1]?.reaction, '🔥')
    assert.equal(asSeen(after, 'e2', me, { reaction: undefined })[3]?.stories[1]?.reaction, undefined)
  })

  it('never count one’s own stories as unseen', () => {
    const told = withStory(rings, { ...story(me, 'm2', 2), isViewed: false }, me)
    assert.equal(told?.[0]?.hasUnseen, false)
  })
})

describe('the way through stories', () => {
  const first = ring('first', story('first', 'a1', 1, true), story('first', 'a2', 2), story('first', 'a3', 3))
  const second = ring('second', story('second', 'b1', 1, true), story('second', 'b2', 2))
  const third = ring('third', story('third', 'c1', 1, true))
  const rings = [first, second, third]
  const people = ['first', 'gone', 'second', 'third']
  const step = (userId: string, storyId: string, by: 1 | -1) =>
    neighbourOf(rings, people, { userId, storyId }, by)?.storyId

  it('begins at what is not seen yet, else at the first', () => {
    assert.equal(beginningOf(first)?.storyId, 'a2')
    assert.equal(beginningOf(third)?.storyId, 'c1')
  })

  it('goes on within a person, then to the next one who still has stories', () => {
    assert.equal(step('first', 'a2', 1), 'a3')
    assert.equal(step('first', 'a3', 1), 'b2')
    assert.equal(step('second', 'b2', 1), 'c1')
    assert.equal(step('third', 'c1', 1), undefined)
  })

  it('goes back to the last story of the person before', () => {
    assert.equal(step('second', 'b2', -1), 'b1')
    assert.equal(step('second', 'b1', -1), 'a3')
    assert.equal(step('first', 'a1', -1), undefined)
  })

  it('goes on from a story that has ended meanwhile', () => {
    assert.equal(step('first', 'ended', 1), 'b2')
    assert.equal(step('gone', 'ended', 1), 'b2')
  })
})
