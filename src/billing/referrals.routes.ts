import { operation, type Route } from '../kernel/operation.ts'
import type { createPartners } from './partners.service.ts'
import type { createPayouts } from './payouts.service.ts'
import { referralsContract as contract } from './referrals.contract.ts'
import type { createReferrals } from './referrals.service.ts'

interface Services {
  referrals: ReturnType<typeof createReferrals>
  payouts: ReturnType<typeof createPayouts>
  partners: ReturnType<typeof createPartners>
}

/** The referral and partner programme on its REST addresses, for those in it and for the staff who look after it. */
export function referralRoutes({ referrals, payouts, partners }: Services): Route[] {
  const get = operation(
    'referral:get',
    contract['referral:get'],
    (_input, { actor }) => referrals.get(actor.userId),
    'account',
  )
  const earnings = operation(
    'referral:earnings',
    contract['referral:earnings'],
    (input, { actor }) => referrals.earnings(actor.userId, input),
    'account',
  )
  const withdraw = operation('withdrawal:request', contract['withdrawal:request'], payouts.request, 'account')
  const withdrawals = operation(
    'withdrawal:list',
    contract['withdrawal:list'],
    (input, { actor }) => payouts.list(actor.userId, input),
    'account',
  )
  const apply = operation(
    'partner:apply',
    contract['partner:apply'],
    (input, { actor }) => partners.apply(actor.userId, input),
    'account',
  )
  const application = operation(
    'partner:application',
    contract['partner:application'],
    (_input, { actor }) => partners.latest(actor.userId),
    'account',
  )
  const allWithdrawals = operation(
    'staff:withdrawals',
    contract['staff:withdrawals'],
    (input) => payouts.listAll(input),
    'staff',
    'admin',
  )
  const process = operation(
    'staff:process-withdrawal',
    contract['staff:process-withdrawal'],
    (input, { actor }) => payouts.process(actor, input),
    'staff',
    'admin',
  )
  const allApplications = operation(
    'staff:partner-applications',
    contract['staff:partner-applications'],
    (input) => partners.listAll(input),
    'staff',
    'admin',
  )
  const review = operation(
    'staff:review-partner',
    contract['staff:review-partner'],
    (input, { actor }) => partners.review(actor, input),
    'staff',
    'admin',
  )

  return [
    { method: 'get', path: '/referrals', operation: get, tag: 'referrals' },
    { method: 'get', path: '/referrals/earnings', operation: earnings, tag: 'referrals' },
    {
      method: 'post',
      path: '/referrals/withdrawals',
      operation: withdraw,
      status: 201,
      idempotent: true,
      tag: 'referrals',
    },
    { method: 'get', path: '/referrals/withdrawals', operation: withdrawals, tag: 'referrals' },
    { method: 'post', path: '/referrals/partner-application', operation: apply, status: 201, tag: 'referrals' },
    { method: 'get', path: '/referrals/partner-application', operation: application, tag: 'referrals' },
    { method: 'get', path: '/admin/withdrawals', operation: allWithdrawals, tag: 'admin' },
    { method: 'patch', path: '/admin/withdrawals/:withdrawalId', operation: process, tag: 'admin' },
    { method: 'get', path: '/admin/partner-applications', operation: allApplications, tag: 'admin' },
    { method: 'patch', path: '/admin/partner-applications/:applicationId', operation: review, tag: 'admin' },
  ]
}
