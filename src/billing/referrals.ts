import type { Database } from '../database/database.ts'
import type { Clock } from '../kernel/clock.ts'
import type { DomainEvents } from '../kernel/domain-events.ts'
import type { Route } from '../kernel/operation.ts'
import type { ExportSection, Fanout } from '../kernel/ports.ts'
import type { Idempotency } from './idempotency.ts'
import { createPartners } from './partners.service.ts'
import { createPayouts } from './payouts.service.ts'
import { referralSections } from './referral-sections.ts'
import { referralRoutes } from './referrals.routes.ts'
import { createReferrals } from './referrals.service.ts'

/** Builds the referral and partner programme. */
export function connectReferrals(deps: {
  database: Database
  events: DomainEvents
  idempotency: Idempotency
  fanout: Pick<Fanout, 'toUsers'>
  addExportSection: (section: ExportSection) => void
  clock: Clock
}): Route[] {
  for (const section of referralSections(deps.database)) deps.addExportSection(section)
  return referralRoutes({
    referrals: createReferrals(deps),
    payouts: createPayouts(deps),
    partners: createPartners(deps),
  })
}
