import type { MediaUrls } from '../kernel/ports.ts'
import type { Me, User } from './identity.contract.ts'
import type { StaffUser } from './staff.contract.ts'
import type { User as UserEntity } from './user.entity.ts'

/** What the presenter reads of a user's row. */
export type UserRow = Pick<UserEntity, 'id' | 'kind' | 'username' | 'displayName'> & { avatarId: string | null }

/** What it reads of one's own; times as the driver gives them. */
export type AccountRow = UserRow &
  Pick<UserEntity, 'email' | 'locale' | 'role'> & { verified: boolean; createdAt: string }

/** What it reads for staff. */
export type StaffRow = Omit<AccountRow, 'locale'> &
  Pick<UserEntity, 'banReason'> & { bannedAt: string | null; lastSeenAt: string | null; deletedAt: string | null }

/** What anyone may see of a user. */
export const presentUser = ({ id, kind, username, displayName, avatarId }: UserRow, urls: MediaUrls): User => ({
  ...{ id, kind, username, displayName },
  ...(avatarId !== null && { avatarUrl: urls.of(avatarId, 'thumbnail') }),
})

/** What users see of their own account. */
export const presentMe = (row: AccountRow, urls: MediaUrls): Me => ({
  ...presentUser(row, urls),
  ...(row.email !== null && { email: row.email }),
  emailVerified: row.verified,
  locale: row.locale,
  role: row.role,
  createdAt: iso(row.createdAt),
})

/** What staff see of an account. */
export const presentStaffUser = (row: StaffRow, urls: MediaUrls): StaffUser => ({
  ...presentUser(row, urls),
  ...(row.email !== null && { email: row.email }),
  emailVerified: row.verified,
  role: row.role,
  ...(row.bannedAt !== null && { bannedAt: iso(row.bannedAt) }),
  ...(row.banReason !== null && { banReason: row.banReason }),
  createdAt: iso(row.createdAt),
  ...(row.lastSeenAt !== null && { lastSeenAt: iso(row.lastSeenAt) }),
  ...(row.deletedAt !== null && { deletedAt: iso(row.deletedAt) }),
})

const iso = (time: string): string => new Date(time).toISOString()
