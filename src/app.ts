import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { sql } from 'kysely'
import type { Logger } from 'pino'
import { createOpenAiProvider } from './adapters/openai.ts'
import { createOpenIdClient } from './adapters/openid.ts'
import { createJobs } from './adapters/pg-boss.ts'
import { createRedis } from './adapters/redis.ts'
import { createMailer } from './adapters/smtp.ts'
import { createStripe } from './adapters/stripe.ts'
import { createTbank } from './adapters/tbank.ts'
import { createTelegramStars } from './adapters/telegram-stars.ts'
import { createTon } from './adapters/ton.ts'
import { createAgents } from './agents/index.ts'
import { createBilling } from './billing/index.ts'
import type { Config } from './config.ts'
import { openDatabase } from './database/database.ts'
import { createIdentity } from './identity/index.ts'
import { createDomainEvents } from './kernel/domain-events.ts'
import { createMetrics } from './kernel/metrics.ts'
import { createMemberships, createMessenger } from './messenger/index.ts'
import { createAsyncApi } from './transport/asyncapi.ts'
import { createBearer } from './transport/bearer.ts'
import { createCluster } from './transport/cluster.ts'
import { createDocs } from './transport/docs.ts'
import { createExecutor } from './transport/executor.ts'
import { createFanout } from './transport/fanout.ts'
import { createGuesses } from './transport/guesses.ts'
import { createHttp, type Readiness } from './transport/http.ts'
import { createOpenApi } from './transport/openapi.ts'
import { callerAddress, createOriginCheck } from './transport/origins.ts'
import { createPresence } from './transport/presence.ts'
import { createRateLimits } from './transport/rate-limits.ts'
import { createRooms } from './transport/rooms.ts'
import { sessionEvents } from './transport/session.contract.ts'
import { createSocketServer, serveSockets } from './transport/sockets.ts'

const makeUpPauseMs = 500
/** What is under way may take this long to end at a shutdown. */
const finishMs = 5_000
/** A job that is cut off is done again by another node. */
const jobGraceMs = 1_500

export interface App {
  /** Begins to listen; settles with the port. */
  listen(): Promise<number>
  /** Gives someone the role super_admin; for an operator's command, before `listen`. */
  appointAdmin: ReturnType<typeof createIdentity>['appointAdmin']
  /** Takes nothing new, ends what is under way, tells the sockets, and closes everything. */
  close(): Promise<void>
}

/** Puts the server together: the one place that knows every feature and every adapter. */
export async function createApp(config: Config, log: Logger): Promise<App> {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  const database = await openDatabase(config)
  const migrated = await database.migrate()
  if (migrated.length > 0) log.info({ migrations: migrated }, 'the database was migrated')

  const metrics = createMetrics()
  const redis = config.redis.url
    ? createRedis({ url: config.redis.url, prefix: config.redis.prefix, nodeId: config.nodeId, log })
    : undefined
  const cluster = redis && createCluster({ link: redis, nodeId: config.nodeId, metrics, log })
  const nodes = redis && cluster && { link: redis, cluster }

  const http = createServer()
  const io = createSocketServer({ http, adapter: redis?.adapter, isAllowedOrigin: createOriginCheck(config) })
  const rooms = createRooms(io, createMemberships(database))
  const fanout = createFanout({ io, rooms, cluster, metrics, log })

  const limiting = {
    enabled: config.rateLimits,
    shared: redis && cluster && { limiter: redis.limiter, isUp: cluster.isUp },
  }
  const events = createDomainEvents()
  const jobs = createJobs({ store: database.jobStore, log })
  const mailer = createMailer({ ...config.mail, outbox: join(config.dataDir, 'outbox'), log })
  const identity = createIdentity({
    database,
    config: { ...config, publicUrl: config.publicUrl ?? `http://localhost:${config.port}` },
    fanout,
    events,
    jobs,
    mailer,
    guesses: createGuesses(limiting),
    openId: createOpenIdClient(),
    log,
  })
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
  const agents = createAgents({
    database,
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
    clustered: cluster !== undefined,
    metrics,
    log,
  })

  const rateLimits = createRateLimits(limiting)
  const executor = createExecutor({ rateLimits, metrics, log })
  const sockets = serveSockets({
    io,
    commands: [...messenger.commands, ...agents.commands],
    authenticator: identity.authenticator,
    keyAuthenticator: agents.keyAuthenticator,
    executor,
    rateLimits,
    rooms,
    presence,
    metrics,
    log,
    addressOf: (headers, peer) => callerAddress(headers, peer, config.trustProxy),
  })

  let draining = false
  async function readiness(): Promise<Readiness> {
    const answers = await Promise.race([
      database.query(sql`select 1`).then(
        () => true,
        () => false,
      ),
      new Promise<false>((resolve) => setTimeout(resolve, 2_000, false).unref()),
    ])
    return {
      // without Redis a node still serves its own users: that is for an alert, not for taking it out of service
      ready: answers && !draining,
      checks: {
        database: answers ? 'ok' : 'does not answer',
        ...(cluster && { redis: cluster.isUp() ? 'ok' : 'does not answer' }),
        ...(draining && { node: 'shutting down' }),
      },
    }
  }

  const routes = [...identity.routes, ...billing.routes, ...messenger.routes, ...agents.routes]
  http.on(
    'request',
    createHttp({
      routes,
      bearerAuthentication: createBearer({
        tokens: identity.bearerAuthentication,
        keys: agents.keyAuthenticator,
      }),
      executor,
      docs: createDocs({
        openApi: createOpenApi({ routes, version, serverUrl: config.publicUrl }),
        asyncApi: createAsyncApi({
          commands: sockets.commands,
          events: { ...messenger.events, ...identity.events, ...billing.events, ...agents.events, ...sessionEvents },
          version,
          serverUrl: config.publicUrl,
        }),
      }),
      corsOrigins: config.corsOrigins,
      trustProxy: config.trustProxy,
      publicUrl: config.publicUrl,
      readiness,
      metrics,
      log,
    }),
  )

  /**
   * After a break of the link revocations, joins, leaves and events may have been missed here; and the other nodes have
   * missed what this one did meanwhile, though their own link may never have been down.
   */
  async function makeUp(): Promise<void> {
    while (cluster?.isUp() && !draining) {
      try {
        await sockets.recheckSessions()
        await rooms.rederive()
        return fanout.resync('link restored')
      } catch (error) {
        log.warn({ err: error }, 'what a broken link let pass is not made up for yet; it is tried again')
        await new Promise((resolve) => setTimeout(resolve, makeUpPauseMs))
      }
    }
  }
  cluster?.onRestored(() => void makeUp())
  // every node finds that out by itself
  cluster?.onPeerDied(() => fanout.resyncHere('node died'))

  return {
    appointAdmin: identity.appointAdmin,

    async listen() {
      await billing.models.ensure(
        config.ai.providers.flatMap(({ name: provider, models }) => models.map((model) => ({ ...model, provider }))),
      )
      await agents.start()
      await jobs.start()
      await cluster?.start()
      await new Promise<void>((resolve, reject) => {
        http.once('error', reject)
        http.listen(config.port, config.host, resolve)
      })
      return (http.address() as AddressInfo).port
    },

    async close() {
      draining = true
      sockets.drain()
      const deadline = Date.now() + finishMs
      while (sockets.isAnswering() && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20))
      await agents.close()
      await Promise.race([messenger.close(), new Promise((resolve) => setTimeout(resolve, deadline - Date.now()))])
      await sockets.close()
      http.closeIdleConnections()
      await new Promise<void>((resolve) => {
        void io.close(() => resolve())
        setTimeout(() => http.closeAllConnections(), 1_000).unref()
      })
      await presence.settled()
      await jobs.stop(jobGraceMs)
      mailer.close()
      await cluster?.close()
      await database.close()
    },
  }
}
