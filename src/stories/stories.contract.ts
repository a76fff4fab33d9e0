import { z } from 'zod'
import * as p from '../kernel/primitives.ts'
import { attachment } from '../media/media.contract.ts'
import { face, sendOutput } from '../messenger/messenger.contract.ts'

const maxCaptionLength = 1000

/** What somebody shows for 24 hours to the people with whom they share a conversation. */
export const story = z
  .object({
    id: p.id,
    userId: p.id,
    attachment: attachment.optional().meta({ description: 'Its addresses end with the story. Absent: words alone.' }),
    caption: z.string().optional(),
    createdAt: p.timestamp,
    expiresAt: p.timestamp,
    isViewed: z.boolean().meta({ description: 'Whether you have seen it; of your own: true.' }),
    reaction: z.string().optional().meta({ description: 'Yours: one emoji.' }),
    viewCount: z.int().optional().meta({ description: 'Of your own stories.' }),
  })
  .meta({ id: 'Story' })

/** The stories of one person, oldest first. */
export const ring = z
  .object({ user: face, stories: z.array(story), hasUnseen: z.boolean(), latestAt: p.timestamp })
  .meta({ id: 'StoryRing' })

export const view = z
  .object({ user: face, viewedAt: p.timestamp, reaction: z.string().optional() })
  .meta({ id: 'StoryView' })

const onStory = { storyId: p.id }

const ada = '0197a3c2-7d1e-7c40-9b7e-2f6d0a1b3c4d'
const grace = { userId: '0197a3c2-9c55-7a21-8f13-6b0e4d2c5a77', username: 'grace', displayName: 'Grace Hopper' }
const exampleStory = {
  id: '019aa6fa-12ab-7c3d-8e4f-506172839405',
  userId: grace.userId,
  caption: 'The first bug, taped into the log book',
  createdAt: '2026-11-21T09:40:00.000Z',
  expiresAt: '2026-11-22T09:40:00.000Z',
  isViewed: false,
}

/** Operations on stories, by their names. */
export const storiesContract = {
  'story:create': {
    summary: 'Tell a story: an image or video of yours, words, or both; gone after 24 hours',
    input: z
      .strictObject({ attachmentId: p.id.optional(), caption: p.text(maxCaptionLength).min(1).optional() })
      .refine((input) => Object.keys(input).length > 0, 'give an attachment, a caption or both'),
    output: story,
    errors: ['unprocessable'],
    example: {
      input: { caption: exampleStory.caption },
      output: { ...exampleStory, userId: ada, isViewed: true, viewCount: 0 },
    },
  },
  'story:list': {
    summary: 'Stories that you may see, by person: your own first, then unseen ones, then newest first',
    input: z.strictObject({ cursor: p.cursor.optional(), limit: p.pageLimit(100, 50) }),
    output: z.object({ items: z.array(ring), nextCursor: p.nextCursor }),
    errors: [],
    example: {
      input: { limit: 50 },
      output: {
        items: [{ user: grace, stories: [exampleStory], hasUnseen: true, latestAt: exampleStory.createdAt }],
      },
    },
  },
  'story:get': {
    summary: 'A story that you may see',
    input: z.strictObject(onStory),
    output: story,
    errors: ['not_found'],
    example: { input: { storyId: exampleStory.id }, output: exampleStory },
  },
  'story:view': {
    summary: 'Say that you have seen a story; counted once',
    input: z.strictObject(onStory),
    output: p.empty,
    errors: ['not_found'],
    example: { input: { storyId: exampleStory.id }, output: {} },
  },
  'story:views': {
    summary: 'Who has seen your story, newest first',
    input: z.strictObject({ ...onStory, cursor: p.cursor.optional(), limit: p.pageLimit(200, 50) }),
    output: z.object({ items: z.array(view), nextCursor: p.nextCursor }),
    errors: ['not_found'],
    example: {
      input: { storyId: exampleStory.id, limit: 50 },
      output: { items: [{ user: grace, viewedAt: '2026-11-21T09:41:12.900Z', reaction: '🪲' }] },
    },
  },
  'story:react': {
    summary: 'React to a story by one emoji, in place of an earlier one; it counts as seen',
    input: z.strictObject({ ...onStory, emoji: p.emoji }),
    output: p.empty,
    errors: ['not_found', 'unprocessable'],
    example: { input: { storyId: exampleStory.id, emoji: '🪲' }, output: {} },
  },
  'story:unreact': {
    summary: 'Take your reaction to a story back',
    input: z.strictObject(onStory),
    output: p.empty,
    errors: ['not_found'],
    example: { input: { storyId: exampleStory.id }, output: {} },
  },
  'story:reply': {
    summary: 'Answer a story by a message to who told it, in your direct conversation',
    input: z.strictObject({
      ...onStory,
      clientId: p.text(64).min(1),
      content: p.content.refine((value) => value !== '', 'must not be empty'),
    }),
    output: sendOutput.extend({ conversationId: p.id }).meta({ id: 'StoryReply' }),
    errors: ['not_found', 'unprocessable', 'forbidden', 'idempotency_conflict'],
    example: {
      input: { storyId: exampleStory.id, clientId: '2f8e5a70-1c3b-4d6e-9f80-a1b2c3d4e5f6', content: 'Was it a moth?' },
      output: {
        conversationId: '019aa6f0-1d2e-7b3f-8c4a-5e6f70819203',
        id: '019aa6fb-77aa-7b01-92c3-d4e5f6071829',
        ...{ seq: 7, prevChange: 9, change: 10 },
        createdAt: '2026-11-21T09:42:30.118Z',
      },
    },
  },
  'story:remove': {
    summary: 'Remove your story before its time',
    input: z.strictObject(onStory),
    output: p.empty,
    errors: ['not_found'],
    example: { input: { storyId: exampleStory.id }, output: {} },
  },
} as const

/** Events of stories: meaning and payload by name. */
export const storiesEvents = {
  'story:created': {
    summary: 'Somebody with whom you share a conversation, or you on another device, tells a story',
    payload: story,
  },
  'story:removed': { summary: 'A story has ended', payload: z.object(onStory) },
  'story:viewed': {
    summary: 'Somebody has seen your story, or has another reaction to it',
    payload: z.object({ ...onStory, userId: p.id, viewedAt: p.timestamp, reaction: z.string().optional() }),
  },
} as const

type Contracts = typeof storiesContract
export type StoryInput<K extends keyof Contracts> = z.output<Contracts[K]['input']>
export type StoryOutput<K extends keyof Contracts> = z.infer<Contracts[K]['output']>
export type StoryEvent<K extends keyof typeof storiesEvents> = z.infer<(typeof storiesEvents)[K]['payload']>
export type Story = z.infer<typeof story>
export type StoryRing = z.infer<typeof ring>
export type StoryView = z.infer<typeof view>
