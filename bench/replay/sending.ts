import { copyOf, type Group, linesIn, personAt } from './group.ts'
import type { Person } from './people.ts'
import { untilRisen } from './progress.ts'

/** Seconds from the first send to the last acknowledgment, and until the last store held everything. */
export type Timing = { acknowledged: number; delivered: number }

/** Sends a log in its order: each message when the one before it was acknowledged. */
export function sendInOrder(group: Group, people: Person[]): Promise<Timing> {
  return timed(group.log.name, [group], async (acknowledged) => {
    for (const { person, text } of group.log.lines) {
      await personAt(people, person).client.send(group.id, text).acknowledged
      acknowledged()
    }
  })
}

/** Everyone sends all that is theirs in all groups; how much of it is on its way at once is for their outbox to say. */
export function sendAtOnce(groups: Group[], people: Person[]): Promise<Timing> {
  return timed('burst', groups, async (acknowledged) => {
    const all = groups.flatMap(({ id, log }) => log.lines.map((line) => ({ id, ...line })))
    const sends = all.map(({ id, person, text }) => personAt(people, person).client.send(id, text).acknowledged)
    await Promise.all(sends.map((send) => send.then(acknowledged)))
  })
}

/**
 * Times a sending and waits for the stores. Stores that never fill are left as they are: what they lack is for the
 * comparison to tell.
 * @throws the first refusal of a message, or where acknowledgments stop coming
 */
async function timed(
  title: string,
  groups: Group[],
  send: (acknowledged: () => void) => Promise<void>,
): Promise<Timing> {
  const total = linesIn(groups)
  const begunAt = performance.now()
  let [acked, ackedAt] = [0, begunAt]
  const sending = send(() => {
    acked++
    ackedAt = performance.now()
  })
  const isSent = await untilRisen({ title: `${title}, acknowledged`, total, count: () => acked }, sending)
  if (!isSent) throw new Error(`${title}: after ${acked} of ${total} messages no more were acknowledged.`)

  const seats = groups.flatMap((group) => group.members.map((member) => ({ group, member })))
  const rows = seats.reduce((sum, { group }) => sum + group.log.lines.length, 0)
  const held = () => seats.reduce((sum, { group, member }) => sum + reachedBy(group, member), 0)
  await untilRisen({ title: `${title}, in the stores`, total: rows, count: held })
  return { acknowledged: (ackedAt - begunAt) / 1000, delivered: (performance.now() - begunAt) / 1000 }
}

/** By the newest seq, not by counting: a store that was replaced by its newest messages has reached them too. */
function reachedBy(group: Group, member: Person): number {
  return Math.min(copyOf(group, member)?.messages.at(-1)?.seq ?? 0, group.log.lines.length)
}
