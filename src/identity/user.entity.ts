import { defineEntity, p } from '@mikro-orm/core'
import { createdAtColumn, idColumn, timestamp, updatedAtColumn } from '../database/base.entity.ts'

const schema = defineEntity({
  name: 'User',
  tableName: 'users',
  properties: {
    ...idColumn,
    kind: p.enum(['human', 'agent'] as const).default('human'),
    username: p.text(),
    /** Null for users who came through Telegram, and for agents. */
    email: p.text().nullable(),
    emailVerifiedAt: timestamp().nullable(),
    /** argon2id in PHC format; null for those who log in elsewhere. */
    passwordHash: p.text().nullable(),
    displayName: p.text(),
    /** An attachment's id; no foreign key, since media stands to the right of identity. */
    avatarId: p.uuid().nullable(),
    locale: p.text().default('en'),
    role: p.enum(['user', 'viewer', 'operator', 'moderator', 'admin', 'super_admin'] as const).default('user'),
    /** Single rights beside the role's. */
    permissions: p.json<string[]>().defaultRaw("'[]'"),
    referralCodeUsed: p.text().nullable(),
    stripeCustomerId: p.text().nullable().unique('users_stripe_customer_id_unique'),
    /** Answers of agents come from the offline model, whatever is configured. */
    mockModeEnabled: p.boolean().default(false),
    bannedAt: timestamp().nullable(),
    banReason: p.text().nullable(),
    lastSeenAt: timestamp().nullable(),
    /** When username, display name or avatar last became others; null while they are the first ones. */
    profileChangedAt: timestamp().nullable(),
    /** The one person who finds and meets this user, the owner of a private agent; null: everybody does. */
    privateTo: p.uuid().nullable(),
    deletedAt: timestamp().nullable(),
    ...createdAtColumn,
    ...updatedAtColumn,
  },
  indexes: [
    {
      name: 'users_avatar',
      expression: 'create index users_avatar on users (avatar_id) where avatar_id is not null',
    },
    {
      name: 'users_private_to',
      expression: 'create index users_private_to on users (private_to) where private_to is not null',
    },
    {
      name: 'users_profile_changed',
      expression:
        'create index users_profile_changed on users (profile_changed_at) where profile_changed_at is not null',
    },
    {
      name: 'users_display_name_lower',
      expression: 'create index users_display_name_lower on users (lower(display_name) text_pattern_ops)',
    },
  ],
  uniques: [
    {
      name: 'users_username_unique',
      expression: 'create unique index users_username_unique on users (lower(username) text_pattern_ops)',
    },
    { name: 'users_email_unique', expression: 'create unique index users_email_unique on users (lower(email))' },
  ],
})

export class User extends schema.class {}
schema.setClass(User)
