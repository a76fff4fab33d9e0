import type { NewMessage } from './new-message.ts'

/** One group is at most this large: more would hold its locks, and the event loop of an embedded database, for too long. */
const maxRows = 500
const maxUnits = 1_000_000

/** A message that waits for its commit, and whom to tell. */
export interface Waiting<T> {
  message: NewMessage
  /** By `performance.now()`: until when it waits for a conversation that someone else has locked. */
  deadline: number
  resolve(result: T): void
  reject(error: unknown): void
}

/**
 * The messages that wait on this node, by conversation and in the order of arrival. A conversation of which messages were
 * taken gives no more until it is released: so its messages are numbered in that order, whatever becomes of a group.
 */
export function createMessageQueue<T>() {
  const waiting = new Map<string, Waiting<T>[]>()
  const taken = new Set<string>()

  /** How many of a conversation's messages fit into a group that has so many rows and units already. */
  function fitting(queue: Waiting<T>[], rows: number, unitsBefore: number): { count: number; units: number } {
    // the same client id twice in a group could not see each other's row: the second waits for the next group
    const keys = new Set<string>()
    let count = 0
    let units = unitsBefore
    for (const { message } of queue) {
      const key = `${message.senderId} ${message.clientId}`
      const isFull = rows + count >= maxRows || (rows + count > 0 && units + message.content.length > maxUnits)
      if (isFull || keys.has(key)) break
      keys.add(key)
      units += message.content.length
      count += 1
    }
    return { count, units }
  }

  return {
    isEmpty: () => waiting.size === 0,

    push(item: Waiting<T>): void {
      const queue = waiting.get(item.message.conversationId)
      if (queue) queue.push(item)
      else waiting.set(item.message.conversationId, [item])
    },

    /** Puts items that were taken back to the head of their line: they came before whatever waits now. */
    putBack(conversationId: string, items: Waiting<T>[]): void {
      waiting.set(conversationId, items.concat(waiting.get(conversationId) ?? []))
    },

    /** Takes the next group, of conversations that are not taken; empty where there is none. */
    take(): Waiting<T>[] {
      const group: Waiting<T>[] = []
      const cut: [string, Waiting<T>[]][] = []
      let units = 0
      for (const [conversationId, queue] of waiting) {
        if (taken.has(conversationId)) continue
        const fit = fitting(queue, group.length, units)
        if (fit.count === 0) break
        units = fit.units
        taken.add(conversationId)
        group.push(...queue.splice(0, fit.count))
        waiting.delete(conversationId)
        if (queue.length > 0) cut.push([conversationId, queue])
      }
      // a conversation that still has messages goes to the end of the line
      for (const [conversationId, rest] of cut) waiting.set(conversationId, rest)
      return group
    },

    release(conversationId: string): void {
      taken.delete(conversationId)
    },
  }
}
