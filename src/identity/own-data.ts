import type { Logger } from 'pino'
import type { Database } from '../database/database.ts'
import type { DomainEvents } from '../kernel/domain-events.ts'
import type { ExportSection, Fanout, Guesses, Jobs } from '../kernel/ports.ts'
import { createAccountDeletion } from './account-deletion.service.ts'
import { createDataExports } from './data-exports.service.ts'
import { identitySections } from './export-sections.ts'
import { ownDataRoutes } from './own-data.routes.ts'

/** What people can do with all of their data: take it along, and end it. */
export function createOwnData(deps: {
  database: Database
  fanout: Pick<Fanout, 'closeUsers' | 'toUsers'>
  events: DomainEvents
  jobs: Jobs
  guesses: Guesses
  log: Logger
}) {
  const sections = identitySections(deps.database)
  return {
    routes: ownDataRoutes({
      exports: createDataExports({ ...deps, sections }),
      deletion: createAccountDeletion(deps),
    }),
    /** Adds what another feature knows of a user to the export; before the server takes requests. */
    addExportSection: (section: ExportSection): void => void sections.push(section),
  }
}
