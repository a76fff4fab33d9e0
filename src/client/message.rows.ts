import type { EventPayload, Message } from '../messenger/messenger.contract.ts'

/** Whether its text still grows. */
export const isStreaming = ({ status, deletedAt }: Message): boolean => status === 'streaming' && !deletedAt

/** The later of two messages, or of two rows of one; the first where they are as new. */
export function newer(a: Message | undefined, b: Message | undefined): Message | undefined {
  if (!a || !b) return a ?? b
  if (a.seq !== b.seq) return a.seq > b.seq ? a : b
  return a.change >= b.change ? a : b
}

/** The row with reactions added and taken back, in this order. */
export function withReactions(row: Message, changes: EventPayload<'reactions:changed'>['reactions']): Message {
  const people = new Map((row.reactions ?? []).map(({ emoji, userIds }) => [emoji, new Set(userIds)]))
  for (const { emoji, userId, added } of changes) {
    const reacted = people.get(emoji) ?? new Set()
    if (added) people.set(emoji, reacted.add(userId))
    else reacted.delete(userId)
    if (reacted.size === 0) people.delete(emoji)
  }
  const { reactions: _, ...rest } = row
  if (people.size === 0) return rest
  return { ...rest, reactions: [...people].map(([emoji, userIds]) => ({ emoji, userIds: [...userIds] })) }
}
