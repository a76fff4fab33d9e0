import type { Logger } from 'pino'
import type { Database } from '../database/database.ts'
import { type Clock, systemClock } from '../kernel/clock.ts'
import type { DomainEvents } from '../kernel/domain-events.ts'
import type { Route } from '../kernel/operation.ts'
import type { PaymentProvider, Tbank, TelegramStars, Ton } from '../kernel/payment-ports.ts'
import type { ExportSection, Fanout, Jobs, SubscriptionProvider } from '../kernel/ports.ts'
import { billingEvents } from './billing.contract.ts'
import { createCheckout } from './checkout.service.ts'
import { creditsRoutes } from './credits.routes.ts'
import { createCredits } from './credits.service.ts'
import { settleDepartures } from './departures.ts'
import { defineExpiry } from './expiry.ts'
import { ledgerSections } from './export-sections.ts'
import { createIdempotency } from './idempotency.ts'
import { createLedger } from './ledger.service.ts'
import { createMeter } from './meter.service.ts'
import { createModels } from './models.service.ts'
import { createPaymentProviders } from './payment-providers.ts'
import { createSettlement, reportsOf } from './payment-settlement.ts'
import { paymentsRoutes } from './payments.routes.ts'
import { createPayments } from './payments.service.ts'
import { createPlans } from './plans.service.ts'
import { createProviderEvents } from './provider-events.ts'
import { connectReferrals } from './referrals.ts'
import { connectSubscriptions } from './subscriptions.ts'
import { watchTon } from './ton-watcher.ts'
import { createUsage } from './usage.service.ts'
import { createUsageReport } from './usage-report.service.ts'
import { createWallets } from './wallets.service.ts'

export type { Meter } from './meter.service.ts'
export { type Models, offlineModel } from './models.service.ts'

export interface BillingDependencies {
  database: Database
  config: {
    /** Credits that an account begins with. */
    signupCredits: number
    /** Effective tokens that one credit pays for beyond the quota. */
    overageTokensPerCredit: number
    /** Where people reach the server. */
    publicUrl: string
    /** How long a plan goes on while a bill of its subscription is open. */
    pastDueGraceDays: number
    /** The names of the providers of language models that are configured. */
    modelProviders: string[]
  }
  /** The ways to pay; absent are those that are not configured. */
  providers?: { stripe?: PaymentProvider; tbank?: Tbank; stars?: TelegramStars; ton?: Ton }
  /** Absent where there are none. */
  subscriptions?: SubscriptionProvider
  fanout: Pick<Fanout, 'toUsers'>
  events: DomainEvents
  jobs: Jobs
  addExportSection: (section: ExportSection) => void
  log: Logger
  /** The system's, unless given. */
  clock?: Clock
}

/** Plans, credits, the token quota and what is paid for them. Holds nothing that needs closing. */
export function createBilling(deps: BillingDependencies) {
  const { database, config, fanout, events, jobs, log, clock = systemClock } = deps
  const { stripe, tbank, stars, ton } = deps.providers ?? {}
  const ledger = createLedger({ clock })
  const wallets = createWallets({ database, ledger, events, fanout, clock, log, signupCredits: config.signupCredits })
  const plans = createPlans({ database, ledger, wallets, jobs, clock, log })
  const meter = createMeter({ database, ledger, wallets, clock, tokensPerCredit: config.overageTokensPerCredit })
  const usage = createUsage({ database, jobs, clock })
  const usageReport = createUsageReport({ database, clock })
  defineExpiry({ database, ledger, meter, wallets, jobs, clock })
  settleDepartures({ events, ledger, meter, plans, clock })
  for (const section of ledgerSections(database)) deps.addExportSection(section)
  const idempotency = createIdempotency({ database, jobs, clock })
  const credits = createCredits({ database, ledger, wallets, idempotency, clock })
  const providerEvents = createProviderEvents({ database, jobs, log })
  const settlement = createSettlement({ events, ledger, wallets, clock, log })
  const providers = createPaymentProviders([stripe, tbank, stars, ton])
  const checkout = createCheckout({ database, idempotency, providers, clock, publicUrl: config.publicUrl })
  const payments = createPayments({ ...deps, idempotency, settlement, providers, clock })
  for (const provider of [tbank, stars, ton]) {
    if (provider) providerEvents.on(provider.name, reportsOf(provider, settlement))
  }
  if (ton) watchTon({ database, jobs, providerEvents, ton, clock })
  const routes: Route[] = [
    ...creditsRoutes({ wallets, credits, plans, usage, usageReport }),
    ...paymentsRoutes({ checkout, payments, providerEvents, tbank, stars }),
    ...connectReferrals({ ...deps, idempotency, clock }),
    ...connectSubscriptions({
      ...{
        database,
        events,
        jobs,
        idempotency,
        providerEvents,
        settlement,
        plans,
        wallets,
        fanout,
        clock,
        log,
        config,
      },
      ...{ addExportSection: deps.addExportSection, provider: deps.subscriptions },
    }),
  ]
  return {
    routes,
    events: billingEvents,
    ledger,
    wallets,
    plans,
    meter,
    models: createModels({ database, providers: config.modelProviders }),
    usage: { logAnonymous: usage.logAnonymous },
    payments: { isPro: payments.isPro },
  }
}
