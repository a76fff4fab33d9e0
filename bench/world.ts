import { randomUUID } from 'node:crypto'
import { v7 as uuidv7 } from 'uuid'

/** A user of a work. The ids and the token mean something to Kintsugi only; the peers take anyone. */
export type Person = { id: string; sessionId: string; token: string }

/** A conversation, with its people as indexes into `people`; `length` messages are stored before the work begins. */
export type Room = { id: string; members: number[]; senders: number[]; length: number }

/** Who talks with whom in a work: plain data, the same for every target. */
export type World = { people: Person[]; rooms: Room[] }

/** The given number of people, without tokens until they are seeded. */
export function createPeople(count: number): Person[] {
  return Array.from({ length: count }, () => ({ id: uuidv7(), sessionId: randomUUID(), token: '' }))
}

/** A conversation of these people; the first `senders` of them write in it. */
export function createRoom(members: number[], senders = 0, length = 0): Room {
  return { id: uuidv7(), members, senders: members.slice(0, senders), length }
}

/** `count` conversations of `size` people each, of whom `senders` write; nobody is in two of them. */
export function createRooms(count: number, size: number, senders: number): World {
  const rooms = Array.from({ length: count }, (_, room) =>
    createRoom(
      Array.from({ length: size }, (_, member) => room * size + member),
      senders,
    ),
  )
  return { people: createPeople(count * size), rooms }
}

/**
 * Everyone in `each` conversations of `size` people, with other company in each: in every layer all people, taken in
 * strides that share no factor with their number, are cut into groups.
 * @throws RangeError where `size` does not divide `people`
 */
export function createCrowd(people: number, each: number, size: number, length: number): World {
  if (people % size !== 0) throw new RangeError(`${size} does not divide ${people}`)
  const rooms: Room[] = []
  for (let stride = 1, layers = 0; layers < each; stride++) {
    if (commonFactor(stride, people) !== 1) continue
    layers++
    for (let first = 0; first < people; first += size) {
      const members = Array.from({ length: size }, (_, member) => ((first + member) * stride) % people)
      rooms.push(createRoom(members, 0, length))
    }
  }
  return { people: createPeople(people), rooms }
}

function commonFactor(a: number, b: number): number {
  return b === 0 ? a : commonFactor(b, a % b)
}
