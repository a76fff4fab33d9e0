import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { ConfigError, loadConfig } from '../src/config.ts'

const secret = 'a secret of more than thirty-two characters'
const megabyte = 1024 * 1024
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
  GUESTS: ['yes', 'true', 'ON'],
  PUBLIC_URL: ['chat.internal', 'ftp://example.org', 'javascript:alert(1)'],
  CORS_ORIGINS: ['app.internal', 'https://app.internal/', 'https://app.internal/path', 'https://app.internal,nonsense'],
  TRUST_PROXY: ['-1', '11', 'true', 'loopback'],
  MAX_GROUP_SIZE: ['1', '100001', '1k'],
  ACCESS_TOKEN_SECONDS: ['0', '86401', '15m'],
  SMTP_URL: ['mail.internal', 'http://mail.internal', '587'],
  MAIL_FROM: ['nobody', '@', 'a@b\r\nBcc: c@d', `${'x'.repeat(320)}@d`],
  ARGON2_MEMORY_KIB: ['8191', '1048577', '19MiB'],
  ARGON2_ITERATIONS: ['0', '21', 'two'],
  OPENID_PROVIDERS: ['Google', 'my-own', '1st', 'google,google', 'google;kakao', '__proto__'],
  TELEGRAM_BOT_TOKEN: [
    'nonsense',
    '987654321',
    '987654321:short',
    'bot987654321:AAF0000000000000000000000000000000000',
  ],
  SIGNUP_CREDITS: ['-1', '1000000001', '1e3', 'none'],
  OVERAGE_TOKENS_PER_CREDIT: ['0', '0.5', '1000000001'],
  STRIPE_SECRET_KEY: ['hunter2-stripe', 'pk_test_0000000000000000', 'sk_test with a space'],
  STRIPE_WEBHOOK_SECRET: ['hunter2-webhook', 'whsec_short1', 'sk_test_0000000000000000'],
  STRIPE_API_URL: ['stripe.internal', 'ftp://stripe.internal'],
  PAST_DUE_GRACE_DAYS: ['-1', '61', '7d', '1.5'],
  TBANK_TERMINAL_KEY: ['with space', 'T'.repeat(21)],
  TBANK_PASSWORD: ['hunter2'],
  TBANK_API_URL: ['bank.internal', 'ftp://bank.internal'],
  TELEGRAM_WEBHOOK_SECRET: ['too-little', 'with spaces between them', 's'.repeat(257)],
  TELEGRAM_API_URL: ['telegram.internal'],
  // no address, one with a wrong letter, and a spelling that wallets do not take
  TON_ADDRESS: ['nowhere', 'UQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAJKz', `0:${'0'.repeat(64)}`],
  TON_API_URL: ['toncenter.internal'],
  TON_API_KEY: ['with a space', 'seven77'],
  AI_PROVIDERS: ['OpenAI', 'my-own', '1st', 'openai,openai', 'openai;local', 'openai,offline', '__proto__'],
  AI_MODEL: ['a model', '=', '-x', 'm'.repeat(101)],
  AI_IDLE_SECONDS: ['0', '301', '30s'],
  AI_TOTAL_SECONDS: ['0', '3001', '10m'],
  AI_CONTEXT_TOKENS: ['999', '2000001', '32k'],
  AI_CONVERSATION_TOKENS_PER_HOUR: ['0', '-1', '1e6', '100000000001'],
  MEDIA_MAX_IMAGE_MB: ['0', '-1', '20MB', '1.5'],
  MEDIA_MAX_VIDEO_MB: ['0', '100001'],
  MEDIA_MAX_AUDIO_MB: ['0', 'much'],
  MEDIA_MAX_FILE_MB: ['0', '1e3'],
  MEDIA_MAX_MEGAPIXELS: ['0', '1001'],
  MEDIA_QUOTA_MB: ['0', '1GB'],
  MEDIA_URL_SECONDS: ['1', '86401', '10m'],
  S3_BUCKET: ['b'.repeat(256)],
  S3_ENDPOINT: ['minio.internal', 'ftp://minio.internal'],
  S3_REGION: ['r'.repeat(65)],
  S3_ACCESS_KEY_ID: ['k'.repeat(256)],
  S3_SECRET_ACCESS_KEY: ['hunter2'.repeat(40)],
  S3_FORCE_PATH_STYLE: ['yes', 'true'],
}

/** What some variables need beside them. */
const halves = {
  STRIPE_SECRET_KEY: 'sk_test_0123456789abcdef',
  STRIPE_WEBHOOK_SECRET: 'whsec_0123456789abcdef',
  TBANK_TERMINAL_KEY: '1234567890123DEMO',
  TBANK_PASSWORD: 'a password of the bank',
  TELEGRAM_BOT_TOKEN: `123456789:${'A'.repeat(35)}`,
  S3_BUCKET: 'media',
  S3_ACCESS_KEY_ID: 'an id',
  S3_SECRET_ACCESS_KEY: 'a secret of the bucket',
}

/** What AI_PROVIDERS=openai,local needs besides. */
const aiProviders = { AI_OPENAI_API_KEY: 'sk-openai', AI_LOCAL_BASE_URL: 'http://localhost:11434/v1' }

/** What OPENID_PROVIDERS=google,kakao needs besides. */
const providers = {
  OPENID_GOOGLE_CLIENT_ID: 'google-id',
  OPENID_GOOGLE_CLIENT_SECRET: 'google-secret',
  OPENID_KAKAO_CLIENT_ID: 'kakao-id',
  OPENID_KAKAO_CLIENT_SECRET: 'kakao-secret',
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
    const env = { ...providers, ...aiProviders, ...halves, DATABASE_URL: 'postgres://localhost/db', [name]: example }
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
    SMTP_URL: 'smtp//user:hunter2-mail@localhost',
    TELEGRAM_BOT_TOKEN: 'hunter2-bot',
    ...{ TBANK_PASSWORD: 'hunter2', TELEGRAM_WEBHOOK_SECRET: 'hunter2', TON_API_KEY: 'hunter2' },
    OPENID_PROVIDERS: 'own',
    OPENID_OWN_ISSUER: 'http://user:hunter2-issuer@issuer.internal',
    OPENID_OWN_CLIENT_SECRET: 'hunter2-client',
    AI_PROVIDERS: 'openai,local',
    AI_OPENAI_API_KEY: 'hunter2 with a space',
    AI_LOCAL_BASE_URL: 'https://user:hunter2@models.internal',
    AI_LOCAL_MODELS: 'hunter2=few',
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
    mail: { smtpUrl: undefined, from: 'Kintsugi <no-reply@localhost>' },
    passwordHash: { memoryKib: 19_456, iterations: 2 },
    openIdProviders: [],
    telegramBotToken: undefined,
    guests: true,
    credits: { signupCredits: 1000, overageTokensPerCredit: 1000 },
    payments: { stripe: undefined, pastDueGraceDays: 7, tbank: undefined, stars: undefined, ton: undefined },
    ai: {
      providers: [],
      standardModel: undefined,
      idleMs: 30_000,
      totalMs: 600_000,
      contextTokens: 32_000,
      conversationTokensPerHour: 500_000,
    },
    media: {
      maxBytes: { image: 20 * megabyte, video: 200 * megabyte, audio: 50 * megabyte, file: 100 * megabyte },
      maxPixels: 100_000_000,
      quotaBytes: 1024 * megabyte,
      urlSeconds: 600,
      s3: undefined,
    },
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

test('mail, password hashes and the bot are read', () => {
  const token = `123456789:${'A'.repeat(35)}`
  const config = load({
    ...{ SMTP_URL: 'smtps://user:secret@mail.example.org', MAIL_FROM: 'no-reply@example.org' },
    ...{ ARGON2_MEMORY_KIB: '65536', ARGON2_ITERATIONS: '3', TELEGRAM_BOT_TOKEN: token },
  })
  assert.deepEqual(config.mail, { smtpUrl: 'smtps://user:secret@mail.example.org', from: 'no-reply@example.org' })
  assert.deepEqual(config.passwordHash, { memoryKib: 65_536, iterations: 3 })
  assert.equal(config.telegramBotToken, token)
})

test('ways to pay are read, each of its own', () => {
  const address = 'UQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAJKZ'
  const config = load({
    ...halves,
    STRIPE_API_URL: 'http://localhost:9001/',
    PAST_DUE_GRACE_DAYS: '0',
    TBANK_API_URL: 'http://localhost:9000/v2/',
    TELEGRAM_WEBHOOK_SECRET: 'a-secret-of-the-webhook',
    TON_ADDRESS: address,
  })
  const { TBANK_TERMINAL_KEY: terminalKey, TBANK_PASSWORD: password, TELEGRAM_BOT_TOKEN: botToken } = halves
  const { STRIPE_SECRET_KEY: secretKey, STRIPE_WEBHOOK_SECRET: webhookSecret } = halves
  assert.deepEqual(config.payments, {
    stripe: { secretKey, webhookSecret, apiUrl: 'http://localhost:9001' },
    pastDueGraceDays: 0,
    tbank: { terminalKey, password, apiUrl: 'http://localhost:9000/v2' },
    stars: { botToken, webhookSecret: 'a-secret-of-the-webhook', apiUrl: 'https://api.telegram.org' },
    ton: { address, apiUrl: 'https://toncenter.com/api/v2', apiKey: undefined },
  })
  assert.deepEqual(load({ TELEGRAM_BOT_TOKEN: botToken }).payments.stars, undefined, 'a bot for logins alone')
})

test('half of what a way to pay needs is refused', () => {
  const half = (name: keyof typeof halves) => refusal({ [name]: halves[name] })
  assert.match(half('STRIPE_SECRET_KEY'), /STRIPE_WEBHOOK_SECRET is missing.*Example: STRIPE_WEBHOOK_SECRET=/)
  assert.match(half('STRIPE_WEBHOOK_SECRET'), /STRIPE_SECRET_KEY is missing.*Example: STRIPE_SECRET_KEY=/)
  assert.match(half('TBANK_TERMINAL_KEY'), /TBANK_PASSWORD is missing.*Example: TBANK_PASSWORD=/)
  assert.match(half('TBANK_PASSWORD'), /TBANK_TERMINAL_KEY is missing.*Example: TBANK_TERMINAL_KEY=/)
  assert.match(
    refusal({ TELEGRAM_WEBHOOK_SECRET: 'a-secret-of-the-webhook' }),
    /TELEGRAM_BOT_TOKEN is missing.*Example: TELEGRAM_BOT_TOKEN=/,
  )
})

test('a known provider needs an id and a secret, another one an issuer as well', () => {
  const config = load({
    ...providers,
    OPENID_PROVIDERS: 'google, kakao,own,',
    OPENID_KAKAO_SCOPE: 'openid account_email',
    OPENID_OWN_ISSUER: 'https://login.example.org',
    OPENID_OWN_CLIENT_ID: 'own-id',
    OPENID_OWN_CLIENT_SECRET: 'own-secret',
  })
  assert.deepEqual(config.openIdProviders, [
    {
      ...{ name: 'google', label: 'Google', issuer: 'https://accounts.google.com', scope: 'openid email profile' },
      ...{ clientId: 'google-id', clientSecret: 'google-secret' },
    },
    {
      ...{ name: 'kakao', label: 'Kakao', issuer: 'https://kauth.kakao.com', scope: 'openid account_email' },
      ...{ clientId: 'kakao-id', clientSecret: 'kakao-secret' },
    },
    {
      ...{ name: 'own', label: 'own', issuer: 'https://login.example.org', scope: 'openid email profile' },
      ...{ clientId: 'own-id', clientSecret: 'own-secret' },
    },
  ])
})

test('the name of Telegram is taken', () => {
  assert.match(refusal({ OPENID_PROVIDERS: 'telegram' }), /OPENID_PROVIDERS must be .*not `telegram`/)
})

test('what a provider lacks is said by the name of its variable, with an example that is taken', () => {
  const message = refusal({ OPENID_PROVIDERS: 'google,own' })
  const missing = [...message.matchAll(/- (OPENID_\w+) is missing: .* Example: \1=(.+)/g)]
  const names = ['OPENID_GOOGLE_CLIENT_ID', 'OPENID_GOOGLE_CLIENT_SECRET', 'OPENID_OWN_ISSUER']
  assert.deepEqual(
    missing.map(([, name]) => name),
    [...names, 'OPENID_OWN_CLIENT_ID', 'OPENID_OWN_CLIENT_SECRET'],
  )
  const examples = Object.fromEntries(missing.map(([, name, example]) => [name, example]))
  assert.doesNotThrow(() => load({ OPENID_PROVIDERS: 'google,own', ...examples }))
})

test("an issuer is reached by HTTPS, but for one on one's own machine", () => {
  const env = { OPENID_PROVIDERS: 'own', OPENID_OWN_CLIENT_ID: 'id', OPENID_OWN_CLIENT_SECRET: 'secret' }
  for (const issuer of [
    'http://login.example.org',
    'login.example.org',
    'ftp://localhost',
    'http://localhost.evil.org',
    'http://127.0.0.1.evil.org',
    'http://127.evil.org',
    'http://[::2]',
  ])
    assert.match(refusal({ ...env, OPENID_OWN_ISSUER: issuer }), /OPENID_OWN_ISSUER must be .*Example: OPENID_OWN_/)
  for (const issuer of [
    'http://localhost:9000',
    'http://127.0.0.1:9000/path',
    'http://127.8.0.1',
    'http://[::1]',
    'https://login.example.org',
  ])
    assert.equal(load({ ...env, OPENID_OWN_ISSUER: issuer }).openIdProviders[0]?.issuer, issuer)
})

test('the name of the offline model is taken', () => {
  assert.match(refusal({ AI_PROVIDERS: 'offline' }), /AI_PROVIDERS must be .*not `offline`/)
})

test('who runs language models is read: known names with a key, others with an address', () => {
  const { ai } = load({
    AI_PROVIDERS: 'openai, anthropic,google,local,',
    ...{ AI_OPENAI_API_KEY: 'sk-o', AI_ANTHROPIC_API_KEY: 'sk-a', AI_GOOGLE_API_KEY: 'g' },
    AI_GOOGLE_BASE_URL: 'https://proxy.example.org/google/',
    AI_LOCAL_BASE_URL: 'http://localhost:11434/v1/',
    AI_LOCAL_MODELS: 'llama3.2:3b=131072, org/some-model.v2 = 4096,plain,',
    ...{ AI_MODEL: 'org/some-model.v2', AI_IDLE_SECONDS: '1', AI_TOTAL_SECONDS: '2' },
    ...{ AI_CONTEXT_TOKENS: '1000', AI_CONVERSATION_TOKENS_PER_HOUR: '1' },
  })
  assert.deepEqual(ai, {
    providers: [
      { name: 'openai', baseUrl: 'https://api.openai.com/v1', apiKey: 'sk-o', models: [] },
      { name: 'anthropic', baseUrl: 'https://api.anthropic.com/v1', apiKey: 'sk-a', models: [] },
      { name: 'google', baseUrl: 'https://proxy.example.org/google', apiKey: 'g', models: [] },
      {
        ...{ name: 'local', baseUrl: 'http://localhost:11434/v1', apiKey: undefined },
        models: [
          { id: 'llama3.2:3b', contextWindow: 131_072 },
          { id: 'org/some-model.v2', contextWindow: 4096 },
          { id: 'plain', contextWindow: 8192 },
        ],
      },
    ],
    ...{ standardModel: 'org/some-model.v2', idleMs: 1000, totalMs: 2000 },
    ...{ contextTokens: 1000, conversationTokensPerHour: 1 },
  })
})

test('what a provider of models lacks is said by the name of its variable, with an example that is taken', () => {
  const names = 'openai,anthropic,google,local'
  const missing = [...refusal({ AI_PROVIDERS: names }).matchAll(/- (AI_\w+) is missing: .* Example: \1=(.+)/g)]
  assert.deepEqual(
    missing.map(([, name]) => name),
    ['AI_OPENAI_API_KEY', 'AI_ANTHROPIC_API_KEY', 'AI_GOOGLE_API_KEY', 'AI_LOCAL_BASE_URL'],
  )
  const given = { AI_OPENAI_API_KEY: 'k', AI_ANTHROPIC_API_KEY: 'k', AI_GOOGLE_API_KEY: 'k' }
  const address = missing.find(([, name]) => name === 'AI_LOCAL_BASE_URL')?.[2]
  assert.doesNotThrow(() => load({ AI_PROVIDERS: names, ...given, AI_LOCAL_BASE_URL: address }))
})

test('addresses, keys and models of providers are checked, and the examples are taken', () => {
  const wrong: Record<string, string[]> = {
    AI_LOCAL_BASE_URL: ['models.internal', 'ftp://models.internal', 'https://user:secret@models.internal'],
    AI_LOCAL_API_KEY: ['with a space', 'line\nbreak', 'schlüssel', 'k'.repeat(501)],
    AI_LOCAL_MODELS: ['a b', 'm=', 'm=0', 'm=255', 'm=few', 'm=1e5', 'm=4096=2', '=4096', '-m', 'a,,b c'],
  }
  for (const [name, values] of Object.entries(wrong))
    for (const value of values) {
      const env = { AI_PROVIDERS: 'openai,local', ...aiProviders }
      const [, example] =
        refusal({ ...env, [name]: value }).match(new RegExp(`- ${name} must .* Example: ${name}=(.+)`)) ?? []
      assert.ok(example, `${name}=${value}`)
      assert.doesNotThrow(() => load({ ...env, [name]: example }))
    }
})

test('a model is named once, over all providers', () => {
  const env = { AI_PROVIDERS: 'own,local', AI_OWN_BASE_URL: 'http://localhost:8000', ...aiProviders }
  assert.match(refusal({ ...env, AI_OWN_MODELS: 'same', AI_LOCAL_MODELS: 'same=4096' }), /must name each model once/)
  assert.match(refusal({ ...env, AI_OWN_MODELS: 'same,same' }), /must name each model once/)
})

test('what media may take, and where they are kept, is read', () => {
  const limits = {
    ...{ MEDIA_MAX_IMAGE_MB: '1', MEDIA_MAX_VIDEO_MB: '2', MEDIA_MAX_AUDIO_MB: '3', MEDIA_MAX_FILE_MB: '4' },
    ...{ MEDIA_MAX_MEGAPIXELS: '5', MEDIA_QUOTA_MB: '6', MEDIA_URL_SECONDS: '7' },
  }
  assert.deepEqual(load(limits).media, {
    maxBytes: { image: megabyte, video: 2 * megabyte, audio: 3 * megabyte, file: 4 * megabyte },
    ...{ maxPixels: 5_000_000, quotaBytes: 6 * megabyte, urlSeconds: 7, s3: undefined },
  })
  assert.deepEqual(load({ S3_BUCKET: 'media' }).media.s3, {
    ...{ bucket: 'media', region: 'auto', endpoint: undefined, credentials: undefined, forcePathStyle: false },
  })
  const keys = { S3_ACCESS_KEY_ID: 'an id', S3_SECRET_ACCESS_KEY: 'a secret' }
  const minio = { S3_BUCKET: 'media', S3_ENDPOINT: 'http://localhost:9000', S3_FORCE_PATH_STYLE: 'on' }
  assert.deepEqual(load({ ...minio, ...keys, S3_REGION: 'us-east-1' }).media.s3, {
    ...{ bucket: 'media', region: 'us-east-1', endpoint: 'http://localhost:9000', forcePathStyle: true },
    credentials: { accessKeyId: 'an id', secretAccessKey: 'a secret' },
  })
})

test('half of what a bucket needs is refused', () => {
  assert.match(refusal({ S3_BUCKET: 'media', S3_ACCESS_KEY_ID: 'an id' }), /S3_SECRET_ACCESS_KEY belong together/)
  assert.match(refusal({ S3_BUCKET: 'media', S3_SECRET_ACCESS_KEY: 'hunter2' }), /^(?!.*hunter2).*both or neither/s)
  assert.match(refusal({ S3_ENDPOINT: 'http://localhost:9000' }), /S3_BUCKET must name the bucket/)
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
