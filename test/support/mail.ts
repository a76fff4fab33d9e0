import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { sql } from 'kysely'
import PostalMime from 'postal-mime'
import { SMTPServer } from 'smtp-server'
import type { Database } from '../../src/database/database.ts'
import { freePort } from './server.ts'

const limitMs = 20_000

/** A mail as its reader sees it, beside what the mail server was told. */
export interface ReceivedMail {
  /** The addresses that the mail server was told to bring it to. */
  recipients: string[]
  to: string
  from: string
  subject: string
  text: string
  headers: Map<string, string>
}

export interface MailServer {
  /** For SMTP_URL. */
  url: string
  /** What it has taken, in order. */
  mails: ReceivedMail[]
  /** Connections made so far. */
  connections(): number
  /** From now on it refuses all mail in these words, or, without words, takes it again. */
  refuse(words?: string): void
  start(): Promise<void>
  /** Ends it, with its connections; it may be started again on the same port. */
  stop(): Promise<void>
}

/** A mail server on this machine, that keeps what it is given; as yet not started. */
export async function createMailServer(): Promise<MailServer> {
  const port = await freePort()
  const mails: ReceivedMail[] = []
  let refusal: string | undefined
  let connections = 0
  let server: SMTPServer | undefined

  const start = async (): Promise<void> => {
    server = new SMTPServer({
      authOptional: true,
      disabledCommands: ['AUTH', 'STARTTLS'],
      closeTimeout: 100,
      onConnect(_session, done) {
        connections++
        done()
      },
      onRcptTo(_address, _session, done) {
        done(refusal === undefined ? null : Object.assign(new Error(refusal), { responseCode: 550 }))
      },
      onData(stream, { envelope }, done) {
        const chunks: Buffer[] = []
        stream.on('data', (chunk: Buffer) => chunks.push(chunk))
        stream.on('end', () => {
          const recipients = envelope.rcptTo.map(({ address }) => address)
          parseMail(Buffer.concat(chunks), recipients).then((mail) => {
            mails.push(mail)
            done()
          }, done)
        })
      },
    })
    server.on('error', () => {})
    const listening = server.listen(port, '127.0.0.1')
    await once(listening, 'listening')
    assert.equal((listening.address() as AddressInfo).port, port)
  }

  return {
    url: `smtp://127.0.0.1:${port}`,
    mails,
    connections: () => connections,
    refuse(words) {
      refusal = words
    },
    start,
    stop: () => new Promise((resolve) => (server ? server.close(() => resolve()) : resolve())),
  }
}

/** Reads a mail as mail programs do. */
export async function parseMail(raw: Buffer, recipients: string[] = []): Promise<ReceivedMail> {
  const { to, from, subject, text, headers } = await PostalMime.parse(raw)
  return {
    recipients,
    to: (to ?? []).map(({ address }) => address).join(', '),
    from: from?.address ?? '',
    subject: subject ?? '',
    text: (text ?? '').trim(),
    headers: new Map(headers.map(({ key, value }) => [key, value])),
  }
}

/** Asks again and again until there is an answer; fails with `what` after 20 s. */
export async function until<T>(what: () => string, ask: () => Promise<T | undefined> | T | undefined): Promise<T> {
  const deadline = performance.now() + limitMs
  for (;;) {
    const answer = await ask()
    if (answer !== undefined) return answer
    assert.ok(performance.now() < deadline, what())
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** Waits until a log says something. */
export const logged = (log: () => string, words: string): Promise<true> =>
  until(
    () => `the log does not say: ${words}`,
    () => log().includes(words) || undefined,
  )

/** The first mail to that address after the first `since` mails; there already or within 20 s. */
export const mailTo = <M extends { to: string; subject: string }>(mails: M[], to: string, since = 0): Promise<M> =>
  until(
    () =>
      `no mail to ${to} among: ${mails
        .slice(since)
        .map((mail) => `${mail.to}: ${mail.subject}`)
        .join('; ')}`,
    () => mails.slice(since).find((mail) => mail.to === to),
  )

/** Does something, and gives the first mail to that address since. */
export async function mailBy<M extends { to: string; subject: string }>(
  mails: M[],
  to: string,
  act: () => Promise<unknown>,
): Promise<M> {
  const since = mails.length
  await act()
  return mailTo(mails, to, since)
}

/** Waits until no job is left to do, so that a mail which has not come by then does not come. */
export async function jobsDone(database: Pick<Database, 'query'>): Promise<void> {
  let left: unknown[] = []
  await until(
    () => `jobs are left: ${JSON.stringify(left)}`,
    async () => {
      left = await database.query(sql`select name, state::text as state from pgboss.job
        where state < 'completed' and name in ('mail', 'forgot-password')`)
      return left.length === 0 || undefined
    },
  )
}

/** The digits that a mail brings. */
export function codeIn({ text }: { text: string }): string {
  const code = /^\d{6}$/m.exec(text)?.[0]
  assert.ok(code, `no code in: ${text}`)
  return code
}

/** The link that a mail brings, and the token in it. */
export function linkIn({ text }: { text: string }): { link: URL; token: string } {
  const link = URL.parse(/^https?:\S+$/m.exec(text)?.[0] ?? '')
  assert.ok(link, `no link in: ${text}`)
  return { link, token: link.searchParams.get('token') ?? '' }
}
