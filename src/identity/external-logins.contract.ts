import { z } from 'zod'
import * as p from '../kernel/primitives.ts'
import { ownPassword } from './email.contract.ts'
import { session } from './identity.contract.ts'

/** Oneself as another service knows one. */
const identity = z
  .object({
    provider: z.string().meta({ description: 'The name of an OpenID Connect provider, or `telegram`.' }),
    name: z.string().optional(),
    picture: z.string().optional(),
    linkedAt: p.timestamp,
  })
  .meta({ id: 'Identity' })

/** What this server offers beside a password. */
const loginWays = z
  .object({
    items: z.array(z.object({ name: z.string(), label: z.string() })),
    telegram: z.boolean(),
    guests: z.boolean().meta({ description: 'Whether one can begin as a guest, by `POST /v1/auth/guest`.' }),
  })
  .meta({ id: 'LoginWays' })

const provider = p.text(64)

const redirectTo = p
  .text(1000)
  .optional()
  .meta({
    description:
      'A page to lead the browser back to, of the origin of the public URL or of one in CORS_ORIGINS: after a login with ' +
      'the refresh token in its cookie, after a failure with `?error=` and a code. Without it the callback answers itself.',
  })

/** One that Telegram's callback gives as a number and its redirect as a text. */
const decimal = z.union([z.int().min(0), z.string().regex(/^\d{1,20}$/)]).transform(String)

const widget = z
  .strictObject({
    id: decimal.meta({ description: 'A 64-bit integer: as a text where it is above 2^53.' }),
    first_name: p.text(256).optional(),
    last_name: p.text(256).optional(),
    username: p.text(64).optional(),
    photo_url: p.text(2000).optional(),
    auth_date: decimal,
    hash: p.text(64),
  })
  .meta({ description: 'What the Login Widget gave, as it is.' })

const telegramFields = {
  initData: p.text(8192).min(1).optional().meta({ description: '`Telegram.WebApp.initData` of a Mini App, as it is.' }),
  widget: widget.optional(),
}

interface TelegramFields {
  initData?: string | undefined
  widget?: z.output<typeof widget> | undefined
}

const isOneOfTwo = ({ initData, widget }: TelegramFields) => (initData === undefined) !== (widget === undefined)
const oneOfTwo = 'give either initData or widget'

/** Refined before: of the two there is one. */
const theOne = ({ initData, widget }: TelegramFields) => (widget ? { widget } : { initData: initData ?? '' })

const telegramData = z.strictObject(telegramFields).refine(isOneOfTwo, oneOfTwo).transform(theOne)

const linkingTelegram = z
  .strictObject({ ...telegramFields, password: ownPassword })
  .refine(isOneOfTwo, oneOfTwo)
  .transform(({ password, ...fields }) => ({ password, data: theOne(fields) }))

const exampleWidget = {
  id: '9007199254740993',
  first_name: 'Minji',
  username: 'minji',
  photo_url: 'https://t.me/i/userpic/320/minji.jpg',
  auth_date: 1795257002,
  hash: '5f0c1e7d8a3b49265c7e1f0d2b4a6988e1d3c5b7a9f80712436587a9cbed0f21',
}

const exampleSession = {
  user: {
    id: '0197a3c2-7d1e-7c40-9b7e-2f6d0a1b3c4d',
    kind: 'human',
    username: 'minji',
    displayName: 'Kim Minji',
    emailVerified: false,
    locale: 'ko',
    role: 'user',
    createdAt: '2026-11-21T09:30:02.481Z',
  },
  accessToken: 'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.c2lnbmF0dXJl',
  expiresIn: 900,
  refreshToken: 'Zl0mYw3Jb1cK9sVdQh7uT2xN5pR8aE4gLqXo6iWtBfM',
} as const

const exampleIdentity = {
  provider: 'google',
  name: 'Kim Minji',
  picture: 'https://lh3.googleusercontent.com/a/minji',
  linkedAt: '2026-11-21T09:30:02.481Z',
}

/** Logins by OpenID Connect and by Telegram, and the identities that come of them, by the names of the operations. */
export const externalLoginsContract = {
  'auth:providers': {
    summary: 'By which other services one can log in, and whether guests may come in',
    input: p.empty,
    output: loginWays,
    example: { input: {}, output: { items: [{ name: 'google', label: 'Google' }], telegram: true, guests: false } },
  },
  'auth:openid': {
    summary: 'Log in by an OpenID Connect provider: leads the browser there',
    input: z.strictObject({ provider, redirectTo }),
    output: p.empty,
    errors: ['not_found', 'upstream_failed'] as const,
    example: { input: { provider: 'google', redirectTo: 'https://app.example.org/welcome' }, output: {} },
  },
  'auth:openid-callback': {
    summary: 'Where the provider leads the browser back to: ends the login, or the linking, that this browser began',
    // a provider may add parameters of its own (RFC 6749, section 4.1.2)
    input: z
      .object({ provider, state: z.string().max(200).optional(), code: z.string().max(4096).optional() })
      .catchall(z.string().max(4096)),
    output: z.union([session, identity]),
    errors: ['not_found', 'unauthenticated', 'forbidden', 'banned', 'conflict', 'upstream_failed'] as const,
    example: {
      input: { provider: 'google', code: '4/0AVMBsJi', state: 'jSKhDZ2rQ7P9mVJ1o3tWcXeYbGfAiLuNkR5sT8vUwx0' },
      output: exampleSession,
    },
  },
  'auth:openid-link': {
    summary: 'Link an identity at an OpenID Connect provider to your account: gives the address to lead the browser to',
    input: z.strictObject({ provider, redirectTo, password: ownPassword }),
    output: z.object({ url: z.string() }),
    errors: ['not_found', 'upstream_failed'] as const,
    example: {
      input: { provider: 'google', password: 'correct horse battery' },
      output: { url: 'https://accounts.google.com/o/oauth2/v2/auth?client_id=kintsugi&response_type=code' },
    },
  },
  'auth:telegram': {
    summary: 'Log in by Telegram: by the data of a Mini App or of the Login Widget, at most 5 minutes old',
    input: telegramData,
    output: session,
    errors: ['not_found', 'unauthenticated', 'banned'] as const,
    example: { input: { widget: exampleWidget }, output: exampleSession },
  },
  'identity:link-telegram': {
    summary: 'Link your Telegram account to your account here',
    input: linkingTelegram,
    output: identity,
    errors: ['not_found', 'conflict'] as const,
    example: {
      input: { widget: exampleWidget, password: 'correct horse battery' },
      output: { ...exampleIdentity, provider: 'telegram' },
    },
  },
  'identity:list': {
    summary: 'Your identities at other services, the oldest first',
    input: p.empty,
    output: z.object({ items: z.array(identity) }),
    example: { input: {}, output: { items: [exampleIdentity] } },
  },
  'identity:unlink': {
    summary: 'Unlink an identity, unless it is the last way to log in',
    input: z.strictObject({ provider, password: ownPassword }),
    output: p.empty,
    errors: ['not_found', 'unprocessable'] as const,
    example: { input: { provider: 'google', password: 'correct horse battery' }, output: {} },
  },
}

export type Identity = z.infer<typeof identity>
export type LoginWays = z.infer<typeof loginWays>
