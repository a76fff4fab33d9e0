import { setTimeout as delay } from 'node:timers/promises'
import type { TrafficJob, TrafficResult } from '../jobs.ts'
import { cpuSeconds, percentile } from '../measure.ts'
import { openSeats } from './seats.ts'
import type { Seat } from './target.ts'

/** 100 bytes, what a chat message has on average. */
const text =
  'The gold does not hide the crack: it shows where the bowl was broken, and that someone mended it. OK'.slice(0, 100)
const settleMs = 10_000

/**
 * Lets every sender of the world send in a closed loop, first for the warm-up, then for the measured window.
 * @throws where a send is refused or a socket does not connect
 */
export async function runTraffic(job: TrafficJob): Promise<TrafficResult> {
  const seats = await openSeats(job.target, job.urls, job.world)
  const loop = startLoop(job, seats)

  await Promise.race([delay(job.warmUpSeconds * 1000), loop.failed])
  loop.latencies.length = 0
  const before = readMeters(job.pids)
  const counts = { acked: loop.acked, delivered: loop.delivered }
  await Promise.race([delay(job.seconds * 1000), loop.failed])
  const after = readMeters(job.pids)
  const inWindow = { sends: loop.acked - counts.acked, deliveries: loop.delivered - counts.delivered }
  const latencies = loop.latencies.slice(0, inWindow.sends)

  await Promise.race([loop.stop(), loop.failed])
  await waitUntil(() => loop.delivered >= loop.expected, settleMs)
  for (const seat of seats) seat.close()

  return {
    ...inWindow,
    seconds: after.at - before.at,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    serverCpu: after.server - before.server,
    loadCpu: after.load - before.load,
    acked: loop.acked,
    missing: loop.expected - loop.delivered,
  }
}

type Loop = {
  acked: number
  delivered: number
  /** Messages that must have come to others once all is quiet. */
  expected: number
  latencies: number[]
  /** Rejects with the first refusal; never resolves. */
  failed: Promise<never>
  /** Lets every sender finish the message that is on its way. */
  stop(): Promise<void>
}

function startLoop({ world }: TrafficJob, seats: Seat[]): Loop {
  const failed = Promise.withResolvers<never>()
  const stopped = Promise.withResolvers<void>()
  let stopping = false
  let sending = 0

  const loop: Loop = {
    acked: 0,
    delivered: 0,
    expected: 0,
    latencies: [],
    failed: failed.promise,
    stop: () => {
      stopping = true
      return stopped.promise
    },
  }
  const count = (messages: number) => {
    loop.delivered += messages
  }
  for (const seat of seats) seat.onMessages(count)

  const sendOnAndOn = (seat: Seat, room: string, others: number) => {
    let sentAt = 0
    const send = () => {
      sentAt = performance.now()
      seat.send(room, text, acknowledged)
    }
    const acknowledged = (refusal?: string) => {
      if (refusal !== undefined) return failed.reject(new Error(`a send was refused: ${refusal}`))
      loop.acked++
      loop.expected += others
      loop.latencies.push(performance.now() - sentAt)
      if (!stopping) send()
      else if (--sending === 0) stopped.resolve()
    }
    sending++
    send()
  }
  for (const room of world.rooms) {
    for (const sender of room.senders) {
      const seat = seats[sender]
      if (seat) sendOnAndOn(seat, room.id, room.members.length - 1)
    }
  }
  return loop
}

function readMeters(pids: number[]) {
  const { user, system } = process.cpuUsage()
  return {
    at: performance.now() / 1000,
    server: pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0),
    load: (user + system) / 1e6,
  }
}

async function waitUntil(isSo: () => boolean, withinMs: number): Promise<void> {
  const deadline = performance.now() + withinMs
  while (!isSo() && performance.now() < deadline) await delay(20)
}
