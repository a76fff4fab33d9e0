import type { Conversation, Message } from '../../../src/client/index.ts'

type Known = Pick<Conversation, 'type' | 'createdBy' | 'participants'>

const isOwn = ({ senderId }: Message, userId: string): boolean => senderId === userId

/** Of a message that somebody has written: not of one that a machine writes, or that is gone. */
export const mayEdit = (message: Message, userId: string): boolean =>
  isOwn(message, userId) &&
  !message.deletedAt &&
  message.role === 'user' &&
  message.status === 'sent' &&
  !message.forwardedFrom

/** One's own, and as owner or admin any. Of a large group whose people are not all known its founder counts as owner. */
export function mayDelete(message: Message, conversation: Known, userId: string): boolean {
  if (message.deletedAt) return false
  if (isOwn(message, userId)) return true
  const role = conversation.participants.find((one) => one.userId === userId)?.role
  if (role === undefined) return conversation.createdBy === userId
  return conversation.type !== 'direct' && role !== 'member'
}

/** Where Arrow-Up leads; among so many of the newest. */
const maxLooked = 100

export function lastEditable(messages: readonly Message[], userId: string): Message | undefined {
  return messages.slice(-maxLooked).findLast((message) => mayEdit(message, userId))
}
