import type { KintsugiSocket } from '../../src/client/socket.ts'
import type { ReconnectJob, ReconnectResult } from '../jobs.ts'
import { percentile } from '../measure.ts'
import { openClient } from './client.ts'
import { openSeats, roomsOfPeople } from './seats.ts'

/** Of this many conversations a client has missed the newest message in one. */
const oneMissedIn = 10

/**
 * Connects everyone, drops all at once, and lets all come back at once, as after a network failure. A client is up to
 * date when `sync` has brought it every message that it missed and nothing is behind.
 */
export async function runReconnect(job: ReconnectJob): Promise<ReconnectResult> {
  const lengths = new Map(job.world.rooms.map((room) => [room.id, room.length]))
  const rooms = roomsOfPeople(job.world)
  for (const seat of await openSeats(job.target, job.urls, job.world)) seat.close()

  const droppedAt = performance.now()
  const comeBack = async (person: number) => {
    const socket = await openClient(job.urls, job.world, person)
    const named = (rooms[person] ?? []).map((id, index) => {
      const length = lengths.get(id) ?? 0
      return { id, reached: index % oneMissedIn === 0 ? length - 1 : length, length }
    })
    await bringUpToDate(socket, named)
    return { socket, ms: performance.now() - droppedAt }
  }
  const outcomes = await Promise.allSettled(job.world.people.map((_, person) => comeBack(person)))

  const synced = outcomes.filter((outcome) => outcome.status === 'fulfilled').map((outcome) => outcome.value)
  const errors = outcomes.filter((outcome) => outcome.status === 'rejected').map(({ reason }) => String(reason))
  for (const { socket } of synced) socket.close()
  const times = synced.map(({ ms }) => ms)
  return {
    clients: outcomes.length,
    synced: synced.length,
    errors: [...new Set(errors)],
    p50: percentile(times, 0.5),
    p99: percentile(times, 0.99),
  }
}

type Named = { id: string; reached: number; length: number }

/** @throws where messages that were missed did not come, or the answer treats what the client has as lost */
async function bringUpToDate(socket: KintsugiSocket, named: Named[]): Promise<void> {
  let positions: Record<string, number> = Object.fromEntries(named.map(({ id, reached }) => [id, reached]))
  let messages = 0
  for (let hasMore = true; hasMore; ) {
    const page = await socket.command('sync', { positions })
    if (page.removed.length + page.resets.length > 0) throw new Error('sync removed or reset conversations')
    messages += page.messages.length
    positions = { ...positions, ...page.positions }
    hasMore = page.hasMore
  }
  const missed = named.reduce((sum, { reached, length }) => sum + length - reached, 0)
  if (messages !== missed) throw new Error(`sync brought ${messages} messages of ${missed}`)
  const behind = named.filter(({ id, length }) => positions[id] !== length)
  if (behind.length > 0) throw new Error(`sync left ${behind.length} conversations behind`)
}
