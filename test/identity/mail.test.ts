import assert from 'node:assert/strict'
import { randomBytes, randomInt } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, type TestContext, test } from 'node:test'
import { sql } from 'kysely'
import { pino } from 'pino'
import { createMailer } from '../../src/adapters/smtp.ts'
import type { Me, Session } from '../../src/identity/identity.contract.ts'
import { startBackend } from '../support/backend.ts'
import { startIdentity } from '../support/identity.ts'
import {
  codeIn,
  createMailServer,
  jobsDone,
  linkIn,
  logged,
  type MailServer,
  mailBy,
  mailTo,
  parseMail,
  type ReceivedMail,
  until,
} from '../support/mail.ts'
import { connect, register } from '../support/people.ts'
import { startServer } from '../support/server.ts'
import { widget } from '../support/telegram.ts'

/** The password of people that `register` makes. */
const password = 'correct horse'
const newPassword = 'violet tram over lisbon'

const telegramBotToken = '123456789:AAF0000000000000000000000000000000000'

const nowhere = join(tmpdir(), 'kintsugi-no-outbox')

let server: MailServer
before(async () => {
  server = await createMailServer()
  await server.start()
})
after(() => server.stop())

async function post(
  url: string,
  path: string,
  body: object,
  token?: string,
): Promise<{ status: number; body: unknown }> {
  const response = await fetch(`${url}/v1/auth/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
    body: JSON.stringify(body),
  })
  const text = await response.text()
  return { status: response.status, body: text && JSON.parse(text) }
}

async function me(url: string, { accessToken }: Session): Promise<Partial<Me> & { status: number }> {
  const response = await fetch(`${url}/v1/me`, { headers: { authorization: `Bearer ${accessToken}` } })
  return { ...((await response.json()) as Me), status: response.status }
}

/** The identity feature, mailing by SMTP. */
async function identityWith(mailServer: MailServer, context: TestContext) {
  const log: string[] = []
  const options = { smtpUrl: mailServer.url, from: 'Kintsugi <no-reply@chat.example>', outbox: nowhere }
  const mailer = createMailer({ ...options, log: pino({}, { write: (line: string) => log.push(line) }) })
  const identity = await startIdentity({ telegramBotToken }, { mailer })
  context.after(async () => {
    await identity.close()
    mailer.close()
  })
  return identity
}

const ownMailServer = async (context: TestContext): Promise<MailServer> => {
  const own = await createMailServer()
  await own.start()
  context.after(() => own.stop())
  return own
}

test('the way of an account through all its mails, on a running server', async (context) => {
  const { url, end, output } = await startBackend({
    SMTP_URL: server.url,
    MAIL_FROM: 'Kintsugi <no-reply@chat.example>',
    PUBLIC_URL: 'https://chat.example',
  })
  context.after(end)
  const session = await register(url, 'traveller')
  const token = session.accessToken
  const email = session.user.email!
  const mailed = (to: string, act: () => Promise<unknown>) => mailBy(server.mails, to, act)
  const answers = async (status: number, path: string, body: object, by?: string) => {
    const answer = await post(url, path, body, by)
    assert.equal(answer.status, status, `${path}: ${JSON.stringify(answer.body)}`)
    return answer.body
  }

  await context.test('verification', async () => {
    const first = await mailTo(server.mails, email)
    assert.deepEqual(first.recipients, [email])
    assert.equal(first.from, 'no-reply@chat.example')
    assert.equal(first.headers.get('auto-submitted'), 'auto-generated')
    assert.match(first.text, /your account at chat\.example/)
    const second = await mailed(email, () => answers(202, 'verify-email/resend', {}, token))
    await answers(422, 'verify-email', { code: codeIn(first) }, token)
    await answers(400, 'verify-email', { code: '12345' }, token)
    assert.equal((await me(url, session)).emailVerified, false)
    await answers(204, 'verify-email', { code: codeIn(second) }, token)
    assert.equal((await me(url, session)).emailVerified, true)
  })

  const forgotten = await register(url, 'forgotten')
  await context.test('forgotten password', async () => {
    const { socket } = await connect(url, forgotten)
    const address = forgotten.user.email!
    await mailTo(server.mails, address)
    const link = await mailed(address, async () => {
      assert.deepEqual(await answers(202, 'forgot-password', { email: address }), {})
    })
    assert.deepEqual(await answers(202, 'forgot-password', { email: 'nobody@example.net' }), {})
    const closed = new Promise((resolve) => socket.once('disconnect', resolve))
    const reset = { token: linkIn(link).token, password: newPassword }
    const told = await mailed(address, () => answers(204, 'reset-password', reset))
    assert.match(told.subject, /password was changed/)
    await closed
    assert.equal((await me(url, forgotten)).status, 401)
    await answers(401, 'refresh', { refreshToken: forgotten.refreshToken })
    await answers(410, 'reset-password', reset)
    await answers(401, 'login', { email: address, password })
    await answers(200, 'login', { email: address, password: newPassword })
  })

  await context.test('change of address', async () => {
    const wish = { newEmail: 'traveller@new.example', password }
    await answers(401, 'change-email', { ...wish, password: 'wrong password' }, token)
    const mail = await mailed(wish.newEmail, () => answers(202, 'change-email', wish, token))
    assert.equal((await me(url, session)).email, email)
    await answers(422, 'change-email/confirm', { code: codeIn(mail) === '000000' ? '111111' : '000000' }, token)
    const told = await mailed(email, () => answers(204, 'change-email/confirm', { code: codeIn(mail) }, token))
    assert.match(told.subject, /address was changed/)
    assert.equal((await me(url, session)).email, wish.newEmail)
  })

  await context.test('change of password', async () => {
    const other = (await answers(200, 'login', { email: 'traveller@new.example', password })) as Session
    const wish = { currentPassword: password, newPassword }
    await mailed('traveller@new.example', () => answers(204, 'change-password', wish, token))
    assert.equal((await me(url, other)).status, 401)
    assert.equal((await me(url, session)).status, 200)
  })

  await context.test('strangers are refused, and no mail goes anywhere but to the one that it is for', async () => {
    const code = '123456'
    const inputs = {
      'verify-email': { code },
      'verify-email/resend': {},
      'change-email': { newEmail: 'stranger@example.net', password },
      'change-email/confirm': { code },
      'change-password': { currentPassword: password, newPassword },
    }
    for (const [path, body] of Object.entries(inputs)) await answers(401, path, body)
    for (const mail of server.mails) assert.deepEqual([mail.to], mail.recipients)
    assert.ok(!server.mails.some(({ to }) => to === 'nobody@example.net' || to === 'stranger@example.net'))
  })

  for (const { text, to } of server.mails) {
    assert.ok(!output().includes(to), 'no address in the log')
    const secret = /^\d{6}$/m.exec(text)?.[0] ?? /token=(\S+)/.exec(text)?.[1]
    if (secret) assert.ok(!output().includes(`"${secret}"`))
  }
})

test('mails wait for a mail server that is away when the server starts', async (context) => {
  const late = await createMailServer()
  const { url, end, output } = await startBackend({ SMTP_URL: late.url })
  context.after(end)
  const session = await register(url, 'early')
  await logged(output, 'a job failed')
  await late.start()
  context.after(() => late.stop())
  const mail = await mailTo(late.mails, session.user.email!)
  assert.equal((await post(url, 'verify-email', { code: codeIn(mail) }, session.accessToken)).status, 204)
})

test('a mail that is refused is tried again, and what the mail server says of it stays out of log and database', async (context) => {
  const picky = await ownMailServer(context)
  const identity = await identityWith(picky, context)
  picky.refuse('5.7.1 <refused@example.org>: go away')
  await identity.register('refused')
  await logged(() => identity.logged.join(''), 'a job failed')
  picky.refuse()
  await mailTo(picky.mails, 'refused@example.org')
  await jobsDone(identity.database)
  assert.equal(picky.mails.length, 1)
  const log = identity.logged.join('')
  assert.match(log, /did not take a mail \(EENVELOPE RCPT TO 550\)/)
  assert.ok(!log.includes('refused@example.org'))
  assert.ok(!log.includes('go away'))
})

test('a code that was replaced or has expired, or whose owner is gone, before it could be mailed, is not mailed any more', async (context) => {
  const picky = await ownMailServer(context)
  const identity = await identityWith(picky, context)
  picky.refuse('4.2.0 later')
  const actor = await identity.actorOf(await identity.register('patient'))
  await identity.call('auth:resend-verification', {}, actor)
  for (const name of ['changed', 'expired', 'removed', 'banned']) {
    const { userId } = await identity.actorOf(await identity.register(name))
    if (name === 'expired')
      await identity.database.query(sql`update one_time_codes set expires_at = now() where user_id = ${userId}`)
    if (name === 'removed') await identity.remove(userId)
    if (name === 'banned') await identity.ban(userId)
  }
  const changed = await identity.actorOf(
    await identity.call<Session>('auth:login', { username: 'changed', password: 'correct horse battery' }),
  )
  const wish = { newEmail: 'changed@new.example', password: 'correct horse battery' }
  await identity.call('auth:change-email', wish, changed)
  await identity.call('auth:change-password', { currentPassword: wish.password, newPassword }, changed)
  await logged(() => identity.logged.join(''), 'a job failed')
  // an attempt that began before may have read what was good then
  await until(
    () => 'an attempt to mail is still under way',
    async () => {
      const active = await identity.database.query(sql`
        select id from pgboss.job where name = 'mail' and state = 'active'`)
      return active.length === 0 || undefined
    },
  )
  picky.refuse()
  await jobsDone(identity.database)
  const sent = picky.mails.map(({ to, subject }) => `${to}: ${subject}`)
  assert.deepEqual(sent.sort(), [
    'changed@example.org: Confirm your email address',
    'changed@example.org: Your password was changed',
    'patient@example.org: Confirm your email address',
  ])
  await identity.call('auth:verify-email', { code: codeIn(await mailTo(picky.mails, 'patient@example.org')) }, actor)
})

test("every mail is in the user's language, and in English where it is not spoken here", async (context) => {
  const own = await ownMailServer(context)
  const identity = await identityWith(own, context)
  const mailed = (to: string, act: () => Promise<unknown>) => mailBy(own.mails, to, act)

  async function all(name: string, locale: string): Promise<ReceivedMail[]> {
    const email = `${name}@example.org`
    const newEmail = `${name}@new.example`
    let session: Session | undefined
    const welcome = await mailed(email, async () => {
      session = await identity.register(name, { locale })
    })
    const actor = await identity.actorOf(session!)
    const link = await mailed(email, () => identity.call('auth:forgot-password', { email }))
    const change = { newEmail, password: 'correct horse battery' }
    const confirm = await mailed(newEmail, () => identity.call('auth:change-email', change, actor))
    const moved = await mailed(email, () => identity.call('auth:confirm-email', { code: codeIn(confirm) }, actor))
    const passwords = { currentPassword: 'correct horse battery', newPassword }
    const changed = await mailed(newEmail, () => identity.call('auth:change-password', passwords, actor))
    const data = { id: String(randomInt(2 ** 47)), auth_date: String(Math.floor(Date.now() / 1000)) }
    const way = { widget: widget(telegramBotToken, data), password: newPassword }
    const linked = await mailed(newEmail, () => identity.call('identity:link-telegram', way, actor))
    const provider = { provider: 'telegram', password: newPassword }
    const unlinked = await mailed(newEmail, () => identity.call('identity:unlink', provider, actor))
    for (const { subject, text } of [linked, unlinked]) assert.match(`${subject}: ${text}`, /Telegram.*Telegram/s)
    assert.notEqual(linked.subject, unlinked.subject)
    codeIn(welcome)
    linkIn(link)
    return [welcome, link, confirm, moved, changed, linked, unlinked]
  }

  const korean = /[\uac00-\ud7a3]/
  for (const [n, locale] of ['ko', 'ko-KR', 'KO'].entries()) {
    for (const { subject, text } of await all(`korean${n}`, locale)) {
      assert.match(subject, korean)
      assert.match(text, korean)
      assert.doesNotMatch(text, /Hello|your/i)
    }
  }
  for (const [n, locale] of ['en', 'fr-FR'].entries()) {
    for (const { subject, text } of await all(`english${n}`, locale)) {
      assert.match(subject, /Confirm|Choose|Your/)
      assert.match(text, /^Hello,/)
      assert.doesNotMatch(text, korean)
    }
  }
})

test('nobody can put words or recipients of their own into a mail', async (context) => {
  const own = await ownMailServer(context)
  const identity = await identityWith(own, context)
  await identity.register('plain', {})
  const plain = await mailTo(own.mails, 'plain@example.org')
  const displayName = 'Eve\r\nBcc: all@example.net\r\n\r\nWin at evil.example'
  await identity.register('visit.evil.example', { email: 'eve@example.org', displayName })
  const mail = await mailTo(own.mails, 'eve@example.org')
  assert.deepEqual(mail.recipients, ['eve@example.org'])
  assert.deepEqual([...mail.headers.keys()].sort(), [...plain.headers.keys()].sort())
  assert.equal(mail.text.replace(codeIn(mail), ''), plain.text.replace(codeIn(plain), ''))
})

test('the adapter brings a mail to one address, whatever stands in it', async () => {
  const options = {
    smtpUrl: server.url,
    from: 'no-reply@chat.example',
    outbox: nowhere,
    log: pino({ level: 'silent' }),
  }
  const mailer = createMailer(options)
  const since = server.mails.length
  await mailer.send({ to: 'one@example.org', subject: 'Hello\r\nBcc: two@example.org', text: '한국어\n.\nQUIT' })
  await mailer.send({ to: 'one@example.org, two@example.org', subject: 'Two', text: '' }).catch(() => {})
  mailer.close()
  const [first, ...others] = server.mails.slice(since)
  assert.deepEqual(first?.recipients, ['one@example.org'])
  assert.equal(first?.headers.has('bcc'), false)
  assert.equal(first?.text, '한국어\n.\nQUIT')
  for (const { recipients } of others) assert.equal(recipients.length, 1)
})

test('without a mail server mails are written to the outbox, and are in the log at its debug level alone', async (context) => {
  for (const level of ['debug', 'info']) {
    const folder = await mkdtemp(join(tmpdir(), 'kintsugi-outbox-'))
    const running = await startServer({ DATA_DIR: folder, LOG_LEVEL: level })
    context.after(async () => {
      await running.stop()
      await rm(folder, { recursive: true, force: true })
    })
    const session = await register(running.url, `laptop${randomBytes(2).toString('hex')}`)
    const mails: ReceivedMail[] = []
    const outbox = join(folder, 'outbox')
    const files = async () => (await readdir(outbox).catch(() => [])).filter((file) => file.endsWith('.eml'))
    await until(
      () => 'no mail in the outbox',
      async () => (await files())[0],
    )
    for (const file of await files()) mails.push(await parseMail(await readFile(join(outbox, file))))
    const code = codeIn(await mailTo(mails, session.user.email!))
    assert.equal((await post(running.url, 'verify-email', { code }, session.accessToken)).status, 204)
    assert.equal(running.output().includes(code), level === 'debug')
    assert.equal(running.output().includes(session.user.email!), level === 'debug')
  }
})
