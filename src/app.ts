import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { sql } from 'kysely'
import type { Logger } from 'pino'
import { createRedis } from './adapters/redis.ts'
import type { Config } from './config.ts'
import { openDatabase } from './database/database.ts'
import { createFeatures } from './features.ts'
import type { createIdentity } from './identity/index.ts'
import { type Clock, systemClock } from './kernel/clock.ts'
import { createMetrics } from './kernel/metrics.ts'
import { createMemberships } from './messenger/index.ts'
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
import { createRateLimits } from './transport/rate-limits.ts'
import { createRooms } from './transport/rooms.ts'
import { sessionEvents } from './transport/session.contract.ts'
import { createSocketServer, serveSockets } from './transport/sockets.ts'
import { createWeb } from './transport/web.ts'

const makeUpPauseMs = 500
/** The largest video over a slow line. */
const longestRequestMs = 30 * 60_000
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

/**
 * Puts the server together: the one place that knows every feature and every adapter.
 * @param clock for tests of what ends to the second
 */
export async function createApp(config: Config, log: Logger, clock: Clock = systemClock): Promise<App> {
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

  const http = createServer({ requestTimeout: longestRequestMs })
  const io = createSocketServer({ http, adapter: redis?.adapter, isAllowedOrigin: createOriginCheck(config) })
  const rooms = createRooms(io, createMemberships(database))
  const fanout = createFanout({ io, rooms, cluster, metrics, log })

  const limiting = {
    enabled: config.rateLimits,
    shared: redis && cluster && { limiter: redis.limiter, isUp: cluster.isUp },
  }
  const scratch = join(config.dataDir, 'uploads')
  const { identity, billing, media, messenger, stories, agents, jobs, presence, ...adapters } = await createFeatures({
    ...{ config, database, fanout, scratch, metrics, log, clock, nodes },
    guesses: createGuesses(limiting),
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

  const routes = [
    ...identity.routes,
    ...billing.routes,
    ...media.routes,
    ...messenger.routes,
    ...stories.routes,
    ...agents.routes,
  ]
  const web = createWeb(fileURLToPath(new URL('../web/dist', import.meta.url)))
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
          events: {
            ...messenger.events,
            ...identity.events,
            ...billing.events,
            ...stories.events,
            ...agents.events,
            ...sessionEvents,
          },
          version,
          serverUrl: config.publicUrl,
        }),
      }),
      web,
      corsOrigins: config.corsOrigins,
      trustProxy: config.trustProxy,
      publicUrl: config.publicUrl,
      scratch,
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
      if (!web) log.info('the web client is not built and so not served: npm run build:web builds it')
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
      adapters.close()
      await cluster?.close()
      await database.close()
    },
  }
}
