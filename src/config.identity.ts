import { z } from 'zod'
import type { OpenIdProvider } from './kernel/ports.ts'

const variable = <S extends z.ZodType>(schema: S, expected: string, example: string) => ({ schema, expected, example })

const whole = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,12}$/)
    .transform(Number)
    .refine((value) => value >= min && value <= max)

const mailServer = z.string().refine((value) => ['smtp:', 'smtps:'].includes(URL.parse(value)?.protocol ?? ''))

/** What stands between commas. */
export const listed = (value: string): string[] =>
  value
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')

/** The variables of accounts, each with what it takes and an example for the message that refuses it. */
export const identityVariables = {
  SMTP_URL: variable(mailServer.optional(), 'the address of a mail server', 'smtps://user:secret@mail.example.org:465'),
  MAIL_FROM: variable(
    z
      .string()
      .max(320)
      .regex(/^[^\r\n@]*[^\s@<]@[^\s@>]+>?$/)
      .default('Kintsugi <no-reply@localhost>'),
    'the sender of mails, an address with or without a name',
    'Kintsugi <no-reply@example.org>',
  ),
  ARGON2_MEMORY_KIB: variable(whole(8192, 1_048_576).default(19_456), 'KiB for one password hash, from 8192', '19456'),
  ARGON2_ITERATIONS: variable(whole(1, 20).default(2), 'passes over that memory, 1 to 20', '2'),
  OPENID_PROVIDERS: variable(
    z
      .string()
      .transform(listed)
      .refine((names) => names.every((name) => /^[a-z][a-z0-9]{1,19}$/.test(name) && name !== 'telegram'))
      .refine((names) => new Set(names).size === names.length)
      .default([]),
    'names of OpenID Connect providers, separated by commas: lower-case letters and digits, each once, not `telegram`',
    'google,kakao',
  ),
  GUESTS: variable(z.enum(['on', 'off']).optional(), '`on` or `off`', 'on'),
  TELEGRAM_BOT_TOKEN: variable(
    z
      .string()
      .regex(/^\d{1,20}:[\w-]{20,100}$/)
      .optional(),
    "a bot's token, as Telegram's BotFather gives it",
    '123456789:AAF0000000000000000000000000000000000',
  ),
} as const

/** Providers whose issuer and scope need not be given. */
const knownProviders: Record<string, { label: string; issuer: string; scope: string }> = {
  google: { label: 'Google', issuer: 'https://accounts.google.com', scope: 'openid email profile' },
  kakao: { label: 'Kakao', issuer: 'https://kauth.kakao.com', scope: 'openid account_email profile_nickname' },
}

/**
 * OpenID Connect has issuers at HTTPS alone: what they say of a person is believed because of the certificate. Plain HTTP is
 * for one on the same machine.
 */
function isIssuer(value: string): boolean {
  const address = URL.parse(value)
  if (address?.protocol === 'https:') return true
  if (address?.protocol !== 'http:') return false
  // as an address of digits it has been brought into this form, and no name ends in digits
  return ['localhost', '[::1]'].includes(address.hostname) || /^127(\.\d{1,3}){3}$/.test(address.hostname)
}

/** Reads `OPENID_<NAME>_…` of each name in OPENID_PROVIDERS; what is missing or wrong is added to the problems. */
function openIdProviders(
  names: readonly string[],
  env: Record<string, string | undefined>,
  problems: string[],
): OpenIdProvider[] {
  return names.map((name) => {
    const known = knownProviders[name]
    const variableOf = (part: string) => `OPENID_${name.toUpperCase()}_${part}`
    const read = (part: string, standard: string | undefined, example: string): string => {
      const value = env[variableOf(part)] || standard
      if (!value)
        problems.push(
          `${variableOf(part)} is missing: OPENID_PROVIDERS names ${name}. Example: ${variableOf(part)}=${example}`,
        )
      return value ?? ''
    }
    const issuer = read('ISSUER', known?.issuer, 'https://login.example.org')
    if (issuer && !isIssuer(issuer))
      problems.push(
        `${variableOf('ISSUER')} must be an address that begins with https://. Example: ${variableOf('ISSUER')}=https://login.example.org`,
      )
    return {
      name,
      issuer,
      label: env[variableOf('LABEL')] || known?.label || name,
      clientId: read('CLIENT_ID', undefined, 'kintsugi'),
      clientSecret: read('CLIENT_SECRET', undefined, 'what the provider has made'),
      scope: read('SCOPE', known?.scope ?? 'openid email profile', 'openid email profile'),
    }
  })
}

export interface IdentityConfig {
  mail: {
    /** Absent: mails go to the folder `outbox` below the data folder. */
    smtpUrl: string | undefined
    from: string
  }
  passwordHash: { memoryKib: number; iterations: number }
  openIdProviders: readonly OpenIdProvider[]
  telegramBotToken: string | undefined
  /** Whether people may begin without an email and a password. */
  guests: boolean
}

type Variables = { [K in keyof typeof identityVariables]: z.output<(typeof identityVariables)[K]['schema']> } & {
  DATABASE_URL: string | undefined
}

/** What is missing or wrong of the variables that belong to a provider is added to the problems. */
export const identityConfig = (
  read: Variables,
  env: Record<string, string | undefined>,
  problems: string[],
): IdentityConfig => ({
  mail: { smtpUrl: read.SMTP_URL, from: read.MAIL_FROM },
  passwordHash: { memoryKib: read.ARGON2_MEMORY_KIB, iterations: read.ARGON2_ITERATIONS },
  // absent where it was refused itself
  openIdProviders: openIdProviders(read.OPENID_PROVIDERS ?? [], env, problems),
  telegramBotToken: read.TELEGRAM_BOT_TOKEN,
  // an embedded server is one's own; one with a database of its own is for many, where anybody could make accounts at will
  guests: read.GUESTS === undefined ? read.DATABASE_URL === undefined : read.GUESTS === 'on',
})
