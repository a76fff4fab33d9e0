import { fromKysely, type Job, PgBoss } from 'pg-boss'
import type { Logger } from 'pino'
import type { Connection, JobQueue, Jobs } from '../kernel/ports.ts'

const pollSeconds = 2
/** So many jobs of a queue are under way on a node: one that waits for another server does not hold up the next. */
const workersPerQueue = 2
/** A queue that its schedule alone fills needs no close watch. */
const scheduledPollSeconds = 15
/** How long a job that has ended can still be looked at. */
const keptSeconds = 86_400

interface PgBossOptions {
  store: { url: string } | { executeText(text: string, values?: unknown[]): Promise<{ rows: unknown[] }> }
  log: Logger
}

/** Queues of jobs in the database itself, by pg-boss; its tables are in the schema `pgboss`, which it migrates by itself. */
export function createJobs({ store, log }: PgBossOptions): Jobs {
  const boss = new PgBoss({
    ...('url' in store
      ? { connectionString: store.url, max: 2, application_name: 'kintsugi-jobs' }
      : { db: { executeSql: store.executeText as Execute }, backend: 'pglite' as const }),
    // the queues are small: what follows is for those of millions of jobs
    monitorVacuum: false,
    reindex: false,
  })
  // what fails in the background it emits; without a listener that would end the process
  boss.on('error', (error) => log.warn({ err: error }, 'the job queue failed; it tries again'))

  const queues: (() => Promise<void>)[] = []

  function define<T extends object>(queue: Parameters<Jobs['define']>[0] & { handle: Handler<T> }): JobQueue<T> {
    const { name, schedule, handle } = queue
    const workerIds: string[] = []
    const wake = (): void => {
      for (const id of workerIds) boss.notifyWorker(id)
    }
    queues.push(async () => {
      const options = {
        expireInSeconds: queue.expireSeconds,
        retryLimit: queue.retries,
        retryDelay: queue.retryDelaySeconds ?? 1,
        retryBackoff: true,
        deleteAfterSeconds: keptSeconds,
      }
      await boss.createQueue(name, { ...options, policy: schedule ? 'stately' : 'standard' })
      await boss.updateQueue(name, options)
      if (schedule) await boss.schedule(name, schedule)
      const pollingIntervalSeconds = schedule ? scheduledPollSeconds : pollSeconds
      // one by one and not by `localConcurrency`: of the workers that this makes only the first could be woken
      for (let worker = 0; worker < (schedule ? 1 : workersPerQueue); worker += 1) {
        const id = await boss.work<T>(name, { pollingIntervalSeconds, batchSize: 1 }, async ([job]) => {
          if (job) await attempt(queue.name, handle, job)
          // where one waited, another may: what finds none goes back to polling
          boss.notifyWorker(id)
        })
        workerIds.push(id)
      }
    })
    return {
      async enqueue(em: Connection, data: T, { startAfterSeconds } = {}) {
        const db = fromKysely(em.getKysely())
        await boss.send(name, data, { db, ...(startAfterSeconds && { startAfter: startAfterSeconds }) })
        return () => {
          if (!startAfterSeconds) wake()
        }
      },
    }
  }

  async function attempt<T extends object>(queue: string, handle: Handler<T>, job: Job<T>): Promise<void> {
    try {
      await handle(job.data, { id: job.id, signal: job.signal })
    } catch (error) {
      log.warn({ err: error, queue, jobId: job.id }, 'a job failed; it is tried again while it has attempts left')
      throw error
    }
  }

  return {
    define: define as Jobs['define'],
    async start() {
      await boss.start()
      for (const begin of queues) await begin()
    },
    stop: (graceMs) => boss.stop({ graceful: true, timeout: graceMs, close: true }),
  }
}

type Execute = (text: string, values?: unknown[]) => Promise<{ rows: never[] }>
type Handler<T> = (data: T, job: { id: string; signal: AbortSignal }) => Promise<void>
