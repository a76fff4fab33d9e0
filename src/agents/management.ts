import type { Logger } from 'pino'
import type { Database } from '../database/database.ts'
import type { createIdentity } from '../identity/index.ts'
import type { DomainEvents } from '../kernel/domain-events.ts'
import type { Attachments, Fanout, MediaUrls } from '../kernel/ports.ts'
import { createAgentKeys, createKeyAuthenticator } from './agent-keys.service.ts'
import { agentsRoutes } from './agents.routes.ts'
import { createAgentsService, type Models } from './agents.service.ts'
import { followOwners } from './departures.ts'
import { agentsSections } from './own-data.ts'
import { ensureServerAgent } from './server-agent.ts'

/** What the management of agents asks of identity. */
export type Identity = Pick<ReturnType<typeof createIdentity>, 'agentUsers' | 'onBanned' | 'addExportSection'>

/** Agents as their owners make them, their keys, and the server's own. */
export function createManagement({
  identity,
  ...rest
}: {
  database: Database
  attachments: Pick<Attachments, 'hold'>
  urls: MediaUrls
  identity: Identity
  models: Models
  events: DomainEvents
  fanout: Pick<Fanout, 'closeSessions' | 'closeUsers'>
  log: Logger
}) {
  const deps = { ...rest, agentUsers: identity.agentUsers, onBanned: identity.onBanned }
  followOwners(deps)
  for (const section of agentsSections(deps.database)) identity.addExportSection(section)
  return {
    routes: agentsRoutes({ agents: createAgentsService(deps), keys: createAgentKeys(deps), models: deps.models }),
    keyAuthenticator: createKeyAuthenticator(deps),
    /** Before the server takes requests. */
    ensureServerAgent: () => ensureServerAgent(deps),
  }
}
