import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createTransport } from 'nodemailer'
import type { Logger } from 'pino'
import { newId } from '../kernel/ids.ts'
import type { Mailer } from '../kernel/ports.ts'

/** A mail server that has not answered by then is tried again later. */
const timeoutMs = 15_000

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
  if (!smtpUrl) {
    const written = createTransport({ streamTransport: true, buffer: true, newline: 'unix' }, { from })
    return {
      async send(mail) {
        const { message } = await written.sendMail(mail)
        await mkdir(outbox, { recursive: true, mode: 0o700 })
        const file = join(outbox, `${newId()}.eml`)
        await writeFile(file, message as Buffer, { mode: 0o600 })
        // for who tries the server on a laptop; with a mail server no mail is ever logged
        log.debug({ file, mail }, 'no mail server is configured: a mail was written to the outbox')
      },
      close() {},
    }
  }
  const timeouts = { connectionTimeout: timeoutMs, greetingTimeout: timeoutMs, socketTimeout: timeoutMs }
  const server = createTransport({ url: smtpUrl, pool: true, ...timeouts }, { from })
  return {
    async send(mail) {
      await server.sendMail(mail)
    },
    close: () => server.close(),
  }
}
