import { defineEntity, p } from '@mikro-orm/core'
import { createdAtColumn } from '../database/base.entity.ts'
import { User } from './user.entity.ts'

/** Somebody wants nothing of somebody. It holds in both directions, and only who made it is shown it. */
export const Block = defineEntity({
  name: 'Block',
  tableName: 'blocks',
  properties: {
    user: () => p.manyToOne(User).primary().deleteRule('cascade'),
    blocked: () => p.manyToOne(User).joinColumn('blocked_user_id').primary().deleteRule('cascade'),
    ...createdAtColumn,
  },
  indexes: [{ name: 'blocks_blocked_user', properties: ['blocked'] }],
})
