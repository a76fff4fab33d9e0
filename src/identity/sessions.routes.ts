import { operation, publicOperation, type Route } from '../kernel/operation.ts'
import type { Accounts } from './accounts.service.ts'
import type { Guests } from './guests.service.ts'
import { identityContract as contract } from './identity.contract.ts'
import {
  cookieHeader,
  droppingRefusedCookie,
  loginHeaders,
  presentedToken,
  withoutRefreshCookie,
  withRefreshCookie,
} from './refresh-cookie.ts'
import { sessionsContract } from './sessions.contract.ts'
import type { Sessions } from './sessions.service.ts'

interface Services {
  accounts: Accounts
  guests: Guests
  sessions: Sessions
}

/** Logins on their REST addresses: how they begin by a password or as a guest, go on, are listed and end. */
export function sessionRoutes({ accounts, guests, sessions }: Services): Route[] {
  const register = publicOperation(
    'auth:register',
    contract['auth:register'],
    async (input, context) => withRefreshCookie(await accounts.register(input, context), context),
    'register',
  )

  const guest = publicOperation(
    'auth:guest',
    contract['auth:guest'],
    async (input, context) => withRefreshCookie(await guests.begin(input, context), context),
    'register',
  )

  const login = publicOperation(
    'auth:login',
    contract['auth:login'],
    async (input, context) => withRefreshCookie(await accounts.login(input, context), context),
    'login',
  )

  const refresh = publicOperation(
    'auth:refresh',
    contract['auth:refresh'],
    ({ refreshToken }, context) =>
      droppingRefusedCookie(context, async () => {
        const tokens = await sessions.refresh(presentedToken(refreshToken, context), context)
        return withRefreshCookie(tokens, context)
      }),
    'refresh',
  )

  const logout = operation(
    'auth:logout',
    contract['auth:logout'],
    async (_input, context) => {
      await sessions.close(context.actor, 'this')
      return withoutRefreshCookie({}, context)
    },
    'account',
  )

  const logoutAll = operation(
    'auth:logout-all',
    contract['auth:logout-all'],
    async (_input, context) => {
      await sessions.close(context.actor, 'all')
      return withoutRefreshCookie({}, context)
    },
    'account',
  )

  const list = operation(
    'auth:list-sessions',
    sessionsContract['auth:list-sessions'],
    (input, { actor }) => sessions.list(actor, input),
    'account',
  )

  const end = operation(
    'auth:end-session',
    sessionsContract['auth:end-session'],
    async ({ sessionId }, context) => {
      await sessions.end(context.actor.userId, sessionId)
      return sessionId === context.actor.sessionId ? withoutRefreshCookie({}, context) : {}
    },
    'account',
  )

  return [
    { method: 'post', path: '/auth/register', operation: register, status: 201, headers: loginHeaders, tag: 'auth' },
    { method: 'post', path: '/auth/guest', operation: guest, status: 201, headers: loginHeaders, tag: 'auth' },
    { method: 'post', path: '/auth/login', operation: login, headers: loginHeaders, tag: 'auth' },
    { method: 'post', path: '/auth/refresh', operation: refresh, headers: cookieHeader, tag: 'auth' },
    { method: 'post', path: '/auth/logout', operation: logout, status: 204, headers: cookieHeader, tag: 'auth' },
    { method: 'post', path: '/auth/logout-all', operation: logoutAll, status: 204, headers: cookieHeader, tag: 'auth' },
    { method: 'get', path: '/auth/sessions', operation: list, tag: 'auth' },
    { method: 'delete', path: '/auth/sessions/:sessionId', operation: end, status: 204, tag: 'auth' },
  ]
}
