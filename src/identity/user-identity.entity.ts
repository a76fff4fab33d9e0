import { defineEntity, p } from '@mikro-orm/core'
import { createdAtColumn } from '../database/base.entity.ts'
import { User } from './user.entity.ts'

/** A user as another service knows them: an OpenID Connect provider or Telegram. Each can be of one user alone. */
export const UserIdentity = defineEntity({
  name: 'UserIdentity',
  tableName: 'user_identities',
  properties: {
    /** The provider's name in the configuration, or `telegram`. */
    provider: p.text().primary(),
    /** OpenID Connect's `sub`; Telegram's 64-bit id in decimal. */
    providerUserId: p.text().primary(),
    user: () => p.manyToOne(User).deleteRule('cascade'),
    /** What the provider said of the user at the latest login: name, picture, language. */
    profile: p.json<Record<string, unknown>>(),
    ...createdAtColumn,
  },
  uniques: [{ name: 'user_identities_user_id_provider_unique', properties: ['user', 'provider'] }],
})
