import { z } from 'zod'
import * as p from '../kernel/primitives.ts'
import { user } from './identity.contract.ts'

const role = z.enum(['user', 'viewer', 'operator', 'moderator', 'admin', 'super_admin'])

/** What staff see of a user. */
const staffUser = user
  .extend({
    email: z.string().optional(),
    emailVerified: z.boolean(),
    role,
    bannedAt: p.timestamp.optional(),
    banReason: z.string().optional(),
    createdAt: p.timestamp,
    lastSeenAt: p.timestamp.optional().meta({ description: 'Right to a few minutes for someone who is here now.' }),
    deletedAt: p.timestamp.optional(),
  })
  .meta({ id: 'StaffUser' })

const reason = p.text(500).refine((value) => value.trim() !== '', 'must not be blank')

const userId = '0197a3c2-7d1e-7c40-9b7e-2f6d0a1b3c4d'
const rowdy = {
  id: userId,
  kind: 'human' as const,
  username: 'rowdy',
  displayName: 'Rowdy',
  email: 'rowdy@example.org',
  emailVerified: true,
  role: 'user' as const,
  createdAt: '2026-11-03T17:20:09.310Z',
  lastSeenAt: '2026-11-21T09:30:02.481Z',
}
const bannedRowdy = { ...rowdy, bannedAt: '2026-11-21T09:31:47.002Z', banReason: 'Insults after a warning' }

/** What staff do about people, by the names of the operations. */
export const staffContract = {
  'staff:users': {
    summary: 'All accounts in the order of their usernames, or those found by a query',
    input: z.strictObject({
      query: p
        .text(254)
        .min(1)
        .optional()
        .meta({ description: 'The beginning of a username or display name, or a whole email address.' }),
      cursor: p.cursor.optional(),
      limit: p.pageLimit(100, 50),
    }),
    output: z.object({ items: z.array(staffUser), nextCursor: p.nextCursor }),
    errors: ['forbidden'] as const,
    example: { input: { query: 'row', limit: 20 }, output: { items: [bannedRowdy] } },
  },
  'staff:user': {
    summary: 'An account as staff see it',
    input: z.strictObject({ userId: p.id }),
    output: staffUser,
    errors: ['forbidden', 'not_found'] as const,
    example: { input: { userId }, output: rowdy },
  },
  'staff:ban': {
    summary: 'Ban someone who stands below you: all their logins and sockets end at once. A repeat changes the reason',
    input: z.strictObject({ userId: p.id, reason }),
    output: staffUser,
    errors: ['forbidden', 'not_found'] as const,
    example: { input: { userId, reason: 'Insults after a warning' }, output: bannedRowdy },
  },
  'staff:unban': {
    summary: 'Take a ban back: the account can log in again',
    input: z.strictObject({ userId: p.id }),
    output: staffUser,
    errors: ['forbidden', 'not_found'] as const,
    example: { input: { userId }, output: rowdy },
  },
  'staff:set-role': {
    summary: 'Give someone a role: admins below their own, a super_admin any; nobody changes their own',
    input: z.strictObject({ userId: p.id, role }),
    output: staffUser,
    errors: ['forbidden', 'not_found', 'unprocessable'] as const,
    example: { input: { userId, role: 'moderator' as const }, output: { ...rowdy, role: 'moderator' as const } },
  },
}

export type StaffUser = z.infer<typeof staffUser>
