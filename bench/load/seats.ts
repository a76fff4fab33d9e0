import type { TargetName } from '../jobs.ts'
import type { World } from '../world.ts'
import { type Seat, targets } from './target.ts'

/** So many handshakes at once keep a server busy without making it a test of its backlog. */
const handshakesAtOnce = 50

/** Connects everyone in the world, in the order of its people; the members of a room are spread over the addresses. */
export async function openSeats(target: TargetName, urls: string[], world: World): Promise<Seat[]> {
  const rooms = roomsOfPeople(world)
  const seats: Seat[] = []
  let next = 0
  const openOneByOne = async () => {
    for (let person = next++; person < world.people.length; person = next++) {
      seats[person] = await openSeat(target, urls, world, person, rooms[person] ?? [])
    }
  }
  await Promise.all(Array.from({ length: handshakesAtOnce }, openOneByOne))
  return seats
}

function openSeat(name: TargetName, urls: string[], world: World, index: number, rooms: string[]): Promise<Seat> {
  const person = world.people[index]
  const url = urls[index % urls.length]
  if (!person || !url) throw new RangeError(`nobody at ${index}`)
  return targets[name].open(url, person, rooms)
}

/** The rooms' ids by person. */
export function roomsOfPeople(world: World): string[][] {
  const rooms: string[][] = world.people.map(() => [])
  for (const room of world.rooms) for (const member of room.members) rooms[member]?.push(room.id)
  return rooms
}
