import { AppError } from '../kernel/errors.ts'

/** With the reason that was given for the ban, for its user. */
export const banned = (reason?: string | null) =>
  new AppError('banned', 'This account is banned.', reason ? { details: { reason } } : {})

/** Revoked, expired, deleted or never begun: it does not matter to the caller, who has to log in. */
export const loginEnded = () => new AppError('unauthenticated', 'This login has ended. Log in again.')

/** One answer for an unknown account and a wrong password: it tells nobody which accounts exist. */
export const wrongCredentials = () => new AppError('unauthenticated', 'The account or the password is wrong.')

export const taken = (...paths: ('username' | 'email')[]) =>
  new AppError('conflict', `This ${paths.join(' and this ')} is taken.`, {
    errors: paths.map((path) => ({ path, message: 'is taken' })),
  })
