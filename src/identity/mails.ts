import { sql } from 'kysely'
import type { Connection, Database } from '../database/database.ts'
import type { Jobs, Mail, Mailer, OpenIdProvider } from '../kernel/ports.ts'
import { telegram } from './external-person.ts'
import { en, type MailText, type MailTexts } from './mail-texts/en.ts'
import { ko } from './mail-texts/ko.ts'
import type { CodeMail, OneTimeCodes } from './one-time-codes.ts'

/** The languages that mails are written in, by the first part of a user's locale. Another is a file and a line here. */
const languages = new Map<string, MailTexts>([
  ['en', en],
  ['ko', ko],
])

const textsFor = (locale: string): MailTexts => languages.get(locale.split('-', 1)[0]?.toLowerCase() ?? '') ?? en

/** One mail that waits: a code by its id, or news of one's account. */
type MailJob =
  | { codeId: string }
  | { notice: 'password_changed'; userId: string }
  | { notice: 'identity_linked' | 'identity_unlinked'; userId: string; provider: string }
  /** `to`: the address that the account had before, and that stands nowhere else any more. */
  | { notice: 'email_changed'; userId: string; to: string }

/** What mails are sent for besides codes. */
type Notice = Exclude<MailJob, { codeId: string }>

/** What goes to the address that the account has when it is mailed. */
type OwnNotice = Exclude<Notice, { to: string }>

/** The pauses between so many attempts add up to a day: a mail server that is away for a night loses nothing. */
const retries = 16

interface MailsDependencies {
  database: Pick<Database, 'query'>
  jobs: Jobs
  mailer: Mailer
  codes: Pick<OneTimeCodes, 'toMail'>
  publicUrl: string
  openIdProviders: readonly Pick<OpenIdProvider, 'name' | 'label'>[]
}

export type Mails = ReturnType<typeof createMails>

/**
 * Writes and sends the mails of accounts, by jobs that come about in the transaction that makes them necessary. A code
 * that is used, replaced or expired by the time of an attempt is not mailed. Mails hold nothing that anybody has written,
 * such as a display name: else one could have this server bring one's own words to any mailbox.
 */
export function createMails(deps: MailsDependencies) {
  const { database, jobs, mailer, codes, publicUrl } = deps
  const site = new URL(publicUrl).host
  const labels = new Map([telegram, ...deps.openIdProviders].map(({ name, label }) => [name, label]))

  const queue = jobs.define<MailJob>({
    name: 'mail',
    expireSeconds: 60,
    retries,
    async handle(job) {
      const mail = 'codeId' in job ? await codeMail(job.codeId) : await noticeMail(job)
      if (mail) await mailer.send(mail)
    },
  })

  async function codeMail(codeId: string): Promise<Mail | undefined> {
    const code = await codes.toMail(codeId)
    return code && write(code.to, textOf(code))
  }

  function textOf({ purpose, secret, locale, minutes }: CodeMail): MailText {
    const texts = textsFor(locale)
    if (purpose === 'verify_email') return texts.verifyEmail({ code: secret, minutes, site })
    if (purpose === 'change_email') return texts.changeEmail({ code: secret, minutes, site })
    const link = `${publicUrl.replace(/\/+$/, '')}/reset-password?token=${secret}`
    return texts.resetPassword({ link, minutes, site })
  }

  async function noticeMail(job: Notice): Promise<Mail | undefined> {
    const [user] = await database.query(sql<{ email: string | null; locale: string }>`
      select email, locale from users where id = ${job.userId} and deleted_at is null`)
    if (!user) return undefined
    const texts = textsFor(user.locale)
    if (job.notice === 'email_changed') return write(job.to, texts.emailChanged({ site }))
    return user.email === null ? undefined : write(user.email, textOfNotice(job, texts))
  }

  function textOfNotice(job: OwnNotice, texts: MailTexts): MailText {
    if (job.notice === 'password_changed') return texts.passwordChanged({ site })
    // one that is not configured any more has a name alone
    const provider = labels.get(job.provider) ?? job.provider
    return job.notice === 'identity_linked'
      ? texts.identityLinked({ provider, site })
      : texts.identityUnlinked({ provider, site })
  }

  return {
    /** Has a code mailed to whom it is for; call what it returns after the commit. */
    sendCode: (em: Connection, codeId: string) => queue.enqueue(em, { codeId }),
    /** Has news mailed; call what it returns after the commit. */
    sendNotice: (em: Connection, notice: Notice) => queue.enqueue(em, notice),
  }
}

const write = (to: string, { subject, text }: MailText): Mail => ({ to, subject, text: `${text.join('\n\n')}\n` })
