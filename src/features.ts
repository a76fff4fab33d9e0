import { join } from 'node:path'
import type { Logger } from 'pino'
import { createDiskStore } from './adapters/disk.ts'
import { createFileInspector } from './adapters/file-inspector.ts'
import { createOpenAiProvider } from './adapters/openai.ts'
import { createOpenIdClient } from './adapters/openid.ts'
import { createJobs } from './adapters/pg-boss.ts'
import { createS3Store } from './adapters/s3.ts'
import { createImageMaker } from './adapters/sharp.ts'
import { createMailer } from './adapters/smtp.ts'
import { createStripe } from './adapters/stripe.ts'
import { createTbank } from './adapters/tbank.ts'
import { createTelegramStars } from './adapters/telegram-stars.ts'
import { createTon } from './adapters/ton.ts'
import { createAgents } from './agents/index.ts'
import { createBilling } from './billing/index.ts'
import type { Config } from './config.ts'
import type { Database } from './database/database.ts'
import { createIdentity } from './identity/index.ts'
import type { Clock } from './kernel/clock.ts'
import { createDomainEvents } from './kernel/domain-events.ts'
import type { Metrics } from './kernel/metrics.ts'
import type { Guesses } from './kernel/ports.ts'
import { createMedia } from './media/index.ts'
import { createMessenger } from './messenger/index.ts'
import { createStories } from './stories/index.ts'
import type { NodeFanout } from './transport/fanout.ts'
import { createPresence } from './transport/presence.ts'

/**
 * Every feature, each with the ports that it stands on, in their order. What it gives besides is for the rest of the house:
 * the queue of jobs, presence, and an end of the adapters.
 */
export async function createFeatures(deps: {
  config: Config
  database: Database
  fanout: NodeFanout
  guesses: Guesses
  /** The other nodes; absent where this one is alone. */
  nodes: Parameters<typeof createPresence>[0]['nodes']
  /** A folder for files that are being looked at. */
  scratch: string
  metrics: Metrics
  log: Logger
  clock: Clock
}) {
  const { config, database, fanout, guesses, nodes, scratch, metrics, log, clock } = deps
  const events = createDomainEvents()
  const jobs = createJobs({ store: database.jobStore, log })
  const mailer = createMailer({ ...config.mail, outbox: join(config.dataDir, 'outbox'), log })
  const store = config.media.s3 ? await createS3Store(config.media.s3) : createDiskStore(join(config.dataDir, 'media'))
  if (nodes && !config.media.s3)
    log.warn('there are several nodes, and media are kept on the disk of each: share the data folder, or set S3_BUCKET')
  const inspector = createFileInspector()
  const images = createImageMaker({ maxPixels: config.media.maxPixels })
  const media = createMedia({
    database,
    config: { ...config.media, publicUrl: config.publicUrl, secret: config.jwtSecret, scratch },
    store,
    inspector,
    images,
    events,
    jobs,
    metrics,
    log,
    clock,
  })
  const { attachments, urls } = media
  const identity = createIdentity({
    database,
    attachments,
    urls,
    config: { ...config, publicUrl: config.publicUrl ?? `http://localhost:${config.port}` },
    fanout,
    events,
    jobs,
    mailer,
    guesses,
    openId: createOpenIdClient(),
    log,
  })
  identity.addExportSection(media.exportSection)
  const stripe = config.payments.stripe && createStripe(config.payments.stripe)
  const { tbank, stars, ton } = config.payments
  const billing = createBilling({
    database,
    config: {
      ...config.credits,
      publicUrl: config.publicUrl ?? `http://localhost:${config.port}`,
      pastDueGraceDays: config.payments.pastDueGraceDays,
      modelProviders: config.ai.providers.map(({ name }) => name),
    },
    providers: {
      stripe: stripe?.payments,
      tbank:
        tbank &&
        createTbank({ ...tbank, notificationUrl: config.publicUrl && `${config.publicUrl}/v1/webhooks/tbank` }),
      stars: stars && createTelegramStars(stars),
      ton: ton && createTon(ton),
    },
    subscriptions: stripe?.subscriptions,
    fanout,
    events,
    jobs,
    addExportSection: identity.addExportSection,
    log,
  })
  const presence = createPresence({ fanout, touchLastSeen: identity.users.touchLastSeen, nodes, log })
  const messenger = createMessenger({
    database,
    attachments,
    urls,
    fanout,
    presence,
    users: identity.users,
    models: billing.models,
    events,
    jobs,
    addExportSection: identity.addExportSection,
    metrics,
    log,
    maxGroupSize: config.maxGroupSize,
  })
  const { ai } = config
  const stories = createStories({
    database,
    messenger,
    attachments,
    urls,
    fanout,
    events,
    jobs,
    addExportSection: identity.addExportSection,
    log,
    clock,
  })
  const agents = createAgents({
    database,
    attachments,
    urls,
    identity,
    messenger,
    meter: billing.meter,
    models: billing.models,
    providers: ai.providers.map((provider) => createOpenAiProvider({ ...provider, idleTimeoutMs: ai.idleMs })),
    settings: { ...ai, tokensPerHour: ai.conversationTokensPerHour },
    tellWallet: billing.wallets.tell,
    events,
    fanout,
    nodeId: config.nodeId,
    clustered: nodes !== undefined,
    metrics,
    log,
  })

  return {
    ...{ identity, billing, media, messenger, stories, agents, jobs, presence },
    close(): void {
      mailer.close()
      inspector.close()
      images.close()
      store.close()
    },
  }
}
