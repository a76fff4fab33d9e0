import { operation, type Route } from '../kernel/operation.ts'
import type { Accounts } from './accounts.service.ts'
import { identityContract as contract } from './identity.contract.ts'
import type { createUsers } from './users.service.ts'

interface Services {
  accounts: Accounts
  users: ReturnType<typeof createUsers>
}

/** Accounts and people on their REST addresses. */
export function identityRoutes({ accounts, users }: Services): Route[] {
  const me = operation('me:get', contract['me:get'], (_input, { actor }) => accounts.get(actor.userId), 'account')

  const updateMe = operation(
    'me:update',
    contract['me:update'],
    (input, { actor }) => accounts.update(actor.userId, input),
    'account',
  )

  const search = operation(
    'user:search',
    contract['user:search'],
    (input, { actor }) => users.search(actor.userId, input),
    'user_search',
  )

  const getUser = operation(
    'user:get',
    contract['user:get'],
    ({ userId }, { actor }) => users.get(userId, actor.userId),
    'account',
  )

  return [
    { method: 'get', path: '/me', operation: me, tag: 'account' },
    { method: 'patch', path: '/me', operation: updateMe, tag: 'account' },
    { method: 'get', path: '/users', operation: search, tag: 'account' },
    { method: 'get', path: '/users/:userId', operation: getUser, tag: 'account' },
  ]
}
