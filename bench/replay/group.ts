import type { ConversationCopy } from '../../src/client/index.ts'
import type { ChatLog } from './chat.ts'
import type { Person } from './people.ts'
import { untilRisen } from './progress.ts'

/** A log with the group that it is sent to. */
export type Group = { id: string; log: ChatLog; members: Person[] }

export const copyOf = (group: Group, { client }: Person): ConversationCopy | undefined => client.store.get(group.id)

/** Begins a group for each log, by the first who says something; settles when everyone has heard of all of theirs. */
export async function createGroups(logs: ChatLog[], people: Person[]): Promise<Group[]> {
  const groups: Group[] = []
  for (const log of logs) {
    const members = log.people.map((person) => personAt(people, person))
    const [owner, ...others] = members
    const participantIds = others.map(({ id }) => id)
    const created = await owner?.client.command('conversation:create', {
      type: 'group',
      title: log.name,
      participantIds,
    })
    groups.push({ id: created?.id ?? '', log, members })
  }
  const seats = groups.flatMap((group) => group.members.map((member) => ({ group, member })))
  const joined = () => seats.filter(({ group, member }) => copyOf(group, member)).length
  if (!(await untilRisen({ title: 'joined', total: seats.length, count: joined }))) {
    throw new Error(`Of ${seats.length} participants only ${joined()} heard that their group began.`)
  }
  return groups
}

export function personAt(people: Person[], index: number): Person {
  const person = people[index]
  if (!person) throw new RangeError(`nobody at ${index}`)
  return person
}

/** Counted over all groups. */
export const linesIn = (groups: Group[]): number => groups.reduce((sum, { log }) => sum + log.lines.length, 0)

/** Everyone is to receive everything but what they said themselves. */
export const deliveriesIn = (groups: Group[]): number =>
  groups.reduce((sum, { log, members }) => sum + log.lines.length * (members.length - 1), 0)
