import type { Logger } from 'pino'
import type { Database } from '../database/database.ts'
import type { Route } from '../kernel/operation.ts'
import type { Guesses, OpenIdClient, OpenIdProvider } from '../kernel/ports.ts'
import type { Accounts } from './accounts.service.ts'
import { externalLoginRoutes } from './external-logins.routes.ts'
import { createExternalLogins } from './external-logins.service.ts'
import { telegram } from './external-person.ts'
import type { Guests } from './guests.service.ts'
import type { Mails } from './mails.ts'
import { createFlowCookies } from './openid-flow.ts'
import { createOpenIdLogins } from './openid-logins.service.ts'
import type { Sessions } from './sessions.service.ts'

/** Builds the logins by other services, as the configuration names them. */
export function createExternalLoginRoutes(deps: {
  database: Database
  config: {
    jwtSecret: string
    openIdProviders: readonly OpenIdProvider[]
    telegramBotToken: string | undefined
    publicUrl: string
    corsOrigins: readonly string[]
  }
  openId: OpenIdClient
  accounts: Accounts
  sessions: Sessions
  guests: Pick<Guests, 'isOpen'>
  mails: Mails
  guesses: Guesses
  log: Logger
}): Route[] {
  const { openIdProviders, telegramBotToken, jwtSecret, publicUrl, corsOrigins } = deps.config
  const providers = openIdProviders.map(({ name }) => name)
  if (telegramBotToken !== undefined) providers.push(telegram.name)
  const externalLogins = createExternalLogins({ ...deps, providers })
  const openIdLogins = createOpenIdLogins({
    ...deps,
    externalLogins,
    flows: createFlowCookies(jwtSecret),
    providers: openIdProviders,
    publicUrl,
    corsOrigins,
  })
  return externalLoginRoutes({ ...deps, externalLogins, openIdLogins, openIdProviders, telegramBotToken })
}
