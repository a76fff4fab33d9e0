import type { Me, User } from './identity.contract.ts'
import type { User as UserEntity } from './user.entity.ts'

/** What the presenter reads of a user's row. */
export type UserRow = Pick<UserEntity, 'id' | 'kind' | 'username' | 'displayName'>

/** What it reads of one's own; times as the driver gives them. */
export type AccountRow = UserRow &
  Pick<UserEntity, 'email' | 'locale' | 'role'> & { verified: boolean; createdAt: string }

/** What anyone may see of a user. */
export const presentUser = ({ id, kind, username, displayName }: UserRow): User => ({ id, kind, username, displayName })

/** What users see of their own account. */
export const presentMe = (row: AccountRow): Me => ({
  ...presentUser(row),
  ...(row.email !== null && { email: row.email }),
  emailVerified: row.verified,
  locale: row.locale,
  role: row.role,
  createdAt: new Date(row.createdAt).toISOString(),
})
