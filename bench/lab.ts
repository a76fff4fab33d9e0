import { randomBytes } from 'node:crypto'
import type {
  IdleJob,
  PageJob,
  QueriesJob,
  ReconnectJob,
  Results,
  StreamsJob,
  TargetName,
  TrafficJob,
  UploadsJob,
} from './jobs.ts'
import type { Options } from './options.ts'
import { runLoad, type Server, startServer } from './processes.ts'
import { checkRows, countRows } from './rows.ts'
import { seed } from './seed.ts'
import type { Connection, Storage, StoringTarget } from './storage.ts'
import type { World } from './world.ts'

/** A job without what only the lab knows. */
type Task<J> = Omit<J, 'target' | 'urls' | 'pids' | 'world'>
export type AnyTask =
  | Task<TrafficJob>
  | Task<IdleJob>
  | Task<ReconnectJob>
  | Task<QueriesJob>
  | Task<StreamsJob>
  | Task<UploadsJob>
  | Task<PageJob>

export type Setting = {
  /** Processes of the server; more than one are joined by Redis. */
  nodes?: number
  /** The server can be asked to collect garbage. */
  collectable?: boolean
  /** Another program in the place of the target's. */
  program?: string
  /** Further variables for the server. */
  environment?: Record<string, string>
}

/** Where works are done: one world at a time, and a fresh server for every measurement. */
export type Lab = {
  options: Options
  storage: Storage
  redisUrl: string | undefined
  /** What was not as it must be, such as rows that are missing; the work that it happened in has failed. */
  faults: string[]
  /** Empties the storage and makes a world in it. */
  prepare(world: World): Promise<void>
  /** Works on the rows that a server has stored; on the embedded database while it is stopped. */
  withRows<T>(target: StoringTarget, work: (connection: Connection) => Promise<T>): Promise<T>
  /** Starts the server, lets the load do the task, stops the server and checks the rows that it stored. */
  measure<T extends AnyTask>(target: TargetName, task: T, setting?: Setting): Promise<Results[T['kind']]>
}

/** Time for connecting and settling, on top of what the task itself takes. */
const taskLimitMs = 300_000

export function createLab(options: Options, storage: Storage, redisUrl: string | undefined): Lab {
  const jwtSecret = randomBytes(36).toString('base64url')
  const faults: string[] = []
  let world: World = { people: [], rooms: [] }

  const environment = (target: TargetName, nodes: number): Record<string, string> => ({
    ...storage.environment(target),
    ...(target === 'kintsugi' ? { RATE_LIMITS: 'off', LOG_LEVEL: 'error', JWT_SECRET: jwtSecret } : {}),
    ...(nodes > 1 ? { REDIS_URL: redisUrl ?? '' } : {}),
  })

  async function withRows<T>(target: StoringTarget, work: (connection: Connection) => Promise<T>): Promise<T> {
    const connection = await storage.connect(target)
    try {
      return await work(connection)
    } finally {
      await connection.close()
    }
  }

  async function prepare(next: World): Promise<void> {
    world = next
    await storage.empty()
    // a server makes its tables when it starts
    for (const target of ['naive', 'kintsugi'] as const) {
      if (!options.targets.includes(target)) continue
      const server = await startServer(target, environment(target, 1))
      await server.stop()
    }
    if (options.targets.includes('kintsugi')) {
      await withRows('kintsugi', (connection) => seed(connection, world, jwtSecret))
    }
  }

  async function measure<T extends AnyTask>(target: TargetName, task: T, setting: Setting = {}) {
    const { nodes = 1, environment: further, ...how } = setting
    const storing = target === 'bare' ? undefined : target
    const before = storing ? await withRows(storing, (connection) => settle(connection, storing)) : 0
    const servers: Server[] = []
    let result: Results[T['kind']]
    try {
      for (let node = 0; node < nodes; node++) {
        servers.push(await startServer(target, { ...environment(target, nodes), ...further }, how))
      }
      const addresses = { urls: servers.map(({ url }) => url), pids: servers.map(({ pid }) => pid) }
      result = await runLoad({ ...task, ...addresses, target, world }, taskLimitMs)
    } finally {
      await Promise.all(servers.map((server) => server.stop()))
    }
    if (task.kind === 'traffic') {
      const { acked, missing } = result as Results['traffic']
      if (missing !== 0) faults.push(`${target}: ${missing} deliveries too few`)
      if (storing) {
        const problems = await withRows(storing, (connection) => checkRows(connection, storing, before, acked))
        faults.push(...problems.map((problem) => `${target}: ${problem}`))
      }
    }
    return result
  }

  return { options, storage, redisUrl, faults, prepare, withRows, measure }
}

/** What one round has left to write must not fall into the next, which may be another's. Returns the rows stored. */
async function settle(connection: Connection, target: StoringTarget): Promise<number> {
  // only a superuser may: without one the rounds are a little less alike
  await connection.query('checkpoint').catch(() => {})
  return countRows(connection, target)
}
