import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Agent, AgentKey, Model } from '../../src/agents/agents.contract.ts'
import type { CreditTransaction, Wallet } from '../../src/billing/billing.contract.ts'
import type { Pack, Payment, StaffPayment } from '../../src/billing/payments.contract.ts'
import type { Referrals, Withdrawal } from '../../src/billing/referrals.contract.ts'
import type { Subscription } from '../../src/billing/subscriptions.contract.ts'
import type { Session } from '../../src/identity/identity.contract.ts'
import type { ExportJob } from '../../src/identity/own-data.contract.ts'
import type { LoginSession } from '../../src/identity/sessions.contract.ts'
import type { StaffUser } from '../../src/identity/staff.contract.ts'
import type { Attachment } from '../../src/media/media.contract.ts'
import type { Conversation, Message, Sent, SyncOutput } from '../../src/messenger/messenger.contract.ts'
import type { Story } from '../../src/stories/stories.contract.ts'
import { unzip } from '../support/archive.ts'
import { createDatabase } from '../support/backend.ts'
import { codeIn, linkIn, parseMail, type ReceivedMail, until } from '../support/mail.ts'
import { createBrowser, startProvider, type TestProvider } from '../support/openid.ts'
import { type Caller, createCaller } from '../support/routes.ts'
import { freePort, jwtSecret, startServer, type TestServer } from '../support/server.ts'
import { startStripe, type TestStripe } from '../support/stripe.ts'
import { startTbank, type TbankStandIn } from '../support/tbank.ts'
import { widget } from '../support/telegram.ts'
import { startTelegram, type TelegramStandIn } from '../support/telegram-bot.ts'
import { startToncenter, type TonStandIn } from '../support/toncenter.ts'

/**
 * One server with everything that it can be joined to, and every route of its document: called by somebody who may, and by
 * somebody who may not or who asks for something wrong. Each answer is held against the document. The tests build on each
 * other; the last one fails where a route has no call.
 */

const password = 'correct horse battery'
const nobody = randomUUID()

let server: TestServer
let api: Caller
let folder: string
let stripe: TestStripe
let bank: TbankStandIn
let bot: TelegramStandIn
let chain: TonStandIn
let provider: TestProvider
let ada: Session
let ben: Session
let admin: Session
const endings: (() => unknown)[] = []

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kintsugi-routes-'))
  endings.push(() => rm(folder, { recursive: true, force: true }))
  const port = await freePort()
  const publicUrl = `http://127.0.0.1:${port}`
  ;[stripe, bank, bot, chain, provider] = await Promise.all([
    ...[startStripe(), startTbank(), startTelegram(), startToncenter()],
    startProvider({ name: 'acme', publicUrl }),
  ] as const)
  endings.push(...[stripe, bank, bot, chain, provider].map((one) => () => one.close()))
  const env = {
    ...{ DATA_DIR: folder, PORT: String(port), PUBLIC_URL: publicUrl, OPENID_PROVIDERS: 'acme' },
    ...{ ARGON2_MEMORY_KIB: '8192', ARGON2_ITERATIONS: '1', GUESTS: 'on' },
    ...{ STRIPE_API_URL: stripe.url, STRIPE_SECRET_KEY: stripe.secretKey, STRIPE_WEBHOOK_SECRET: stripe.webhookSecret },
    ...{ ...bank.env, ...bot.env, ...chain.env, ...provider.env },
    ...(await backend()),
  }
  await createAdmin(env)
  server = await startServer(env)
  endings.push(() => server.stop())
  api = await createCaller(server.url)
  ada = await register('ada')
  ben = await register('ben', ada)
  admin = await login('root')
})

after(async () => {
  for (const end of endings.reverse()) await end()
})

/** Where the rows are, if not in the folder. */
async function backend(): Promise<Record<string, string>> {
  const { DATABASE_URL, REDIS_URL = '' } = process.env
  if (!DATABASE_URL) return {}
  const database = await createDatabase(DATABASE_URL)
  endings.push(() => database.drop())
  return { DATABASE_URL: database.url, REDIS_URL, REDIS_PREFIX: database.name }
}

/** The first super admin, as an operator makes one. */
async function createAdmin(env: Record<string, string>): Promise<void> {
  const { NODE_TEST_CONTEXT, ...inherited } = process.env
  const child = spawn(process.execPath, ['src/create-admin.ts', '--username', 'root', '--email', 'root@example.org'], {
    cwd: join(import.meta.dirname, '../..'),
    env: { ...inherited, DATABASE_URL: '', REDIS_URL: '', JWT_SECRET: jwtSecret, ADMIN_PASSWORD: password, ...env },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const [code] = await once(child, 'exit', { signal: AbortSignal.timeout(60_000) })
  assert.equal(code, 0)
}

async function register(username: string, broughtBy?: Session): Promise<Session> {
  const referralCode = broughtBy && (await api.ok<Referrals>('GET /v1/referrals', { as: broughtBy })).body.code
  const { body } = await api.ok<Session>('POST /v1/auth/register', {
    body: {
      ...{ username, email: `${username}@example.org`, password, locale: 'en-GB' },
      ...(referralCode && { referralCode }),
    },
  })
  return body
}

const login = async (username: string): Promise<Session> =>
  (await api.ok<Session>('POST /v1/auth/login', { body: { username, password } })).body

/** Does something, and gives the mail to that address that comes of it. */
async function mailed(to: string, act: () => Promise<unknown>): Promise<ReceivedMail> {
  const outbox = join(folder, 'outbox')
  const files = () => readdir(outbox).catch(() => [])
  const known = new Set(await files())
  await act()
  return until(
    () => `no mail to ${to}`,
    async () => {
      for (const file of await files()) {
        if (known.has(file)) continue
        const mail = await parseMail(await readFile(join(outbox, file)))
        if (mail.to === to && mail.text !== '') return mail
      }
      return undefined
    },
  )
}

/** Digits that are not these. */
const wrongFor = (code: string): string => (code === '000000' ? '111111' : '000000')

test('accounts begin, and prove their addresses', async () => {
  const again = { username: 'ada', email: 'ada@example.org', password }
  await api.refused('POST /v1/auth/register', 'conflict', { body: again })
  await api.refused('POST /v1/auth/register', 'invalid_request', { body: { ...again, referralCode: 'x'.repeat(65) } })
  await api.ok('POST /v1/auth/guest', { body: { displayName: 'Zoë', locale: 'fr' } })
  await api.refused('POST /v1/auth/guest', 'invalid_request', { body: { displayName: ' ' } })

  const { text } = await mailed('ada@example.org', async () => {
    await api.ok('POST /v1/auth/verify-email/resend', { as: ada })
  })
  const code = codeIn({ text })
  await api.refused('POST /v1/auth/verify-email', 'unprocessable', { as: ada, body: { code: wrongFor(code) } })
  await api.ok('POST /v1/auth/verify-email', { as: ada, body: { code } })
  await api.refused('POST /v1/auth/verify-email/resend', 'conflict', { as: ada })
  await api.refused('POST /v1/auth/change-email/confirm', 'gone', { as: ada, body: { code } })
})

test('passwords and addresses change', async () => {
  const { text } = await mailed('ada@example.org', () =>
    api.ok('POST /v1/auth/forgot-password', { body: { email: 'ada@example.org' } }),
  )
  await api.refused('POST /v1/auth/forgot-password', 'invalid_request', { body: { email: 'ada' } })
  const { token } = linkIn({ text })
  await api.ok('POST /v1/auth/reset-password', { body: { token, password: 'violet tram over lisbon' } })
  await api.refused('POST /v1/auth/reset-password', 'gone', { body: { token, password } })

  const changed = { username: 'ada', password: 'violet tram over lisbon' }
  ada = (await api.ok<Session>('POST /v1/auth/login', { body: changed })).body
  await api.refused('POST /v1/auth/login', 'unauthenticated', { body: { username: 'ada', password } })
  const back = { currentPassword: changed.password, newPassword: password }
  await api.ok('POST /v1/auth/change-password', { as: ada, body: back })
  await api.refused('POST /v1/auth/change-password', 'unauthenticated', { as: ada, body: back })

  const newEmail = 'countess@example.org'
  await api.refused('POST /v1/auth/change-email', 'unauthenticated', { as: ada, body: { newEmail } })
  const mail = await mailed(newEmail, () =>
    api.ok('POST /v1/auth/change-email', { as: ada, body: { newEmail, password } }),
  )
  const code = codeIn(mail)
  const confirm = 'POST /v1/auth/change-email/confirm'
  await api.refused(confirm, 'unprocessable', { as: ada, body: { code: wrongFor(code) } })
  await api.ok(confirm, { as: ada, body: { code } })
})

test('logins go on, are listed and end', async () => {
  const refreshToken = (await login('ada')).refreshToken ?? ''
  const { body: tokens } = await api.ok<Session>('POST /v1/auth/refresh', { body: { refreshToken } })
  await api.refused('POST /v1/auth/refresh', 'invalid_request', { body: {} })
  await api.refused('POST /v1/auth/refresh', 'unauthenticated', { body: { refreshToken: 'x' } })

  const { body: page } = await api.ok<{ items: LoginSession[]; nextCursor?: string }>('GET /v1/auth/sessions', {
    ...{ as: ada, query: { limit: '1' } },
  })
  await api.ok('GET /v1/auth/sessions', { as: ada, query: { cursor: page.nextCursor ?? '' } })
  await api.refused('GET /v1/auth/sessions', 'invalid_request', { as: ada, query: { cursor: 'nowhere' } })
  await api.refused('GET /v1/auth/sessions', 'unauthenticated')

  const end = 'DELETE /v1/auth/sessions/{sessionId}'
  const { body: all } = await api.ok<{ items: LoginSession[] }>('GET /v1/auth/sessions', { as: ada })
  const other = all.items.find(({ isCurrent }) => !isCurrent)
  assert.ok(other)
  await api.ok(end, { as: ada, path: { sessionId: other.id } })
  await api.refused(end, 'not_found', { as: ada, path: { sessionId: nobody } })
  await api.refused('GET /v1/me', 'unauthenticated', { as: tokens })

  const leaving = await login('ada')
  await api.ok('POST /v1/auth/logout', { as: leaving })
  await api.refused('POST /v1/auth/logout', 'unauthenticated', { as: leaving })
  await api.ok('POST /v1/auth/logout-all', { as: ada })
  await api.refused('POST /v1/auth/logout-all', 'unauthenticated', { as: ada })
  ada = await login('ada')
})

test('people are seen, found and changed', async () => {
  await api.ok('GET /v1/me', { as: ada })
  await api.ok('PATCH /v1/me', { as: ada, body: { displayName: 'Ada, Countess', avatarId: null } })
  await api.refused('PATCH /v1/me', 'unprocessable', { as: ada, body: { avatarId: nobody } })
  await api.ok('GET /v1/me', { as: ada })
  await api.refused('PATCH /v1/me', 'conflict', { as: ada, body: { username: 'BEN' } })
  await api.ok('GET /v1/users', { as: ben, query: { query: 'ad', limit: '5' } })
  await api.refused('GET /v1/users', 'invalid_request', { as: ben })
  await api.ok('GET /v1/users/{userId}', { as: ben, path: { userId: ada.user.id } })
  await api.refused('GET /v1/users/{userId}', 'not_found', { as: ben, path: { userId: nobody } })

  const chosen = { preferredModels: ['gpt-4o'], theme: 'dark', timezone: 'Asia/Seoul' }
  await api.ok('GET /v1/me/preferences', { as: ada })
  await api.refused('GET /v1/me/preferences', 'unauthenticated')
  await api.ok('PATCH /v1/me/preferences', { as: ada, body: chosen })
  await api.refused('PATCH /v1/me/preferences', 'invalid_request', { as: ada, body: { timezone: 'Mars/Olympus' } })
})

test('people log in by other services, and link what they are there', async () => {
  await api.ok('GET /v1/auth/providers')
  await api.refused('GET /v1/auth/providers', 'invalid_request', { query: { all: 'true' } })

  const name = { provider: 'acme' }
  provider.people.set('minji', { email: 'minji@example.org', email_verified: true, name: 'Kim Minji' })
  const browser = createBrowser()
  const callback = async (address: string, asked = {}) => {
    const query = Object.fromEntries(new URL(address).searchParams)
    const answered = await api.ok<Session>('GET /v1/auth/oauth/{provider}/callback', {
      ...{ path: name, query, by: browser.request, ...asked },
    })
    return answered.body
  }
  const goes = (url: string) => browser.followTo(`${server.url}/v1/auth/oauth/acme/callback`, url, 'minji')
  const begun = await api.ok('GET /v1/auth/oauth/{provider}', { path: name, by: browser.request })
  const minji = await callback(await goes(begun.headers.get('location') ?? ''))
  await api.refused('GET /v1/auth/oauth/{provider}', 'not_found', { path: { provider: 'other' } })
  await api.refused('GET /v1/auth/oauth/{provider}/callback', 'unauthenticated', { path: name, query: { state: 'x' } })

  const link = 'POST /v1/auth/oauth/{provider}/link'
  const linking = await api.ok<{ url: string }>(link, { as: minji, path: name, body: {}, by: browser.request })
  await callback(await goes(linking.body.url))
  await api.refused(link, 'unauthenticated', { path: name, body: {} })
  const foreign = { redirectTo: 'https://elsewhere.example.org' }
  await api.refused(link, 'invalid_request', { as: minji, path: name, body: foreign })

  const signed = (id: string) => ({
    widget: widget(bot.botToken, { id, first_name: 'Ben', auth_date: String(Math.floor(Date.now() / 1000)) }),
  })
  await api.ok('POST /v1/auth/telegram', { body: signed('9007199254740993') })
  const forged = { widget: { ...signed('7').widget, id: '8' } }
  await api.refused('POST /v1/auth/telegram', 'unauthenticated', { body: forged })
  await api.ok('POST /v1/me/identities/telegram', { as: minji, body: signed('7') })
  await api.refused('POST /v1/me/identities/telegram', 'conflict', { as: ben, body: { ...signed('7'), password } })
  await api.ok('GET /v1/me/identities', { as: minji })
  await api.refused('GET /v1/me/identities', 'unauthenticated')
  const unlink = 'DELETE /v1/me/identities/{provider}'
  await api.ok(unlink, { as: minji, path: name })
  await api.refused(unlink, 'not_found', { as: minji, path: name })
  await api.refused(unlink, 'unprocessable', { as: minji, path: { provider: 'telegram' } })
})

test('staff see people and act on them', async () => {
  const path = { userId: ben.user.id }
  await api.ok('GET /v1/admin/users', { as: admin, query: { limit: '2' } })
  await api.refused('GET /v1/admin/users', 'forbidden', { as: ada })
  await api.ok('GET /v1/admin/users/{userId}', { as: admin, path })
  await api.refused('GET /v1/admin/users/{userId}', 'not_found', { as: admin, path: { userId: nobody } })

  const setRole = 'PATCH /v1/admin/users/{userId}'
  await api.ok(setRole, { as: admin, path, body: { role: 'moderator' } })
  await api.ok(setRole, { as: admin, path, body: { role: 'user' } })
  await api.refused(setRole, 'forbidden', { as: admin, path: { userId: admin.user.id }, body: { role: 'user' } })

  const ban = 'POST /v1/admin/users/{userId}/ban'
  const unban = 'DELETE /v1/admin/users/{userId}/ban'
  const { body: banned } = await api.ok<StaffUser>(ban, { as: admin, path, body: { reason: 'Rude' } })
  assert.equal(banned.banReason, 'Rude')
  await api.refused(ban, 'invalid_request', { as: admin, path, body: { reason: ' ' } })
  await api.refused('GET /v1/me', 'banned', { as: ben })
  await api.refused('POST /v1/auth/login', 'banned', { body: { username: 'ben', password } })
  await api.refused(unban, 'forbidden', { as: ada, path })
  await api.ok(unban, { as: admin, path })
  ben = await login('ben')
})

test('people hold conversations without a socket', async () => {
  const group = { type: 'group', clientId: 'g1', participantIds: [ben.user.id], title: 'Engines' }
  const { body: conversation } = await api.ok<Conversation>('POST /v1/conversations', { as: ada, body: group })
  const withNobody = { type: 'direct', participantIds: [nobody] }
  await api.refused('POST /v1/conversations', 'not_found', { as: ada, body: withNobody })
  await api.refused('POST /v1/conversations', 'unprocessable', { as: ada, body: { type: 'group', models: [] } })

  const path = { conversationId: conversation.id }
  const send = 'POST /v1/conversations/{conversationId}/messages'
  const hello = { clientId: 'm1', content: 'Hello @ben' }
  const { body: sent } = await api.ok<Sent>(send, { as: ada, path, body: hello })
  await api.ok(send, { as: ada, path, body: hello })
  await api.ok(send, { as: ben, path, body: { clientId: 'm2', content: 'Hi', replyToId: sent.id } })
  await api.refused(send, 'idempotency_conflict', { as: ada, path, body: { ...hello, content: 'Other' } })
  await api.refused(send, 'not_found', { as: admin, path, body: hello })
  await api.refused(send, 'payload_too_large', { as: ada, path, body: { clientId: 'm3', content: 'x'.repeat(16_001) } })
  await api.refused(send, 'unsupported_media', { as: ada, path, raw: 'x', headers: { 'content-type': 'text/plain' } })

  const history = 'GET /v1/conversations/{conversationId}/messages'
  const read = await api.ok<{ messages: Message[] }>(history, { as: ben, path, query: { after: '0', limit: '5' } })
  assert.equal(read.body.messages.length, 2)
  await api.refused(history, 'not_found', { as: admin, path })
  await api.ok('POST /v1/conversations', { as: ada, body: { type: 'direct', participantIds: [ben.user.id] } })
  const list = 'GET /v1/conversations'
  const page = await api.ok<{ items: Conversation[]; nextCursor: string }>(list, { as: ada, query: { limit: '1' } })
  await api.ok(list, { as: ada, query: { cursor: page.body.nextCursor } })
  await api.refused(list, 'unauthenticated')

  const { body: all } = await api.ok<SyncOutput>('POST /v1/sync', { as: ben, body: {} })
  assert.equal(all.conversations.length, 2)
  await api.ok('POST /v1/sync', { as: ben, body: { positions: { [conversation.id]: 1 }, since: all.serverTime } })
  await api.refused('POST /v1/sync', 'invalid_request', { as: ben, body: { positions: { here: 1 } } })
})

test('people make agents, and keys for those that run elsewhere', async () => {
  const { body: models } = await api.ok<{ items: Model[] }>('GET /v1/models', { as: ada })
  await api.refused('GET /v1/models', 'unauthenticated')
  const poet = { kind: 'built_in', username: 'poet', systemPrompt: 'In verse', isPublic: true, temperature: 0.5 }
  const { body: agent } = await api.ok<Agent>('POST /v1/agents', { as: ada, body: poet })
  await api.refused('POST /v1/agents', 'conflict', { as: ada, body: { ...poet, username: 'BEN' } })
  await api.refused('POST /v1/agents', 'not_found', { as: ada, body: { ...poet, username: 'bard', modelId: 'none' } })
  const path = { agentId: agent.id }
  await api.ok('GET /v1/agents/{agentId}', { as: ben, path })
  await api.refused('GET /v1/agents/{agentId}', 'not_found', { as: ben, path: { agentId: nobody } })
  const update = 'PATCH /v1/agents/{agentId}'
  await api.ok(update, {
    as: ada,
    path,
    body: { modelId: models.items[0]?.id, description: 'Rhymes', temperature: null },
  })
  await api.refused(update, 'not_found', { as: ben, path, body: { isPublic: false } })

  const wish = { kind: 'external', username: 'worker' }
  const { body: worker } = await api.ok<Agent>('POST /v1/agents', { as: ada, body: wish })
  const { body: page } = await api.ok<{ nextCursor: string }>('GET /v1/agents', { as: ada, query: { limit: '1' } })
  await api.ok('GET /v1/agents', { as: ada, query: { cursor: page.nextCursor } })
  await api.refused('GET /v1/agents', 'invalid_request', { as: ada, query: { cursor: 'x' } })
  const its = { agentId: worker.id }
  const keys = 'POST /v1/agents/{agentId}/keys'
  const { body: key } = await api.ok<AgentKey & { key: string }>(keys, { as: ada, path: its, body: { name: 'home' } })
  await api.refused(keys, 'unprocessable', { as: ada, path })
  await api.ok('GET /v1/conversations', { as: { accessToken: key.key } })
  await api.ok('GET /v1/agents/{agentId}/keys', { as: ada, path: its })
  await api.refused('GET /v1/agents/{agentId}/keys', 'not_found', { as: ben, path: its })
  const revoke = 'DELETE /v1/agents/{agentId}/keys/{keyId}'
  await api.ok(revoke, { as: ada, path: { ...its, keyId: key.id } })
  await api.ok('GET /v1/agents/{agentId}/keys', { as: ada, path: its })
  await api.refused(revoke, 'not_found', { as: ada, path: { ...its, keyId: nobody } })
  await api.ok('DELETE /v1/agents/{agentId}', { as: ada, path: its })
  await api.refused('DELETE /v1/agents/{agentId}', 'not_found', { as: ada, path: its })
})

test('credits and plans are read, explained and changed', async () => {
  const { body: wallet } = await api.ok<Wallet>('GET /v1/me/wallet', { as: ada })
  assert.ok(wallet.credits > 0)
  await api.refused('GET /v1/me/wallet', 'unauthenticated')
  await api.ok('PATCH /v1/me/wallet', { as: ada, body: { overageEnabled: true } })
  await api.refused('PATCH /v1/me/wallet', 'invalid_request', { as: ada, body: {} })

  const path = { userId: ada.user.id }
  const adjust = 'POST /v1/admin/users/{userId}/credits'
  const gift = { amount: 500, reason: 'For an outage' }
  const headers = { 'Idempotency-Key': 'gift' }
  const { body: row } = await api.ok<CreditTransaction>(adjust, { as: admin, path, body: gift, headers })
  const { body: repeated } = await api.ok<CreditTransaction>(adjust, { as: admin, path, body: gift, headers })
  assert.equal(repeated.id, row.id)
  const other = { ...gift, amount: 5 }
  await api.refused(adjust, 'idempotency_conflict', { as: admin, path, body: other, headers })
  await api.refused(adjust, 'insufficient_credits', { as: admin, path, body: { ...gift, amount: -1_000_000 } })
  await api.refused(adjust, 'forbidden', { as: ada, path, body: gift })

  await api.ok('GET /v1/credits', { as: ada })
  await api.refused('GET /v1/credits', 'unauthenticated')
  await api.ok('GET /v1/credits/transactions', { as: ada, query: { limit: '1' } })
  await api.refused('GET /v1/credits/transactions', 'invalid_request', { as: ada, query: { limit: '0' } })
  await api.ok('GET /v1/credits/explain', { as: ada })
  await api.ok('GET /v1/credits/explain', { as: ada, query: { at: new Date().toISOString() } })
  await api.refused('GET /v1/credits/explain', 'invalid_request', { as: ada, query: { at: 'yesterday' } })
  await api.ok('GET /v1/me/usage', { as: ada, query: { groupBy: 'model' } })
  await api.refused('GET /v1/me/usage', 'invalid_request', { as: ada, query: { from: '2026-02-30' } })

  await api.ok('GET /v1/billing/plans')
  await api.refused('GET /v1/billing/plans', 'invalid_request', { query: { all: 'true' } })
  await api.ok('GET /v1/admin/plans', { as: admin })
  await api.refused('GET /v1/admin/plans', 'forbidden', { as: ada })
  const update = 'PATCH /v1/admin/plans/{code}'
  await api.ok(update, { as: admin, path: { code: 'premium_pro' }, body: { name: 'Premium Pro', sortOrder: 3 } })
  await api.refused(update, 'not_found', { as: admin, path: { code: 'none' }, body: { name: 'None' } })
  await api.ok('GET /v1/admin/usage/monthly', { as: admin })
  await api.refused('GET /v1/admin/usage/monthly', 'forbidden', { as: ada })
})

const paymentOf = async (as: Session, paymentId: string): Promise<Payment> =>
  (await api.ok<Payment>('GET /v1/billing/payments/{paymentId}', { as, path: { paymentId } })).body

/** Waits until a payment has become that. */
const becomes = (as: Session, paymentId: string, status: Payment['status']) =>
  until(
    () => `the payment has not ${status}`,
    async () => ((await paymentOf(as, paymentId)).status === status ? true : undefined),
  )

async function begin(as: Session, way: string, tierId = 'credits_1000'): Promise<{ paymentId: string; url: string }> {
  const { body } = await api.ok<{ paymentId: string; url: string }>('POST /v1/credits/checkout', {
    ...{ as, body: { tierId, provider: way }, headers: { 'Idempotency-Key': randomUUID() } },
  })
  return body
}

const fromBank = { 'content-type': 'application/json' }

test('people pay for packs, and staff give the money back', async () => {
  const { body: packs } = await api.ok<{ items: Pack[] }>('GET /v1/credits/packs')
  assert.deepEqual(
    packs.items[0]?.prices.map((price) => price.provider),
    ['stripe', 'tbank', 'stars', 'ton'],
  )
  await api.refused('GET /v1/credits/packs', 'invalid_request', { query: { all: 'true' } })
  const unknown = { tierId: 'none', provider: 'tbank' }
  await api.refused('POST /v1/credits/checkout', 'not_found', { as: ben, body: unknown })

  const { paymentId } = await begin(ben, 'tbank')
  await begin(ben, 'stripe')
  await begin(ben, 'ton')
  const confirmed = bank.notification(paymentId, 'CONFIRMED')
  await api.ok('POST /v1/webhooks/tbank', { raw: confirmed, headers: fromBank })
  const forged = confirmed.replace('"Amount":', '"Amount":1')
  await api.refused('POST /v1/webhooks/tbank', 'unauthenticated', { raw: forged, headers: fromBank })
  await api.refused('POST /v1/webhooks/tbank', 'invalid_request', { raw: '{', headers: fromBank })
  await becomes(ben, paymentId, 'succeeded')
  await api.refused('GET /v1/billing/payments/{paymentId}', 'not_found', { as: ada, path: { paymentId } })
  await api.ok('GET /v1/billing/payments', { as: ben, query: { limit: '2' } })
  await api.refused('GET /v1/billing/payments', 'invalid_request', { as: ben, query: { limit: 'all' } })

  const headers = { 'content-type': 'application/json', 'x-telegram-bot-api-secret-token': bot.secret }
  const stars = await begin(ben, 'stars')
  const { body: answer } = await api.ok('POST /v1/webhooks/telegram', {
    raw: bot.preCheckout(stars.paymentId),
    headers,
  })
  assert.equal(answer.ok, true)
  await api.ok('POST /v1/webhooks/telegram', { raw: bot.paid(stars.paymentId).update, headers })
  const late = await api.ok('POST /v1/webhooks/telegram', {
    ...{ raw: bot.preCheckout(stars.paymentId, { invoice_payload: nobody }), headers },
  })
  assert.equal(late.body.ok, false)
  await api.refused('POST /v1/webhooks/telegram', 'unauthenticated', { raw: bot.chatter('Hi'), headers: fromBank })
  await becomes(ben, stars.paymentId, 'succeeded')

  const refund = 'POST /v1/admin/payments/{paymentId}/refund'
  await api.refused(refund, 'forbidden', { as: ada, path: { paymentId } })
  const { body: refunded } = await api.ok<StaffPayment>(refund, {
    ...{ as: admin, path: { paymentId }, headers: { 'Idempotency-Key': 'back' } },
  })
  assert.equal(refunded.status, 'refunded')
  await api.refused(refund, 'not_found', { as: admin, path: { paymentId: nobody } })
})

/** How many of the events at Stripe were delivered. */
let delivered = 0

/** Delivers what has happened at Stripe since the last time. */
async function deliver(): Promise<void> {
  for (const event of stripe.events.slice(delivered)) {
    const { body, signature } = stripe.signed(event)
    const headers = { 'content-type': 'application/json', 'stripe-signature': signature }
    await api.ok('POST /v1/webhooks/stripe', { raw: body, headers })
  }
  delivered = stripe.events.length
}

test('people subscribe, change their plans and leave them', async () => {
  const pro = { plan: 'premium_pro', period: 'monthly' }
  const starter = { plan: 'premium_starter', period: 'monthly' }
  await api.refused('POST /v1/billing/portal', 'unprocessable', { as: ben })
  for (const verb of ['cancel', 'resume'])
    await api.refused(`POST /v1/billing/subscription/${verb}`, 'not_found', { as: ben })
  await api.refused('POST /v1/billing/subscription/change', 'not_found', { as: ben, body: pro })

  const headers = { 'Idempotency-Key': 'subscribe' }
  const begun = await api.ok<{ sessionId: string }>('POST /v1/billing/checkout', { as: ben, body: pro, headers })
  const none = { ...pro, plan: 'none' }
  await api.refused('POST /v1/billing/checkout', 'not_found', { as: ben, body: none })
  await api.refused('POST /v1/billing/checkout', 'idempotency_conflict', { as: ben, body: none, headers })
  stripe.complete(begun.body.sessionId)
  await deliver()
  await until(
    () => 'the subscription has not begun',
    async () => {
      const { body } = await api.ok<Subscription>('GET /v1/billing/subscription', { as: ben })
      return body.status === 'active' || undefined
    },
  )
  await api.refused('GET /v1/billing/subscription', 'unauthenticated')
  await api.refused('POST /v1/billing/checkout', 'conflict', { as: ben, body: pro })
  await api.ok('GET /v1/me/wallet', { as: ben })

  const change = 'POST /v1/billing/subscription/change'
  const { body: changed } = await api.ok<Subscription>(change, { as: ben, body: starter })
  assert.equal(changed.next?.plan, 'premium_starter')
  await api.ok(change, { as: ben, body: pro })
  await api.refused(change, 'unprocessable', { as: ben, body: { ...pro, plan: 'basic' } })
  const { body: cancelled } = await api.ok<Subscription>('POST /v1/billing/subscription/cancel', { as: ben })
  assert.equal(cancelled.autoRenew, false)
  await api.refused(change, 'conflict', { as: ben, body: starter })
  await api.ok('POST /v1/billing/subscription/resume', { as: ben })
  await api.ok('GET /v1/billing/subscription/history', { as: ben, query: { limit: '1' } })
  await api.refused('GET /v1/billing/subscription/history', 'invalid_request', { as: ben, query: { cursor: 'x' } })
  await api.ok('POST /v1/billing/portal', { as: ben })
  stripe.fail({ how: 'reset', where: /billing_portal/ })
  await api.refused('POST /v1/billing/portal', 'upstream_failed', { as: ben })
  stripe.heal()
  await api.refused('POST /v1/webhooks/stripe', 'unauthenticated', {
    raw: '{}',
    headers: { 'stripe-signature': 't=1' },
  })
})

test('people earn by whom they bring, and have it paid out', async () => {
  const apply = 'POST /v1/referrals/partner-application'
  const application = {
    ...{ contactName: 'Ada', contactEmail: 'ada@example.org', audienceSize: 'medium', promotionChannels: ['youtube'] },
    telegramUsername: 'ada',
  }
  await api.refused('GET /v1/referrals/partner-application', 'not_found', { as: ada })
  const { body: applied } = await api.ok<{ id: string }>(apply, { as: ada, body: application })
  await api.refused(apply, 'conflict', { as: ada, body: application })
  await api.ok('GET /v1/admin/partner-applications', { as: admin })
  await api.refused('GET /v1/admin/partner-applications', 'forbidden', { as: ada })
  const review = 'PATCH /v1/admin/partner-applications/{applicationId}'
  const path = { applicationId: applied.id }
  await api.refused(review, 'invalid_request', { as: admin, path, body: { status: 'rejected' } })
  await api.ok(review, { as: admin, path, body: { status: 'approved' } })
  await api.refused(review, 'conflict', { as: admin, path, body: { status: 'approved' } })
  await api.ok('GET /v1/referrals/partner-application', { as: ada })

  const { paymentId } = await begin(ben, 'tbank', 'credits_20000')
  await api.ok('POST /v1/webhooks/tbank', { raw: bank.notification(paymentId, 'CONFIRMED'), headers: fromBank })
  await becomes(ben, paymentId, 'succeeded')
  const { body: own } = await api.ok<Referrals>('GET /v1/referrals', { as: ada })
  assert.equal(own.isPartner, true)
  await api.refused('GET /v1/referrals', 'unauthenticated')
  const { body: earnings } = await api.ok<{ items: object[] }>('GET /v1/referrals/earnings', { as: ada })
  assert.ok(earnings.items.length >= 2)
  await api.refused('GET /v1/referrals/earnings', 'invalid_request', { as: ada, query: { cursor: 'x' } })

  const withdraw = 'POST /v1/referrals/withdrawals'
  const wish = { amount: 1000, method: 'bank', details: { account: 'DE00 1234', holder: 'Ada Lovelace' } }
  const { body: withdrawal } = await api.ok<Withdrawal>(withdraw, { as: ada, body: wish })
  await api.refused(withdraw, 'unprocessable', { as: ada, body: { ...wish, amount: 1_000_000 } })
  await api.ok('GET /v1/admin/withdrawals', { as: admin })
  await api.refused('GET /v1/admin/withdrawals', 'forbidden', { as: ada })
  const process = 'PATCH /v1/admin/withdrawals/{withdrawalId}'
  const which = { withdrawalId: withdrawal.id }
  await api.refused(process, 'conflict', { as: admin, path: which, body: { status: 'completed' } })
  await api.ok(process, { as: admin, path: which, body: { status: 'approved' } })
  await api.ok(process, { as: admin, path: which, body: { status: 'rejected', reason: 'The account is closed' } })
  await api.refused(process, 'not_found', {
    ...{ as: admin, path: { withdrawalId: nobody }, body: { status: 'approved' } },
  })
  await api.ok('GET /v1/referrals/withdrawals', { as: ada })
  await api.refused('GET /v1/referrals/withdrawals', 'unauthenticated')
})

test('people send files, fetch them, and take them back', async () => {
  const upload = 'POST /v1/uploads'
  const file = new File(['a few words'], 'words.txt', { type: 'text/plain' })
  const { body: kept } = await api.ok<Attachment>(upload, { as: ada, file })
  await api.ok(upload, { as: ada, file })
  await api.refused(upload, 'unauthenticated', { file })
  await api.refused(upload, 'unsupported_media', { as: ada, body: { file: 'a few words' } })
  await api.refused(upload, 'unsupported_media', { as: ada, file: new File(['x'], 'x.png', { type: 'image/png' }) })
  await api.ok('GET /v1/me/storage', { as: ada })
  await api.refused('GET /v1/me/storage', 'unauthenticated')

  const one = '/v1/attachments/{attachmentId}'
  const path = { attachmentId: kept.id }
  const { body: again } = await api.ok<Attachment>(`GET ${one}`, { as: ada, path })
  await api.refused(`GET ${one}`, 'not_found', { as: ben, path })

  const download = 'GET /v1/media/{attachmentId}/{variant}'
  const given = new URL(again.url)
  const address = {
    path: { ...path, variant: 'original' },
    query: Object.fromEntries(given.searchParams) as Record<string, string>,
  }
  const { body: bytes } = await api.ok<Buffer>(download, address)
  assert.equal(bytes.toString(), 'a few words')
  await api.ok(download, { ...address, headers: { Range: 'bytes=0-3' } })
  await api.refused(download, 'not_found', { ...address, path: { ...path, variant: 'thumbnail' } })

  await api.refused(`DELETE ${one}`, 'not_found', { as: ben, path })
  await api.ok(`DELETE ${one}`, { as: ada, path })
})

test('people tell stories, and block each other', async () => {
  const stories = '/v1/stories'
  const { body: story } = await api.ok<Story>(`POST ${stories}`, { as: ada, body: { caption: 'Engines' } })
  await api.refused(`POST ${stories}`, 'unprocessable', { as: ada, body: { attachmentId: nobody } })
  await api.ok(`GET ${stories}`, { as: ben, query: { limit: '5' } })
  await api.refused(`GET ${stories}`, 'invalid_request', { as: ben, query: { cursor: 'x' } })
  const one = `${stories}/{storyId}`
  const path = { storyId: story.id }
  const none = { storyId: nobody }
  await api.ok(`GET ${one}`, { as: ben, path })
  await api.refused(`GET ${one}`, 'not_found', { as: admin, path })
  await api.ok(`POST ${one}/views`, { as: ben, path })
  await api.refused(`POST ${one}/views`, 'not_found', { as: ben, path: none })
  await api.ok(`POST ${one}/reactions`, { as: ben, path, body: { emoji: '🎉' } })
  await api.refused(`POST ${one}/reactions`, 'unprocessable', { as: ada, path, body: { emoji: '🎉' } })
  await api.ok(`GET ${one}/views`, { as: ada, path })
  await api.refused(`GET ${one}/views`, 'not_found', { as: ben, path })
  await api.ok(`GET ${one}`, { as: ben, path })
  await api.ok(`DELETE ${one}/reactions`, { as: ben, path })
  await api.refused(`DELETE ${one}/reactions`, 'not_found', { as: ben, path: none })
  const reply = { clientId: 'reply', content: 'Lovely' }
  await api.ok(`POST ${one}/replies`, { as: ben, path, body: reply })
  await api.refused(`POST ${one}/replies`, 'idempotency_conflict', { as: ben, path, body: { ...reply, content: 'x' } })
  await api.refused(`DELETE ${one}`, 'not_found', { as: ben, path })
  await api.ok(`DELETE ${one}`, { as: ada, path })

  const block = '/v1/me/blocks/{userId}'
  const whom = { userId: ben.user.id }
  await api.ok(`POST ${block}`, { as: ada, path: whom })
  await api.refused(`POST ${block}`, 'not_found', { as: ada, path: { userId: nobody } })
  await api.refused(`POST ${block}`, 'unprocessable', { as: ben, path: whom })
  await api.ok('GET /v1/me/blocks', { as: ada, query: { limit: '5' } })
  await api.refused('GET /v1/me/blocks', 'invalid_request', { as: ada, query: { cursor: 'x' } })
  await api.ok(`DELETE ${block}`, { as: ada, path: whom })
  await api.refused(`DELETE ${block}`, 'unauthenticated', { path: whom })
})

test('people take their data with them, and go', async () => {
  const { body: job } = await until(
    () => 'the export is not completed',
    async () => {
      const answered = await api.ok<ExportJob>('GET /v1/me/export', { as: ada })
      return answered.status === 200 ? answered : undefined
    },
  )
  await api.refused('GET /v1/me/export', 'unauthenticated')
  const file = 'GET /v1/me/export/{jobId}/file'
  const { body: archive } = await api.ok<Buffer>(file, { as: ada, path: { jobId: job.jobId } })
  assert.ok((await unzip(archive)).texts.size > 5)
  await api.refused(file, 'not_found', { as: ben, path: { jobId: job.jobId } })

  await api.refused('DELETE /v1/me', 'unauthenticated', { as: ada, body: {} })
  await api.ok('DELETE /v1/me', { as: ada, body: { password } })
  await api.refused('GET /v1/me', 'unauthenticated', { as: ada })
})

test('who runs the server asks after it', async () => {
  for (const name of ['GET /healthz', 'GET /readyz', 'GET /metrics']) await api.ok(name)
})

test('every route of the document was called, and refused somebody', () => {
  assert.deepEqual(api.missing(), [])
})
