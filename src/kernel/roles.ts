/** What an account may do to others, from the least to the most; each may do what those before it may. */
export const roles = ['user', 'viewer', 'operator', 'moderator', 'admin', 'super_admin'] as const

export type Role = (typeof roles)[number]

export const isAtLeast = (role: Role, least: Role): boolean => roles.indexOf(role) >= roles.indexOf(least)

/** Whether one may act on another: only on those who stand below, so that nobody can be outvoted by equals. */
export const standsAbove = (role: Role, other: Role): boolean => roles.indexOf(role) > roles.indexOf(other)
