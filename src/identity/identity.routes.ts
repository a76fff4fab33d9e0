import { AppError } from '../kernel/errors.ts'
import { operation, publicOperation, type Route } from '../kernel/operation.ts'
import type { Accounts } from './accounts.service.ts'
import { identityContract as contract } from './identity.contract.ts'
import type { Sessions } from './sessions.service.ts'
import type { createUsers } from './users.service.ts'

interface Services {
  accounts: Accounts
  sessions: Sessions
  users: ReturnType<typeof createUsers>
}

/** Accounts and logins on their REST addresses. */
export function identityRoutes({ accounts, sessions, users }: Services): Route[] {
  const register = publicOperation('auth:register', contract['auth:register'], accounts.register, 'register')

  const login = publicOperation('auth:login', contract['auth:login'], accounts.login, 'login')

  const refresh = publicOperation(
    'auth:refresh',
    contract['auth:refresh'],
    async ({ refreshToken }, context) => {
      if (refreshToken === undefined) throw tokenMissing()
      return sessions.refresh(refreshToken, context)
    },
    'refresh',
  )

  const end = (name: 'auth:logout' | 'auth:logout-all', which: 'this' | 'all') =>
    operation(
      name,
      contract[name],
      async (_input, { actor }) => {
        await sessions.close(actor, which)
        return {}
      },
      'account',
    )

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

  const getUser = operation('user:get', contract['user:get'], ({ userId }) => users.get(userId), 'account')

  return [
    { method: 'post', path: '/auth/register', operation: register, status: 201, tag: 'auth' },
    { method: 'post', path: '/auth/login', operation: login, tag: 'auth' },
    { method: 'post', path: '/auth/refresh', operation: refresh, tag: 'auth' },
    { method: 'post', path: '/auth/logout', operation: end('auth:logout', 'this'), status: 204, tag: 'auth' },
    { method: 'post', path: '/auth/logout-all', operation: end('auth:logout-all', 'all'), status: 204, tag: 'auth' },
    { method: 'get', path: '/me', operation: me, tag: 'account' },
    { method: 'patch', path: '/me', operation: updateMe, tag: 'account' },
    { method: 'get', path: '/users', operation: search, tag: 'account' },
    { method: 'get', path: '/users/:userId', operation: getUser, tag: 'account' },
  ]
}

const tokenMissing = () =>
  new AppError('invalid_request', 'The refresh token is missing.', {
    errors: [{ path: 'refreshToken', message: 'is required' }],
  })
