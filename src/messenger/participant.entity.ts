import { defineEntity, p } from '@mikro-orm/core'
import { timestamp, updatedAtColumn } from '../database/base.entity.ts'
import { User } from '../identity/user.entity.ts'
import { Conversation } from './conversation.entity.ts'

/** Who is or was in a conversation, with the user's own settings and positions. `leftAt` null: is in it now. */
const schema = defineEntity({
  name: 'Participant',
  tableName: 'participants',
  properties: {
    conversation: () => p.manyToOne(Conversation).primary().deleteRule('cascade'),
    user: () => p.manyToOne(User).primary().deleteRule('cascade'),
    role: p.text().$type<'owner' | 'admin' | 'member'>().default('member'),
    isPinned: p.boolean().default(false),
    isMuted: p.boolean().default(false),
    isArchived: p.boolean().default(false),
    lastReadSeq: p.integer().default(0),
    lastReadAt: timestamp().nullable(),
    lastDeliveredSeq: p.integer().default(0),
    joinedAt: timestamp().defaultRaw('now()'),
    leftAt: timestamp().nullable(),
    /** The conversation's change at which this row's membership or role last changed. */
    change: p.integer(),
    /** When settings or positions last moved; sync finds them by it. */
    ...updatedAtColumn,
  },
  indexes: [
    {
      name: 'participants_user_present',
      expression: 'create index participants_user_present on participants (user_id) where left_at is null',
    },
  ],
})

export class Participant extends schema.class {}
schema.setClass(Participant)
