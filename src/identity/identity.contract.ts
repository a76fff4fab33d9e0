import { z } from 'zod'
import * as p from '../kernel/primitives.ts'

/** What anyone may see of a user. */
export const user = z
  .object({
    id: p.id,
    kind: z.enum(['human', 'agent']),
    username: z.string(),
    displayName: z.string(),
    avatarUrl: z.string().optional(),
  })
  .meta({ id: 'User' })

/** One's own account. */
export const me = user
  .extend({
    email: z.string().optional(),
    emailVerified: z.boolean(),
    locale: z.string(),
    role: z.enum(['user', 'viewer', 'operator', 'moderator', 'admin', 'super_admin']),
    createdAt: p.timestamp,
  })
  .meta({ id: 'Me' })

const email = z
  .email()
  .max(254)
  .refine((value) => value.isWellFormed(), 'must be a valid address')
const password = p.text(200).refine((value) => [...value].length >= 8, 'must be at least 8 characters')
const displayName = p.text(64).refine((value) => value.trim() !== '', 'must not be blank')
const locale = z
  .string()
  .max(35)
  .regex(/^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$/, 'must be a language tag such as `en` or `ko-KR`')
const refreshToken = z.string().min(1).max(200)

const tokens = z.object({
  accessToken: z.string(),
  /** Seconds until the access token expires. */
  expiresIn: z.int(),
  refreshToken: z.string().optional().meta({ description: 'Absent where the refresh token travels in a cookie.' }),
})

export const session = z.object({ user: me }).extend(tokens.shape).meta({ id: 'Session' })

/** Operations of accounts and logins, by their names. */
export const identityContract = {
  'auth:register': {
    summary: 'Create an account and its first login',
    input: z.strictObject({
      email,
      password,
      username: p.username,
      displayName: displayName.optional(),
      locale: locale.optional(),
      referralCode: p.text(64).optional(),
    }),
    output: session,
  },
  'auth:login': {
    summary: 'Log in with email or username, and password',
    input: z
      .strictObject({ email: p.text(254).optional(), username: p.text(64).optional(), password: p.text(200) })
      .refine(
        (input) => (input.email === undefined) !== (input.username === undefined),
        'give either email or username',
      ),
    output: session,
  },
  'auth:refresh': {
    summary: 'Trade a refresh token for new tokens; each refresh token works once',
    input: z.strictObject({ refreshToken: refreshToken.optional() }),
    output: tokens.meta({ id: 'Tokens' }),
  },
  'auth:logout': {
    summary: 'End this login: its tokens stop working and its sockets close, on every node',
    input: p.empty,
    output: p.empty,
  },
  'auth:logout-all': {
    summary: 'End every login of the account',
    input: p.empty,
    output: p.empty,
  },
  'me:get': { summary: 'Your account', input: p.empty, output: me },
  'me:update': {
    summary: 'Change your display name, username or locale',
    input: z
      .strictObject({ displayName: displayName.optional(), username: p.username.optional(), locale: locale.optional() })
      .refine((input) => Object.keys(input).length > 0, 'give at least one field to change'),
    output: me,
  },
  'user:search': {
    summary: 'Find people by the beginning of their username or display name',
    input: z.strictObject({ query: p.text(64).min(1), cursor: p.cursor.optional(), limit: p.pageLimit(50, 20) }),
    output: z.object({ items: z.array(user), nextCursor: p.nextCursor }),
  },
  'user:get': { summary: 'A person', input: z.strictObject({ userId: p.id }), output: user },
} as const

export type User = z.infer<typeof user>
export type Me = z.infer<typeof me>
export type Session = z.infer<typeof session>
export type Tokens = z.infer<typeof tokens>
