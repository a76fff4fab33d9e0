import { agentsEvents } from './agents.contract.ts'
import { createManagement } from './management.ts'
import { createWriting, type WritingDependencies } from './writing.ts'

/** Agents, and the answers that they write. */
export function createAgents(deps: Parameters<typeof createManagement>[0] & WritingDependencies) {
  const { routes, keyAuthenticator, ensureServerAgent } = createManagement(deps)
  const writing = createWriting(deps)
  return {
    routes,
    commands: writing.commands,
    events: agentsEvents,
    /** For the socket handshake, and for REST. */
    keyAuthenticator,
    /** Before the server takes requests. */
    async start(): Promise<void> {
      await ensureServerAgent()
      writing.start()
    },
    /** Ends what is being written; for a shutdown. */
    close: writing.close,
  }
}
