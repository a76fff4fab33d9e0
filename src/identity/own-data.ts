import type { Logger } from 'pino'
import type { Database } from '../database/database.ts'
import type { ExportSection, Fanout, Jobs } from '../kernel/ports.ts'
import type { AccountDeletion } from './account-deletion.service.ts'
import { createDataExports } from './data-exports.service.ts'
import { identitySections } from './export-sections.ts'
import { ownDataRoutes } from './own-data.routes.ts'

/** What people can do with all of their data: take it along, and end it. */
export function createOwnData(deps: {
  database: Database
  fanout: Pick<Fanout, 'toUsers'>
  jobs: Jobs
  deletion: AccountDeletion
  log: Logger
}) {
  const sections = identitySections(deps.database)
  return {
    routes: ownDataRoutes({
      exports: createDataExports({ ...deps, sections }),
      deletion: deps.deletion,
    }),
    /** Adds what another feature knows of a user to the export; before the server takes requests. */
    addExportSection: (section: ExportSection): void => void sections.push(section),
  }
}
