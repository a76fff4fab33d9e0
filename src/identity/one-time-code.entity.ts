import { defineEntity, p } from '@mikro-orm/core'
import { createdAtColumn, idColumn, timestamp } from '../database/base.entity.ts'
import { User } from './user.entity.ts'

/** A code or token that was mailed to someone, by its hash. Of each user and purpose only the newest is good. */
export const OneTimeCode = defineEntity({
  name: 'OneTimeCode',
  tableName: 'one_time_codes',
  properties: {
    ...idColumn,
    user: () => p.manyToOne(User).deleteRule('cascade'),
    purpose: p.enum(['verify_email', 'reset_password', 'change_email'] as const),
    codeHash: p.blob().index('one_time_codes_hash'),
    /** The address that a change of address is to, and that it was mailed to. */
    newEmail: p.text().nullable(),
    attempts: p.smallint().default(0),
    expiresAt: timestamp(),
    usedAt: timestamp().nullable(),
    ...createdAtColumn,
  },
  indexes: [{ name: 'one_time_codes_user', properties: ['user', 'purpose'] }],
})
