import { operation, publicOperation, type Route } from '../kernel/operation.ts'
import { emailContract as contract } from './email.contract.ts'
import type { Emails } from './emails.service.ts'
import type { Passwords } from './passwords.service.ts'

/** Address and password of an account on their REST addresses. Where a mail is on its way, the answer is 202. */
export function emailRoutes({ emails, passwords }: { emails: Emails; passwords: Passwords }): Route[] {
  const verify = operation('auth:verify-email', contract['auth:verify-email'], emails.verify, 'identity')
  const resend = operation('auth:resend-verification', contract['auth:resend-verification'], emails.resend, 'identity')
  const forgot = publicOperation('auth:forgot-password', contract['auth:forgot-password'], passwords.forgot, 'identity')
  const reset = publicOperation('auth:reset-password', contract['auth:reset-password'], passwords.reset, 'identity')
  const change = operation('auth:change-email', contract['auth:change-email'], emails.change, 'identity')
  const confirm = operation('auth:confirm-email', contract['auth:confirm-email'], emails.confirm, 'identity')
  const password = operation('auth:change-password', contract['auth:change-password'], passwords.change, 'identity')

  return [
    { method: 'post', path: '/auth/verify-email', operation: verify, status: 204, tag: 'auth' },
    { method: 'post', path: '/auth/verify-email/resend', operation: resend, status: 202, tag: 'auth' },
    { method: 'post', path: '/auth/forgot-password', operation: forgot, status: 202, tag: 'auth' },
    { method: 'post', path: '/auth/reset-password', operation: reset, status: 204, tag: 'auth' },
    { method: 'post', path: '/auth/change-email', operation: change, status: 202, tag: 'auth' },
    { method: 'post', path: '/auth/change-email/confirm', operation: confirm, status: 204, tag: 'auth' },
    { method: 'post', path: '/auth/change-password', operation: password, status: 204, tag: 'auth' },
  ]
}
