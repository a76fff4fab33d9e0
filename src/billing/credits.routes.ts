import { operation, publicOperation, type Route } from '../kernel/operation.ts'
import { billingContract as contract } from './billing.contract.ts'
import type { createCredits } from './credits.service.ts'
import type { Plans } from './plans.service.ts'
import type { createUsage } from './usage.service.ts'
import type { createUsageReport } from './usage-report.service.ts'
import type { Wallets } from './wallets.service.ts'

interface Services {
  wallets: Wallets
  credits: ReturnType<typeof createCredits>
  plans: Plans
  usage: ReturnType<typeof createUsage>
  usageReport: ReturnType<typeof createUsageReport>
}

/** Wallets, credits, plans and usage on their REST addresses. */
export function creditsRoutes({ wallets, credits, plans, usage, usageReport }: Services): Route[] {
  const wallet = operation(
    'wallet:get',
    contract['wallet:get'],
    (_input, { actor }) => wallets.get(actor.userId),
    'account',
  )
  const updateWallet = operation(
    'wallet:update',
    contract['wallet:update'],
    ({ overageEnabled }, { actor }) => wallets.setOverage(actor.userId, overageEnabled),
    'account',
  )
  const getCredits = operation(
    'credits:get',
    contract['credits:get'],
    (_input, { actor }) => credits.get(actor.userId),
    'account',
  )
  const transactions = operation(
    'credits:transactions',
    contract['credits:transactions'],
    (input, { actor }) => credits.transactions(actor.userId, input),
    'account',
  )
  const explain = operation(
    'credits:explain',
    contract['credits:explain'],
    (input, { actor }) => credits.explain(actor.userId, input),
    'account',
  )
  const ownUsage = operation(
    'usage:get',
    contract['usage:get'],
    (input, { actor }) => usageReport.report(actor.userId, input),
    'account',
  )
  const listPlans = publicOperation('plan:list', contract['plan:list'], () => plans.list(), 'read')

  const allPlans = operation('staff:plans', contract['staff:plans'], () => plans.listAll(), 'staff', 'admin')
  const updatePlan = operation(
    'staff:update-plan',
    contract['staff:update-plan'],
    (input, { actor }) => plans.update(input, actor.userId),
    'staff',
    'admin',
  )
  const adjust = operation(
    'staff:adjust-credits',
    contract['staff:adjust-credits'],
    (input, context) => credits.adjust(input, context),
    'staff',
    'admin',
  )
  const monthly = operation(
    'staff:usage-monthly',
    contract['staff:usage-monthly'],
    (input) => usage.months(input),
    'staff',
    'admin',
  )

  return [
    { method: 'get', path: '/me/wallet', operation: wallet, tag: 'account' },
    { method: 'patch', path: '/me/wallet', operation: updateWallet, tag: 'account' },
    { method: 'get', path: '/me/usage', operation: ownUsage, tag: 'account' },
    { method: 'get', path: '/credits', operation: getCredits, tag: 'credits' },
    { method: 'get', path: '/credits/transactions', operation: transactions, tag: 'credits' },
    { method: 'get', path: '/credits/explain', operation: explain, tag: 'credits' },
    { method: 'get', path: '/billing/plans', operation: listPlans, tag: 'billing' },
    { method: 'get', path: '/admin/plans', operation: allPlans, tag: 'admin' },
    { method: 'patch', path: '/admin/plans/:code', operation: updatePlan, tag: 'admin' },
    {
      method: 'post',
      path: '/admin/users/:userId/credits',
      operation: adjust,
      status: 201,
      idempotent: true,
      tag: 'admin',
    },
    { method: 'get', path: '/admin/usage/monthly', operation: monthly, tag: 'admin' },
  ]
}
