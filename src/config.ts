import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import type { OpenIdProvider } from './kernel/ports.ts'

/** Thrown when the environment does not make a configuration; its message is meant to be printed as it is. */
export class ConfigError extends Error {
  constructor(problems: string[]) {
    super(`The configuration is not usable:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`)
    this.name = 'ConfigError'
  }
}

const variable = <S extends z.ZodType>(schema: S, expected: string, example: string) => ({ schema, expected, example })

const url = (protocols: string[]) =>
  z.string().refine((value) => {
    const parsed = URL.parse(value)
    return parsed !== null && protocols.includes(parsed.protocol.slice(0, -1))
  })

const whole = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d+$/)
    .transform(Number)
    .refine((value) => value >= min && value <= max)

/** Every variable that the server reads, with what it takes and an example for the message that refuses it. */
const variables = {
  NODE_ENV: variable(z.string().optional(), '`production` or anything else', 'production'),
  PORT: variable(whole(0, 65535).default(3000), 'a port from 0 (any free one) to 65535', '3000'),
  HOST: variable(z.string().min(1).default('0.0.0.0'), 'an address to listen on', '127.0.0.1'),
  DATA_DIR: variable(z.string().min(1).default('.data'), 'a folder for the embedded database and secrets', '.data'),
  DATABASE_URL: variable(
    url(['postgres', 'postgresql']).optional(),
    'a PostgreSQL address (15 or newer)',
    'postgres://kintsugi:secret@localhost:5432/kintsugi',
  ),
  DATABASE_POOL: variable(whole(2, 200).default(10), 'the most connections of one node, 2 to 200', '10'),
  DATABASE_TIMEOUT_MS: variable(whole(100, 600_000).default(10_000), 'milliseconds for one statement', '10000'),
  REDIS_URL: variable(url(['redis', 'rediss']).optional(), 'a Redis address', 'redis://localhost:6379'),
  REDIS_PREFIX: variable(
    z
      .string()
      .regex(/^[\w.-]{1,64}$/)
      .default('kintsugi'),
    'a name of letters, digits, `_`, `.` or `-`; systems that share a Redis need different ones',
    'kintsugi',
  ),
  JWT_SECRET: variable(z.string().min(32).optional(), 'at least 32 characters', 'the output of `openssl rand -hex 32`'),
  LOG_LEVEL: variable(
    z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
    'one of trace, debug, info, warn, error, fatal, silent',
    'info',
  ),
  RATE_LIMITS: variable(z.enum(['on', 'off']).default('on'), '`on` or `off`', 'on'),
  PUBLIC_URL: variable(url(['http', 'https']).optional(), 'the address that clients use', 'https://chat.example.org'),
  CORS_ORIGINS: variable(
    z
      .string()
      .transform((value) =>
        value
          .split(',')
          .map((origin) => origin.trim())
          .filter((origin) => origin !== ''),
      )
      .refine((origins) => origins.every((origin) => origin === '*' || URL.parse(origin)?.origin === origin))
      .default([]),
    'origins of web pages that may call the server, separated by commas, or `*`',
    'https://app.example.org,http://localhost:5173',
  ),
  TRUST_PROXY: variable(whole(0, 10).default(0), 'how many proxies stand in front of the server, 0 to 10', '1'),
  MAX_GROUP_SIZE: variable(whole(2, 100_000).default(1000), 'the most participants of a group', '1000'),
  ACCESS_TOKEN_SECONDS: variable(whole(1, 86_400).default(900), 'the life of an access token in seconds', '900'),
  SMTP_URL: variable(
    url(['smtp', 'smtps']).optional(),
    'the address of a mail server',
    'smtps://user:secret@mail.example.org:465',
  ),
  MAIL_FROM: variable(
    z.string().min(3).max(320).default('Kintsugi <no-reply@localhost>'),
    'the sender of mails',
    'Kintsugi <no-reply@example.org>',
  ),
  ARGON2_MEMORY_KIB: variable(whole(8192, 1_048_576).default(19_456), 'KiB for one password hash, from 8192', '19456'),
  ARGON2_ITERATIONS: variable(whole(1, 20).default(2), 'passes over that memory, 1 to 20', '2'),
  OPENID_PROVIDERS: variable(
    z
      .string()
      .transform((value) => value.split(',').map((name) => name.trim()))
      .refine((names) => names.every((name) => /^[a-z][a-z0-9]{1,19}$/.test(name) && name !== 'telegram'))
      .default([]),
    'names of OpenID Connect providers, separated by commas, in lower case',
    'google,kakao',
  ),
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

/** Reads `OPENID_<NAME>_…` of each name in OPENID_PROVIDERS; what is missing is added to the problems. */
function openIdProviders(
  names: readonly string[],
  env: Record<string, string | undefined>,
  problems: string[],
): OpenIdProvider[] {
  return names.map((name) => {
    const prefix = `OPENID_${name.toUpperCase()}_`
    const known = knownProviders[name]
    const read = (part: string, standard: string | undefined, example: string): string => {
      const value = env[prefix + part] || standard
      if (value) return value
      problems.push(`${prefix}${part} is missing: OPENID_PROVIDERS names ${name}. Example: ${prefix}${part}=${example}`)
      return ''
    }
    const issuer = read('ISSUER', known?.issuer, 'https://login.example.org')
    if (issuer && !['https:', 'http:'].includes(URL.parse(issuer)?.protocol ?? ''))
      problems.push(
        `${prefix}ISSUER must be the address of an issuer. Example: ${prefix}ISSUER=https://login.example.org`,
      )
    return {
      name,
      issuer,
      label: env[`${prefix}LABEL`] || known?.label || name,
      clientId: read('CLIENT_ID', undefined, 'kintsugi'),
      clientSecret: read('CLIENT_SECRET', undefined, 'a secret from the provider'),
      scope: read('SCOPE', known?.scope ?? 'openid email profile', 'openid email profile'),
    }
  })
}

type Variables = { [K in keyof typeof variables]: z.output<(typeof variables)[K]['schema']> }

/** What the server runs with. Frozen: nothing changes it after the start. */
export interface Config {
  production: boolean
  port: number
  host: string
  dataDir: string
  database: { url: string | undefined; pool: number; statementTimeoutMs: number }
  redis: { url: string | undefined; prefix: string }
  jwtSecret: string
  accessTokenSeconds: number
  logLevel: string
  rateLimits: boolean
  publicUrl: string | undefined
  corsOrigins: readonly string[]
  trustProxy: number
  maxGroupSize: number
  mail: {
    /** Absent: mails go to the folder `outbox` below the data folder. */
    smtpUrl: string | undefined
    from: string
  }
  passwordHash: { memoryKib: number; iterations: number }
  openIdProviders: readonly OpenIdProvider[]
  telegramBotToken: string | undefined
  /** Names this process in heartbeats and logs. */
  nodeId: string
}

/**
 * Reads the configuration from environment variables. An empty variable counts as absent.
 * @throws ConfigError naming each variable, what is wrong with it and an example; values are never shown.
 */
export function loadConfig(env: Record<string, string | undefined>): Config {
  const problems: string[] = []
  const values: Record<string, unknown> = {}
  for (const [name, { schema, expected, example }] of Object.entries(variables)) {
    const parsed = schema.safeParse(env[name] === '' ? undefined : env[name])
    if (parsed.success) values[name] = parsed.data
    else problems.push(`${name} must be ${expected}. Example: ${name}=${example}`)
  }
  const read = values as unknown as Variables
  const production = read.NODE_ENV === 'production'
  if (read.REDIS_URL && !read.DATABASE_URL) {
    problems.push(
      'REDIS_URL needs DATABASE_URL: processes cannot share the embedded database. Example: DATABASE_URL=' +
        variables.DATABASE_URL.example,
    )
  }
  if (!read.JWT_SECRET && (production || read.DATABASE_URL)) {
    problems.push(
      `JWT_SECRET is missing: it is made by the server only for the embedded database outside production. Example: JWT_SECRET=${variables.JWT_SECRET.example}`,
    )
  }
  const providers = openIdProviders(read.OPENID_PROVIDERS ?? [], env, problems)
  if (problems.length > 0) throw new ConfigError(problems)

  return deepFreeze({
    production,
    port: read.PORT,
    host: read.HOST,
    dataDir: read.DATA_DIR,
    database: { url: read.DATABASE_URL, pool: read.DATABASE_POOL, statementTimeoutMs: read.DATABASE_TIMEOUT_MS },
    redis: { url: read.REDIS_URL, prefix: read.REDIS_PREFIX },
    jwtSecret: read.JWT_SECRET ?? ownSecret(read.DATA_DIR),
    accessTokenSeconds: read.ACCESS_TOKEN_SECONDS,
    logLevel: read.LOG_LEVEL,
    rateLimits: read.RATE_LIMITS === 'on',
    publicUrl: read.PUBLIC_URL,
    corsOrigins: read.CORS_ORIGINS,
    trustProxy: read.TRUST_PROXY,
    maxGroupSize: read.MAX_GROUP_SIZE,
    mail: { smtpUrl: read.SMTP_URL, from: read.MAIL_FROM },
    passwordHash: { memoryKib: read.ARGON2_MEMORY_KIB, iterations: read.ARGON2_ITERATIONS },
    openIdProviders: providers,
    telegramBotToken: read.TELEGRAM_BOT_TOKEN,
    nodeId: `${hostname()}-${process.pid}-${randomBytes(3).toString('hex')}`,
  })
}

/** The secret of an embedded server: made once and kept beside its data, so that logins survive a restart. */
function ownSecret(dataDir: string): string {
  const file = join(dataDir, 'jwt-secret')
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  try {
    // 'wx' fails where the file exists, so that of two processes starting at once both read the same secret
    writeFileSync(file, randomBytes(48).toString('base64url'), { flag: 'wx', mode: 0o600 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  return readFileSync(file, 'utf8').trim()
}

function deepFreeze<T extends object>(value: T): Readonly<T> {
  for (const inner of Object.values(value)) if (typeof inner === 'object' && inner !== null) deepFreeze(inner)
  return Object.freeze(value)
}
