import { defineEntity, p } from '@mikro-orm/core'
import { createdAtColumn } from '../database/base.entity.ts'
import { User } from './user.entity.ts'

/** A day (UTC) on which a user was here; for the figures. */
export const UserActivity = defineEntity({
  name: 'UserActivity',
  tableName: 'user_activity',
  properties: {
    user: () => p.manyToOne(User).primary().deleteRule('cascade'),
    day: p.date().primary().index('user_activity_day'),
    ...createdAtColumn,
  },
})
