import type { Logger } from 'pino'
import type { Database } from '../database/database.ts'
import type { DomainEvents } from '../kernel/domain-events.ts'
import type { Fanout, Guesses, Jobs, Mailer, OpenIdProvider } from '../kernel/ports.ts'
import { tokenKey } from './access-token.ts'
import { createAccounts } from './accounts.service.ts'
import { createAuthenticator } from './authenticator.ts'
import { identityRoutes } from './identity.routes.ts'
import { createBearerAuthentication } from './jwt.strategy.ts'
import { createSessions } from './sessions.service.ts'
import { createUsers } from './users.service.ts'

interface IdentityDependencies {
  database: Database
  config: {
    jwtSecret: string
    accessTokenSeconds: number
    passwordHash: { memoryKib: number; iterations: number }
    openIdProviders: readonly OpenIdProvider[]
    telegramBotToken: string | undefined
    /** Where people reach the server, for links in mails and for providers to lead back to. */
    publicUrl: string
    /** Origins that a login elsewhere may lead back to, beside that of `publicUrl`. */
    corsOrigins: readonly string[]
  }
  /** Ends the sockets of logins that were revoked and of people who were banned; tells people what concerns them. */
  fanout: Pick<Fanout, 'closeSessions' | 'closeUsers' | 'toUsers'>
  events: DomainEvents
  jobs: Jobs
  mailer: Mailer
  guesses: Guesses
  log: Logger
}

/** Builds accounts, logins and the verification of access tokens. Holds nothing that needs closing. */
export function createIdentity(deps: IdentityDependencies) {
  const { database, config, fanout, events, log } = deps
  const key = tokenKey(config.jwtSecret)
  const sessions = createSessions({ database, fanout, log, key, accessTokenSeconds: config.accessTokenSeconds })
  const accounts = createAccounts({ database, sessions, events })
  const users = createUsers(database)
  const { authenticate, liveSessions, accept } = createAuthenticator(database, key)

  return {
    routes: identityRoutes({ accounts, sessions, users }),
    /** For the socket handshake. */
    authenticator: { authenticate, liveSessions },
    /** For REST: Express middleware with the same rules; sets `req.authentication`. */
    bearerAuthentication: createBearerAuthentication(key, { accept }),
    /** What later features ask of users. */
    users: { activeAmong: users.activeAmong, touchLastSeen: users.touchLastSeen },
  }
}
