import { setTimeout as delay } from 'node:timers/promises'
import type { IdleJob, IdleResult } from '../jobs.ts'
import { residentBytes } from '../measure.ts'
import { openSeats } from './seats.ts'

/** Connects everyone, who then are silent, and tells what each socket costs the server in memory. */
export async function runIdle(job: IdleJob): Promise<IdleResult> {
  const before = await settledBytes(job.pids)
  const seats = await openSeats(job.target, job.urls, job.world)
  const after = await settledBytes(job.pids)
  for (const seat of seats) seat.close()
  return { sockets: seats.length, bytesPerSocket: (after - before) / seats.length, bytesBefore: before }
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
