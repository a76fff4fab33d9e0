/** The load, a process of its own: takes one job from the runner, does it, answers and ends. */
import type { Answer, Job, Results } from './jobs.ts'
import { runIdle } from './load/idle.ts'
import { runPage } from './load/page.ts'
import { runQueries } from './load/queries.ts'
import { runReconnect } from './load/reconnect.ts'
import { runStreams } from './load/streams.ts'
import { runTraffic } from './load/traffic.ts'
import { runUploads } from './load/uploads.ts'

function run(job: Job): Promise<Results[keyof Results]> {
  switch (job.kind) {
    case 'traffic':
      return runTraffic(job)
    case 'idle':
      return runIdle(job)
    case 'reconnect':
      return runReconnect(job)
    case 'queries':
      return runQueries(job)
    case 'streams':
      return runStreams(job)
    case 'uploads':
      return runUploads(job)
    case 'page':
      return runPage(job)
  }
}

function answer(message: Answer): void {
  process.send?.(message, () => process.exit(0))
}

const fail = (error: unknown) => answer({ failure: error instanceof Error ? error.message : String(error) })

process.once('uncaughtException', fail)
process.once('message', (job: Job) => {
  run(job).then((result) => answer({ result }), fail)
})
