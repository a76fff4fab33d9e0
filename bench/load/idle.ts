import { setTimeout as delay } from 'node:timers/promises'
import type { IdleJob, IdleResult } from '../jobs.ts'
import { residentBytes } from '../measure.ts'
import { openSeats } from './seats.ts'

/** Connects everyone, who then are silent, and tells how much memory the server has then. */
export async function runIdle({ target, urls, pids, world }: IdleJob): Promise<IdleResult> {
  const seats = await openSeats(target, urls, world)
  return { sockets: seats.length, bytes: await settledBytes(pids) }
}

/** The least of several readings after garbage collection: freed pages go back to the system with some delay. */
async function settledBytes(pids: number[]): Promise<number> {
  const readings: number[] = []
  for (let reading = 0; reading < 5; reading++) {
    for (const pid of pids) process.kill(pid, 'SIGUSR2')
    await delay(1000)
    readings.push(pids.reduce((sum, pid) => sum + residentBytes(pid), 0))
  }
  return Math.min(...readings)
}
