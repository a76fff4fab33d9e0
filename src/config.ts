import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { type AiConfig, aiConfig, aiVariables } from './config.ai.ts'
import { type CreditsConfig, creditsConfig, creditVariables } from './config.credits.ts'
import { type IdentityConfig, identityConfig, identityVariables, listed } from './config.identity.ts'
import { type MediaConfig, mediaConfig, mediaVariables } from './config.media.ts'
import { type PaymentsConfig, paymentsConfig, paymentVariables } from './config.payments.ts'

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
      .transform(listed)
      .refine((origins) => origins.every((origin) => origin === '*' || URL.parse(origin)?.origin === origin))
      .default([]),
    'origins of web pages that may call the server, separated by commas, or `*`',
    'https://app.example.org,http://localhost:5173',
  ),
  TRUST_PROXY: variable(whole(0, 10).default(0), 'how many proxies stand in front of the server, 0 to 10', '1'),
  MAX_GROUP_SIZE: variable(whole(2, 100_000).default(1000), 'the most participants of a group', '1000'),
  ACCESS_TOKEN_SECONDS: variable(whole(1, 86_400).default(900), 'the life of an access token in seconds', '900'),
  ...identityVariables,
  ...creditVariables,
  ...paymentVariables,
  ...aiVariables,
  ...mediaVariables,
} as const

type Variables = { [K in keyof typeof variables]: z.output<(typeof variables)[K]['schema']> }

/** What the server runs with. Frozen: nothing changes it after the start. */
export interface Config extends IdentityConfig {
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
  credits: CreditsConfig
  payments: PaymentsConfig
  ai: AiConfig
  media: MediaConfig
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
  const identity = identityConfig(read, env, problems)
  const payments = paymentsConfig(read, read.TELEGRAM_BOT_TOKEN, problems)
  const ai = aiConfig(read, env, problems)
  const media = mediaConfig(read, problems)
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
    ...identity,
    credits: creditsConfig(read),
    payments,
    ai,
    media,
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
