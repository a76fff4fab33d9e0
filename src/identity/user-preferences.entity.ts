import { defineEntity, p } from '@mikro-orm/core'
import { createdAtColumn, updatedAtColumn } from '../database/base.entity.ts'
import { User } from './user.entity.ts'

/** What a user has chosen; without a row the standard values hold. */
export const UserPreferences = defineEntity({
  name: 'UserPreferences',
  tableName: 'user_preferences',
  properties: {
    user: () => p.manyToOne(User).primary().deleteRule('cascade').updateRule('no action'),
    preferredModels: p.array().default([]),
    theme: p.enum(['light', 'dark'] as const).default('light'),
    emailNotifications: p.boolean().default(true),
    usageAlerts: p.boolean().default(true),
    /** A name of the IANA time zone database. */
    timezone: p.text().default('UTC'),
    ...createdAtColumn,
    ...updatedAtColumn,
  },
})
