import type { Logger } from 'pino'
import type { Database } from '../database/database.ts'
import type { Fanout } from '../kernel/ports.ts'
import { tokenKey } from './access-token.ts'
import { createAccounts } from './accounts.service.ts'
import { createAuthenticator } from './authenticator.ts'
import { identityRoutes } from './identity.routes.ts'
import { createBearerAuthentication } from './jwt.strategy.ts'
import { createSessions } from './sessions.service.ts'
import { createUsers } from './users.service.ts'

interface IdentityDependencies {
  database: Database
  config: { jwtSecret: string; accessTokenSeconds: number }
  /** Ends the sockets of logins that were revoked. */
  fanout: Pick<Fanout, 'closeSessions'>
  log: Logger
}

/** Builds accounts, logins and the verification of access tokens. Holds nothing that needs closing. */
export function createIdentity({ database, config, fanout, log }: IdentityDependencies) {
  const key = tokenKey(config.jwtSecret)
  const sessions = createSessions({ database, fanout, log, key, accessTokenSeconds: config.accessTokenSeconds })
  const users = createUsers(database)
  const { authenticate, liveSessions, accept } = createAuthenticator(database, key)

  return {
    routes: identityRoutes({ accounts: createAccounts(database, sessions), sessions, users }),
    /** For the socket handshake. */
    authenticator: { authenticate, liveSessions },
    /** For REST: Express middleware with the same rules; sets `req.authentication`. */
    bearerAuthentication: createBearerAuthentication(key, { accept }),
    /** What later features ask of users. */
    users: { activeAmong: users.activeAmong, touchLastSeen: users.touchLastSeen },
  }
}
