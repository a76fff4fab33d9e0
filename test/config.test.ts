import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { ConfigError, loadConfig } from '../src/config.ts'

const secret = 'a secret of more than thirty-two characters'
let dataDir: string
before(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'kintsugi-config-'))
})
after(() => rm(dataDir, { recursive: true, force: true }))

const load = (env: Record<string, string | undefined> = {}) =>
  loadConfig({ DATA_DIR: dataDir, JWT_SECRET: secret, ...env })

function refusal(env: Record<string, string | undefined>): string {
  try {
    load(env)
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    return error.message
  }
  assert.fail(`${JSON.stringify(env)} was taken`)
}

/** What each variable does not take. */
const bad: Record<string, string[]> = {
  PORT: ['x', '-1', '65536', '3000 ', '1e3', '0x10', '3.5', ' '],
  DATABASE_URL: ['db.internal', 'mysql://db.internal/x', 'http://db.internal', '5432'],
  DATABASE_POOL: ['1', '201', 'many'],
  DATABASE_TIMEOUT_MS: ['99', '600001', '10s'],
  REDIS_URL: ['cache.internal', 'http://cache.internal', 'x'],
  REDIS_PREFIX: ['with space', 'a:b', '*', 'p'.repeat(65)],
  JWT_SECRET: ['short', 's'.repeat(31)],
  LOG_LEVEL: ['loud', 'INFO', '30'],
  RATE_LIMITS: ['yes', 'true', 'ON'],
  PUBLIC_URL: ['chat.internal', 'ftp://example.org', 'javascript:alert(1)'],
  CORS_ORIGINS: ['app.internal', 'https://app.internal/', 'https://app.internal/path', 'https://app.internal,nonsense'],
  TRUST_PROXY: ['-1', '11', 'true', 'loopback'],
  MAX_GROUP_SIZE: ['1', '100001', '1k'],
  ACCESS_TOKEN_SECONDS: ['0', '86401', '15m'],
}

test('what a variable does not take is refused with its name and an example, and without the value', () => {
  for (const [name, values] of Object.entries(bad)) {
    for (const value of values) {
      const message = refusal({ DATABASE_URL: 'postgres://localhost/db', [name]: value })
      const line = message.split('\n').find((part) => part.includes(`${name} must be`)) ?? ''
      assert.match(line, new RegExp(`Example: ${name}=.+`), `${name}=${value}: ${message}`)
      if (value.trim().length > 4) assert.ok(!message.includes(value), `${name}: the value is shown`)
    }
  }
})

test('each example in a refusal is itself taken', () => {
  for (const [name, [value]] of Object.entries(bad)) {
    if (name === 'JWT_SECRET') continue
    const [, example] = refusal({ [name]: value }).match(new RegExp(`Example: ${name}=(.+)`)) ?? []
    const env = { DATABASE_URL: 'postgres://localhost/db', [name]: example }
    assert.doesNotThrow(() => load(env), `${name}=${example}`)
  }
})

test('all that is wrong is said at once', () => {
  const message = refusal({ PORT: 'x', LOG_LEVEL: 'loud', MAX_GROUP_SIZE: '0' })
  for (const name of ['PORT', 'LOG_LEVEL', 'MAX_GROUP_SIZE']) assert.match(message, new RegExp(`- ${name} must be`))
})

test('a secret is never shown', () => {
  const env = {
    DATABASE_URL: 'postgres//user:hunter2-database@localhost',
    REDIS_URL: 'redis//:hunter2-redis@localhost',
    JWT_SECRET: 'hunter2-token',
  }
  assert.doesNotMatch(refusal(env), /hunter2/)
})

test('without any variable the server runs embedded', () => {
  const config = loadConfig({ DATA_DIR: dataDir })
  const { nodeId, jwtSecret, ...rest } = config
  assert.deepEqual(rest, {
    production: false,
    port: 3000,
    host: '0.0.0.0',
    dataDir,
    database: { url: undefined, pool: 10, statementTimeoutMs: 10_000 },
    redis: { url: undefined, prefix: 'kintsugi' },
    accessTokenSeconds: 900,
    logLevel: 'info',
    rateLimits: true,
    publicUrl: undefined,
    corsOrigins: [],
    trustProxy: 0,
    maxGroupSize: 1000,
  })
  assert.ok(jwtSecret.length >= 32)
})

test('an empty variable counts as absent', () => {
  const empty = Object.fromEntries(Object.keys(bad).map((name) => [name, '']))
  const { nodeId: _, ...config } = load({ ...empty, JWT_SECRET: secret })
  const { nodeId: __, ...standard } = load()
  assert.deepEqual(config, standard)
})

test('what is read is what was said', () => {
  const config = load({
    ...{
      PORT: '0',
      HOST: '::1',
      DATABASE_URL: 'postgresql://localhost/db',
      REDIS_URL: 'rediss://localhost',
      RATE_LIMITS: 'off',
    },
    ...{
      CORS_ORIGINS: ' https://a.example , http://localhost:5173,',
      PUBLIC_URL: 'https://chat.example.org',
      TRUST_PROXY: '2',
    },
    ...{
      NODE_ENV: 'production',
      MAX_GROUP_SIZE: '2',
      ACCESS_TOKEN_SECONDS: '1',
      DATABASE_POOL: '2',
      LOG_LEVEL: 'silent',
    },
  })
  assert.deepEqual(config.corsOrigins, ['https://a.example', 'http://localhost:5173'])
  assert.deepEqual(
    [config.port, config.host, config.trustProxy, config.rateLimits, config.production],
    [0, '::1', 2, false, true],
  )
  assert.deepEqual([config.maxGroupSize, config.accessTokenSeconds, config.database.pool], [2, 1, 2])
  assert.equal(load({ CORS_ORIGINS: '*' }).corsOrigins[0], '*')
})

test('the configuration is frozen through and through', () => {
  const config = load({ CORS_ORIGINS: 'https://a.example' })
  const change = (work: () => void) => assert.throws(work, TypeError)
  change(() => Object.assign(config, { port: 1 }))
  change(() => Object.assign(config.database, { url: 'postgres://elsewhere' }))
  change(() => void (config.corsOrigins as string[]).push('https://evil.example'))
})

test('each process has a name of its own', () => {
  assert.notEqual(load().nodeId, load().nodeId)
})

test('Redis needs PostgreSQL: processes cannot share the embedded database', () => {
  assert.match(
    refusal({ REDIS_URL: 'redis://localhost' }),
    /REDIS_URL needs DATABASE_URL.*Example: DATABASE_URL=postgres/,
  )
})

test('in production, and with PostgreSQL, the secret of tokens must be given', () => {
  const without = { JWT_SECRET: undefined }
  assert.match(refusal({ ...without, NODE_ENV: 'production' }), /JWT_SECRET is missing.*Example: JWT_SECRET=/)
  assert.match(refusal({ ...without, DATABASE_URL: 'postgres://localhost/db' }), /JWT_SECRET is missing/)
})

test('an embedded server makes its secret once, for itself alone to read; a refused one makes nothing', async () => {
  const folder = join(dataDir, 'not', 'yet')
  refusal({ DATA_DIR: folder, JWT_SECRET: undefined, PORT: 'x' })
  assert.ok(!existsSync(folder))
  const { jwtSecret } = load({ DATA_DIR: folder, JWT_SECRET: undefined })
  assert.ok(jwtSecret.length >= 32)
  assert.equal(load({ DATA_DIR: folder, JWT_SECRET: undefined }).jwtSecret, jwtSecret)
  assert.equal((await readFile(join(folder, 'jwt-secret'), 'utf8')).trim(), jwtSecret)
  assert.equal((await stat(join(folder, 'jwt-secret'))).mode & 0o777, 0o600)
  assert.equal((await stat(folder)).mode & 0o777, 0o700)
  assert.equal(load({ DATA_DIR: folder }).jwtSecret, secret, 'one that is given counts')
})
