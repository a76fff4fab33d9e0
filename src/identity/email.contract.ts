import { z } from 'zod'
import * as p from '../kernel/primitives.ts'
import { identityContract } from './identity.contract.ts'

const { email, password } = identityContract['auth:register'].input.shape

/** Spaces around it come along when it is copied. */
const code = z
  .string()
  .max(20)
  .trim()
  .regex(/^\d{6}$/, 'must be the six digits of the mail')

/** What an account without a password does not have. */
export const ownPassword = p.text(200).optional().meta({
  description: 'Your password. Accounts without one need a login of the last 10 minutes instead.',
})

/** Operations around the address and the password of an account, by their names. */
export const emailContract = {
  'auth:verify-email': {
    summary: 'Confirm your address by the code that was mailed to it; confirming once more changes nothing',
    input: z.strictObject({ code }),
    output: p.empty,
    errors: ['unprocessable', 'gone'],
    example: { input: { code: '492817' }, output: {} },
  },
  'auth:resend-verification': {
    summary: 'Have a new code mailed to your address; the one before stops working',
    input: p.empty,
    output: p.empty,
    errors: ['conflict', 'unprocessable'],
    example: { input: {}, output: {} },
  },
  'auth:forgot-password': {
    summary: 'Have a link mailed by which to choose a new password; the answer is the same for unknown addresses',
    input: z.strictObject({ email }),
    output: p.empty,
    example: { input: { email: 'ada@example.org' }, output: {} },
  },
  'auth:reset-password': {
    summary: 'Choose a new password by the token of the link; every login ends, and the address counts as confirmed',
    input: z.strictObject({ token: p.text(200).min(1), password }),
    output: p.empty,
    errors: ['gone'],
    example: {
      input: { token: '3qV0m1Yh0xW2n9cQ5tq8yJ4uKpZ7rLs6aBdEfGhIjKl', password: 'violet tram over lisbon' },
      output: {},
    },
  },
  'auth:change-email': {
    summary: 'Have a code mailed to a new address; the old one stays until the code is confirmed',
    input: z.strictObject({ newEmail: email, password: ownPassword }),
    output: p.empty,
    errors: ['conflict'],
    example: { input: { newEmail: 'ada@lovelace.example', password: 'correct horse battery' }, output: {} },
  },
  'auth:confirm-email': {
    summary: 'Take the new address by the code that was mailed to it; the old address is told',
    input: z.strictObject({ code }),
    output: p.empty,
    errors: ['unprocessable', 'gone', 'conflict'],
    example: { input: { code: '058263' }, output: {} },
  },
  'auth:change-password': {
    summary: 'Change your password, or give yourself a first one; your other logins end',
    input: z.strictObject({ currentPassword: ownPassword, newPassword: password }),
    output: p.empty,
    example: {
      input: { currentPassword: 'correct horse battery', newPassword: 'violet tram over lisbon' },
      output: {},
    },
  },
} as const
