import type { Logger } from 'pino'
import type { Connection, Database } from '../database/database.ts'
import type { DomainEvents } from '../kernel/domain-events.ts'
import type {
  Attachments,
  Fanout,
  Guesses,
  Jobs,
  Mailer,
  MediaUrls,
  OpenIdClient,
  OpenIdProvider,
} from '../kernel/ports.ts'
import { tokenKey } from './access-token.ts'
import { createAccountDeletion } from './account-deletion.service.ts'
import { createAccounts } from './accounts.service.ts'
import { createAgentUsers } from './agent-users.ts'
import { createAppointment } from './appointment.ts'
import { createAuthenticator } from './authenticator.ts'
import { declareAvatars } from './avatars.ts'
import { blocksRoutes } from './blocks.routes.ts'
import { createBlocks } from './blocks.service.ts'
import { emailRoutes } from './email.routes.ts'
import { createEmails } from './emails.service.ts'
import { identityEvents } from './events.contract.ts'
import { createExternalLoginRoutes } from './external-logins.ts'
import { createGuests } from './guests.service.ts'
import { identityRoutes } from './identity.routes.ts'
import { createBearerAuthentication } from './jwt.strategy.ts'
import { createMails } from './mails.ts'
import { holdMeeting } from './meeting.ts'
import { createOneTimeCodes } from './one-time-codes.ts'
import { createOwnData } from './own-data.ts'
import { createHashing } from './password.ts'
import { createPasswords } from './passwords.service.ts'
import { preferencesRoutes } from './preferences.routes.ts'
import { sessionRoutes } from './sessions.routes.ts'
import { createSessions } from './sessions.service.ts'
import { staffRoutes } from './staff.routes.ts'
import { createStaff } from './staff.service.ts'
import { defineTidying } from './tidy.ts'
import { createUsers } from './users.service.ts'

export { hasBlock } from './meeting.ts'

interface IdentityDependencies {
  database: Database
  attachments: Attachments
  urls: MediaUrls
  config: {
    jwtSecret: string
    accessTokenSeconds: number
    passwordHash: { memoryKib: number; iterations: number }
    openIdProviders: readonly OpenIdProvider[]
    telegramBotToken: string | undefined
    /** Whether people may begin without an email and a password; unless given, they may not. */
    guests?: boolean
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
  openId: OpenIdClient
  log: Logger
}

/** Builds accounts, logins and the verification of access tokens. Holds nothing that needs closing. */
export function createIdentity(deps: IdentityDependencies) {
  const { database, config, fanout, log } = deps
  const key = tokenKey(config.jwtSecret)
  const hashing = createHashing(config.passwordHash)
  const sessions = createSessions({ database, fanout, log, key, accessTokenSeconds: config.accessTokenSeconds })
  const codes = createOneTimeCodes({ database, secret: config.jwtSecret })
  defineTidying(deps)
  const mails = createMails({ ...deps, codes, publicUrl: config.publicUrl, openIdProviders: config.openIdProviders })
  const emails = createEmails({ ...deps, codes, mails })
  const passwords = createPasswords({ ...deps, hashing, sessions, codes, mails })
  const accounts = createAccounts({ ...deps, sessions, hashing, sendVerification: emails.sendVerification })
  const guests = createGuests({ database, accounts, sessions, isOpen: config.guests ?? false })
  const users = createUsers(database, deps.urls)
  declareAvatars(deps)
  const deletion = createAccountDeletion(deps)
  const ownData = createOwnData({ ...deps, deletion })
  const bans: ((userId: string) => Promise<void>)[] = []
  const { authenticate, liveSessions, accept } = createAuthenticator(database, key, log)

  async function activeAmong(em: Connection, userIds: string[], viewerId: string): Promise<Set<string>> {
    await holdMeeting(em, userIds, viewerId)
    return users.activeAmong(em, userIds, viewerId)
  }

  return {
    routes: [
      ...sessionRoutes({ accounts, guests, sessions }),
      ...emailRoutes({ emails, passwords }),
      ...createExternalLoginRoutes({ ...deps, accounts, sessions, guests, mails }),
      ...identityRoutes({ accounts, users }),
      ...blocksRoutes(createBlocks(deps)),
      ...preferencesRoutes(database),
      ...staffRoutes(createStaff({ ...deps, sessions, bans })),
      ...ownData.routes,
    ],
    /** For the socket handshake. */
    authenticator: { authenticate, liveSessions },
    /** For REST: Express middleware with the same rules; sets `req.authentication`. */
    bearerAuthentication: createBearerAuthentication(key, { accept }),
    /** What later features ask of users. */
    users: {
      /**
       * Which of these exist, are neither deleted nor banned, and may be met by the viewer, without a block between them; and
       * that stays so until the transaction ends, but for bans.
       */
      activeAmong,
      touchLastSeen: users.touchLastSeen,
    },
    /** Users of kind agent, for the agents feature. */
    agentUsers: createAgentUsers({ ...deps, deletion }),
    /** Adds what follows from a ban, after its commit; it may be done more than once, and what fails is tried again. */
    onBanned: (follow: (userId: string) => Promise<void>): void => void bans.push(follow),
    /** What later features add to the export of a user's data. */
    addExportSection: ownData.addExportSection,
    /** For an operator's command. */
    appointAdmin: createAppointment({ database, accounts, hashing }),
    events: identityEvents,
  }
}
