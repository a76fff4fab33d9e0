import { sql } from 'kysely'
import type { Database } from '../database/database.ts'
import { notFound } from '../kernel/errors.ts'
import type { Preferences } from './preferences.contract.ts'

/** As long as a user has chosen nothing. */
const standard: Preferences = {
  preferredModels: [],
  theme: 'light',
  emailNotifications: true,
  usageAlerts: true,
  timezone: 'UTC',
}

/** The columns of Preferences. */
const chosen = sql`preferred_models as "preferredModels", theme, email_notifications as "emailNotifications",
  usage_alerts as "usageAlerts", timezone`

type Changes = { [Field in keyof Preferences]?: Preferences[Field] | undefined }

/** Owns `user_preferences`: a row comes with the first choice. */
export function createPreferences(database: Database) {
  async function get(userId: string): Promise<Preferences> {
    const [row] = await database.query(sql<Preferences>`
      select ${chosen} from user_preferences where user_id = ${userId}`)
    return row ?? standard
  }

  /**
   * Changes what is given and leaves the rest.
   * @throws AppError not_found where the account was deleted since the request was authenticated
   */
  async function update(userId: string, changes: Changes): Promise<Preferences> {
    const first = { ...standard, ...changes }
    // the row's user is locked, so that none is left behind for an account that is being deleted
    const [row] = await database.query(sql<Preferences>`
      insert into user_preferences (user_id, preferred_models, theme, email_notifications, usage_alerts, timezone)
      select id, ${first.preferredModels}::text[], ${first.theme}, ${first.emailNotifications}::boolean,
        ${first.usageAlerts}::boolean, ${first.timezone}
      from users where id = ${userId} and deleted_at is null for no key update
      on conflict (user_id) do update set
        preferred_models = coalesce(${changes.preferredModels ?? null}::text[], user_preferences.preferred_models),
        theme = coalesce(${changes.theme ?? null}, user_preferences.theme),
        email_notifications = coalesce(${changes.emailNotifications ?? null}::boolean, user_preferences.email_notifications),
        usage_alerts = coalesce(${changes.usageAlerts ?? null}::boolean, user_preferences.usage_alerts),
        timezone = coalesce(${changes.timezone ?? null}, user_preferences.timezone)
      returning ${chosen}`)
    if (!row) throw notFound('account')
    return row
  }

  return { get, update }
}
