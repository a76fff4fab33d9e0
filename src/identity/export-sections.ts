import { sql } from 'kysely'
import type { Database } from '../database/database.ts'
import { inPages } from '../kernel/pages.ts'
import type { ExportSection } from '../kernel/ports.ts'

const pageSize = 200

/** A time in the form of the contracts. */
const timeOf = (column: string) => sql<string | null>`
  to_char(${sql.ref(column)} at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`

/** What identity knows of a user, but for what proves who they are: no password, token or code, nor a hash of one. */
export function identitySections(database: Pick<Database, 'query'>): ExportSection[] {
  return [
    {
      name: 'profile',
      about: 'Your account: name, address, language, role.',
      rows: (userId) =>
        one(sql`
          select id, kind, username, display_name as "displayName", email,
            ${timeOf('email_verified_at')} as "emailVerifiedAt", avatar_id as "avatarId", locale, role, permissions,
            referral_code_used as "referralCodeUsed", stripe_customer_id as "stripeCustomerId",
            mock_mode_enabled as "mockModeEnabled", ${timeOf('last_seen_at')} as "lastSeenAt",
            ${timeOf('created_at')} as "createdAt", ${timeOf('updated_at')} as "updatedAt"
          from users where id = ${userId} and deleted_at is null`),
    },
    {
      name: 'preferences',
      about: 'What you have chosen; empty where you have left everything as it was.',
      rows: (userId) =>
        one(sql`
          select preferred_models as "preferredModels", theme, email_notifications as "emailNotifications",
            usage_alerts as "usageAlerts", timezone, ${timeOf('created_at')} as "createdAt",
            ${timeOf('updated_at')} as "updatedAt"
          from user_preferences where user_id = ${userId}`),
    },
    {
      name: 'blocks',
      about: 'Whom you have blocked, and when.',
      rows: (userId) =>
        inPages<{ userId: string }>((after) =>
          database.query(sql`
            select b.blocked_user_id as "userId", u.username, ${timeOf('b.created_at')} as "createdAt"
            from blocks b join users u on u.id = b.blocked_user_id
            where b.user_id = ${userId} ${after ? sql`and b.blocked_user_id > ${after.userId}` : sql``}
            order by b.blocked_user_id limit ${pageSize}`),
        ),
    },
    {
      name: 'identities',
      about: 'Other services by which you log in, and what they said of you.',
      rows: (userId) =>
        inPages<{ provider: string }>((after) =>
          database.query(sql`
            select provider, provider_user_id as "providerUserId", profile, ${timeOf('created_at')} as "createdAt"
            from user_identities where user_id = ${userId} and provider > ${after?.provider ?? ''}
            order by provider limit ${pageSize}`),
        ),
    },
    {
      name: 'sessions',
      about: 'Your logins of the last days: from what device and address, when begun, used and ended.',
      rows: (userId) =>
        inPages<{ id: string }>((after) =>
          database.query(sql`
            select distinct on (family_id) family_id as id, device, ${timeOf('logged_in_at')} as "loggedInAt",
              ${timeOf('created_at')} as "lastUsedAt", ${timeOf('expires_at')} as "expiresAt",
              ${timeOf('revoked_at')} as "endedAt"
            from refresh_tokens
            where user_id = ${userId} ${after ? sql`and family_id > ${after.id}` : sql``}
            order by family_id, created_at desc limit ${pageSize}`),
        ),
    },
    {
      name: 'activity',
      about: 'The days (UTC) on which you were here.',
      rows: (userId) =>
        inPages<{ day: string }>((after) =>
          database.query(sql`
            select to_char(day, 'YYYY-MM-DD') as day from user_activity
            where user_id = ${userId} ${after ? sql`and day > ${after.day}::date` : sql``}
            order by user_activity.day limit ${pageSize}`),
        ),
    },
  ]

  async function* one(statement: ReturnType<typeof sql>): AsyncGenerator<object> {
    yield* (await database.query(statement)) as object[]
  }
}
