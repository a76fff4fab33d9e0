import { AppError } from '../kernel/errors.ts'

export const banned = () => new AppError('banned', 'This account is banned.')

/** Revoked, expired, deleted or never begun: it does not matter to the caller, who has to log in. */
export const loginEnded = () => new AppError('unauthenticated', 'This login has ended. Log in again.')

/** One answer for an unknown account and a wrong password: it tells nobody which accounts exist. */
export const wrongCredentials = () => new AppError('unauthenticated', 'The account or the password is wrong.')

export const taken = (path: 'username' | 'email') =>
  new AppError('conflict', `This ${path} is taken.`, { errors: [{ path, message: 'is taken' }] })
