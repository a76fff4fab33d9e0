import { defineEntity, p } from '@mikro-orm/core'
import { idColumn, timestamp } from '../database/base.entity.ts'
import { User } from '../identity/user.entity.ts'
import { Attachment } from '../media/attachment.entity.ts'

/** What somebody shows for 24 hours to the people that they share a conversation with. */
const schema = defineEntity({
  name: 'Story',
  tableName: 'stories',
  properties: {
    ...idColumn,
    user: () => p.manyToOne(User).deleteRule('cascade'),
    /** Null: a story of words alone. */
    attachment: () => p.manyToOne(Attachment).nullable().deleteRule('no action'),
    caption: p.text().nullable(),
    createdAt: timestamp(),
    expiresAt: timestamp(),
  },
  checks: [
    { name: 'stories_content_check', expression: 'attachment_id is not null or caption is not null' },
    { name: 'stories_life_check', expression: 'expires_at > created_at' },
  ],
  indexes: [
    { name: 'stories_user', properties: ['user', 'createdAt'] },
    { name: 'stories_expires', properties: ['expiresAt'] },
    { name: 'stories_attachment', properties: ['attachment'] },
  ],
})

export class Story extends schema.class {}
schema.setClass(Story)

/** That somebody has seen a story, once, and what they said to it by an emoji. */
export const StoryView = defineEntity({
  name: 'StoryView',
  tableName: 'story_views',
  properties: {
    story: () => p.manyToOne(Story).primary().deleteRule('cascade'),
    user: () => p.manyToOne(User).primary().deleteRule('cascade'),
    viewedAt: timestamp(),
    reaction: p.text().nullable(),
  },
  indexes: [{ name: 'story_views_user', properties: ['user'] }],
})
