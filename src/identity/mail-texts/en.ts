/** English, which also says what a mail in each language is made of. */
export const en = {
  verifyEmail: ({ code, minutes, site }: CodeFacts): MailText => ({
    subject: 'Confirm your email address',
    text: [
      'Hello,',
      `this code confirms the email address of your account at ${site}:`,
      code,
      `It is good for ${minutes} minutes. If you have not registered there, you need not do anything.`,
    ],
  }),

  changeEmail: ({ code, minutes, site }: CodeFacts): MailText => ({
    subject: 'Confirm your new email address',
    text: [
      'Hello,',
      `this code makes this the email address of your account at ${site}:`,
      code,
      `It is good for ${minutes} minutes. If you have not asked for it, you need not do anything.`,
    ],
  }),

  resetPassword: ({ link, minutes, site }: LinkFacts): MailText => ({
    subject: 'Choose a new password',
    text: [
      'Hello,',
      `by this link you choose a new password for your account at ${site}:`,
      link,
      `It works once, for ${minutes} minutes. If you have not asked for it, you need not do anything: your password stays as it is.`,
    ],
  }),

  emailChanged: ({ site }: SiteFacts): MailText => ({
    subject: 'Your email address was changed',
    text: [
      'Hello,',
      `your account at ${site} has a new email address. This one does not belong to it any more.`,
      'If that was not you, please tell those who run the service at once.',
    ],
  }),

  passwordChanged: ({ site }: SiteFacts): MailText => ({
    subject: 'Your password was changed',
    text: [
      'Hello,',
      `the password of your account at ${site} was changed, and your other devices were logged out.`,
      'If that was not you, choose a new password at once, by “forgot password”.',
    ],
  }),

  identityLinked: ({ provider, site }: ProviderFacts): MailText => ({
    subject: `Your account was linked to ${provider}`,
    text: [
      'Hello,',
      `your account at ${site} can now be logged in to by an account at ${provider}.`,
      `If that was not you, choose a new password at once, by “forgot password”; then log in and unlink ${provider}.`,
    ],
  }),

  identityUnlinked: ({ provider, site }: ProviderFacts): MailText => ({
    subject: `Your account was unlinked from ${provider}`,
    text: [
      'Hello,',
      `your account at ${site} cannot be logged in to by ${provider} any more.`,
      'That also happens when a new password is chosen by mail and the address had not been confirmed before: you may then link it again.',
      'If none of that was you, choose a new password at once, by “forgot password”.',
    ],
  }),
}

/** A language: the same mails in other words. */
export type MailTexts = typeof en

export interface MailText {
  subject: string
  /** Paragraphs. */
  text: string[]
}

interface SiteFacts {
  /** Where the account is, as people know it: the host of the server's address. */
  site: string
}

interface CodeFacts extends SiteFacts {
  code: string
  minutes: number
}

interface ProviderFacts extends SiteFacts {
  /** What the service is called to its users. */
  provider: string
}

interface LinkFacts extends SiteFacts {
  link: string
  minutes: number
}
