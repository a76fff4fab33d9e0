import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createTransport } from 'nodemailer'
import type { Logger } from 'pino'
import { newId } from '../kernel/ids.ts'
import type { Mail, Mailer } from '../kernel/ports.ts'

/** A mail server that has not answered by then is tried again later, */
const timeoutMs = 15_000
/** and so is one that keeps answering without coming to an end. */
const sendMs = 45_000

interface SmtpOptions {
  /** The mail server; absent: mails are written to `outbox`. */
  smtpUrl: string | undefined
  from: string
  /** A folder for mails that no server takes, as `.eml` files that any mail program opens. */
  outbox: string
  log: Logger
}

/** Mail by SMTP; without a mail server into a folder, with a line in the log, so that a laptop needs none. */
export function createMailer({ smtpUrl, from, outbox, log }: SmtpOptions): Mailer {
  if (!smtpUrl) return writingTo(outbox, from, log)
  const timeouts = { connectionTimeout: timeoutMs, greetingTimeout: timeoutMs, socketTimeout: timeoutMs }
  const server = createTransport({ url: smtpUrl, pool: true, ...timeouts }, { from })
  return {
    async send(mail) {
      try {
        await server.sendMail({ ...messageOf(mail), signal: AbortSignal.timeout(sendMs) })
      } catch (error) {
        throw notTaken(error)
      }
    },
    close: () => server.close(),
  }
}

function writingTo(outbox: string, from: string, log: Logger): Mailer {
  const written = createTransport({ streamTransport: true, buffer: true, newline: 'unix' }, { from })
  return {
    async send(mail) {
      const { message } = await written.sendMail(messageOf(mail))
      await mkdir(outbox, { recursive: true, mode: 0o700 })
      const name = `${newId()}.eml`
      const file = join(outbox, name)
      // written beside the folder: whoever watches that sees whole mails and nothing else
      const part = `${outbox}-${name}.part`
      await writeFile(part, message as Buffer, { mode: 0o600 })
      await rename(part, file)
      // for who tries the server on a laptop; with a mail server no mail is ever logged
      log.debug({ file, mail }, 'no mail server is configured: a mail was written to the outbox')
    },
    close() {},
  }
}

const messageOf = ({ to, subject, text }: Mail) => ({
  // as one address, never as a list to be parsed
  to: { name: '', address: to },
  subject,
  text,
  // RFC 3834: nobody's holiday notice is to answer it
  headers: { 'Auto-Submitted': 'auto-generated' },
})

/** Failures before the server said anything: their words are of hosts and certificates. */
const saysNoAddress = new Set(['ECONNECTION', 'ETIMEDOUT', 'ESOCKET', 'EDNS', 'ETLS'])

/**
 * The failure for the log and the job's row. What a server says of a mail quotes addresses, and nodemailer hangs them on
 * the error as well: of that only the codes are kept.
 */
function notTaken(error: unknown): Error {
  const { code, command, responseCode, response, message } = error as Record<string, unknown>
  const kind = [code, command, responseCode].filter((part) => part !== undefined).join(' ')
  const words = response === undefined && saysNoAddress.has(String(code)) ? `: ${message}` : ''
  return new Error(`The mail server did not take a mail (${kind})${words}`)
}
