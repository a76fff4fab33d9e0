import type { Participant } from '../../../src/client/index.ts'

/** How far all other people have come in a conversation: seqs. */
export interface Reach {
  read: number
  delivered: number
}

export type Tick = 'sent' | 'delivered' | 'read'

/**
 * Undefined where there is nothing to say: nobody else is there, agents alone are, or the conversation is too large for
 * its people's positions to be told.
 */
export function reachOf(participants: readonly Participant[], count: number, myId: string): Reach | undefined {
  if (participants.length < count) return undefined
  const others = participants.filter(({ userId, kind }) => userId !== myId && kind === 'human')
  if (others.length === 0) return undefined
  return {
    read: Math.min(...others.map(({ lastReadSeq }) => lastReadSeq)),
    delivered: Math.min(...others.map(({ lastDeliveredSeq, lastReadSeq }) => Math.max(lastDeliveredSeq, lastReadSeq))),
  }
}

/** What became of one's own message: it counts as read once all others have read it. */
export function tickOf(seq: number, reach: Reach | undefined): Tick {
  if (reach && seq <= reach.read) return 'read'
  return reach && seq <= reach.delivered ? 'delivered' : 'sent'
}
