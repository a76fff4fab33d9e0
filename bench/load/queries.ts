import type { SocketInput } from '../../src/client/socket.ts'
import type { QueriesJob, QueriesResult } from '../jobs.ts'
import { percentile } from '../measure.ts'
import { openClient } from './client.ts'

/** The first answers pay for plans and caches and are not counted. */
const warmUpRepeats = 20

/** Gives the probes' commands in turn, so that what slows the machine for a while slows them all. */
export async function runQueries(job: QueriesJob): Promise<QueriesResult> {
  const probes = await Promise.all(
    job.probes.map(async (probe) => {
      const socket = await openClient(job.urls, job.world, probe.person)
      return { ...probe, socket, times: [] as number[] }
    }),
  )
  for (let repeat = 0; repeat < warmUpRepeats + job.repeats; repeat++) {
    for (const { command, inputs, socket, times } of probes) {
      const input = inputs[repeat % inputs.length]
      const startedAt = performance.now()
      await socket.command(command, input as SocketInput<typeof command>)
      if (repeat >= warmUpRepeats) times.push(performance.now() - startedAt)
    }
  }
  for (const { socket } of probes) socket.close()
  return {
    p50: probes.map(({ times }) => percentile(times, 0.5)),
    p99: probes.map(({ times }) => percentile(times, 0.99)),
  }
}
