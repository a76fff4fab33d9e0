import { z } from 'zod'
import * as p from '../kernel/primitives.ts'

/** What anyone may see of a user. */
export const user = z
  .object({
    id: p.id,
    kind: z.enum(['human', 'agent']),
    username: z.string(),
    displayName: z.string(),
    avatarUrl: z.string().optional().meta({ description: 'Good for some minutes, as all addresses of media.' }),
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

const ada = {
  id: '0197a3c2-7d1e-7c40-9b7e-2f6d0a1b3c4d',
  kind: 'human',
  username: 'ada',
  displayName: 'Ada Lovelace',
} as const

const ownAda = {
  ...ada,
  email: 'ada@example.org',
  emailVerified: false,
  locale: 'en-GB',
  role: 'user',
  createdAt: '2026-11-21T09:30:02.481Z',
} as const

const adasSession = {
  user: ownAda,
  accessToken: 'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzaWQiOiIwMTk3YTNjMiJ9.c2lnbmF0dXJl',
  expiresIn: 900,
  refreshToken: 'mJ8yqSg3pVb0nXw5Zt1uRk7cLh2dEf9oAi4sKx6jQvM',
} as const

const guestsSession = {
  ...adasSession,
  user: {
    id: ada.id,
    kind: 'human',
    username: 'guest-k3v9tm2x',
    displayName: 'Guest k3v9',
    emailVerified: false,
    locale: 'en-GB',
    role: 'user',
    createdAt: ownAda.createdAt,
  },
} as const

/** Operations of accounts and logins, by their names. */
export const identityContract = {
  'auth:register': {
    summary: 'Create an account and its first login',
    input: z.strictObject({
      email,
      password: password.meta({ description: 'Neither a common password nor the username or the email.' }),
      username: p.username,
      displayName: displayName.optional(),
      locale: locale.optional(),
      referralCode: p.text(64).optional(),
    }),
    output: session,
    errors: ['conflict'],
    example: {
      input: {
        ...{ email: 'ada@example.org', username: 'ada', password: 'correct horse battery' },
        ...{ displayName: 'Ada Lovelace', locale: 'en-GB' },
      },
      output: adasSession,
    },
  },
  'auth:guest': {
    summary: 'Begin at once, under a username that the server makes: an account without email and password',
    input: z.strictObject({ displayName: displayName.optional(), locale: locale.optional() }),
    output: session,
    errors: ['forbidden'],
    example: { input: { locale: 'en-GB' }, output: guestsSession },
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
    errors: ['unauthenticated', 'banned'],
    example: { input: { username: 'ada', password: 'correct horse battery' }, output: adasSession },
  },
  'auth:refresh': {
    summary: 'Trade a refresh token for new tokens; each refresh token works once',
    input: z.strictObject({ refreshToken: refreshToken.optional() }),
    output: tokens.meta({ id: 'Tokens' }),
    errors: ['unauthenticated', 'banned'],
    example: {
      input: { refreshToken: adasSession.refreshToken },
      output: {
        accessToken: adasSession.accessToken,
        expiresIn: 900,
        refreshToken: 'p3Xw0Lr8TzQk5Hn2Yb7Vd1Jf6Gs9MaCeUoIiKlPqRtE',
      },
    },
  },
  'auth:logout': {
    summary: 'End this login: its tokens stop working and its sockets close, on every node',
    input: p.empty,
    output: p.empty,
    example: { input: {}, output: {} },
  },
  'auth:logout-all': {
    summary: 'End every login of the account',
    input: p.empty,
    output: p.empty,
    example: { input: {}, output: {} },
  },
  'me:get': {
    summary: 'Your account',
    input: p.empty,
    output: me,
    errors: ['not_found'],
    example: { input: {}, output: ownAda },
  },
  'me:update': {
    summary: 'Change your display name, username, locale or avatar',
    input: z
      .strictObject({
        displayName: displayName.optional(),
        username: p.username.optional(),
        locale: locale.optional(),
        avatarId: p.id.nullable().optional().meta({ description: 'An image that you uploaded; null takes it away.' }),
      })
      .refine((input) => Object.keys(input).length > 0, 'give at least one field to change'),
    output: me,
    errors: ['conflict', 'not_found', 'unprocessable'],
    example: { input: { displayName: 'Ada, Countess' }, output: { ...ownAda, displayName: 'Ada, Countess' } },
  },
  'user:search': {
    summary: 'Find people by the beginning of their username or display name',
    input: z.strictObject({ query: p.text(64).min(1), cursor: p.cursor.optional(), limit: p.pageLimit(50, 20) }),
    output: z.object({ items: z.array(user), nextCursor: p.nextCursor }),
    example: { input: { query: 'ad', limit: 20 }, output: { items: [ada] } },
  },
  'user:get': {
    summary: 'A person',
    input: z.strictObject({ userId: p.id }),
    output: user,
    errors: ['not_found'],
    example: { input: { userId: ada.id }, output: ada },
  },
} as const

export type User = z.infer<typeof user>
export type Me = z.infer<typeof me>
export type Session = z.infer<typeof session>
export type Tokens = z.infer<typeof tokens>
