import { AppError, forbidden, unprocessable } from '../kernel/errors.ts'
import type { Conversation, Participant } from './messenger.contract.ts'

/** Who may do what in a conversation: pure rules on rows that the caller has read under the conversation's lock. */

type Role = Participant['role']
type Type = Conversation['type']

const rank: Record<Role, number> = { member: 0, admin: 1, owner: 2 }

/** Direct conversations have their two people for ever: nobody joins, leaves or is promoted. */
function onlyGroup(type: Type, what: string): void {
  if (type !== 'group') throw unprocessable(`Only a group can ${what}.`)
}

export function mayRename(type: Type, own: Role): void {
  onlyGroup(type, 'have a title')
  if (own === 'member') throw forbidden('Only an owner or admin renames a group.')
}

export function mayAdd(type: Type, own: Role): void {
  onlyGroup(type, 'take in more people')
  if (own === 'member') throw forbidden('Only an owner or admin adds people.')
}

export function mayRemove(type: Type, own: Role, other: Role): void {
  onlyGroup(type, 'lose people')
  if (rank[own] <= rank[other] && own !== 'owner') throw forbidden(`A group's ${own} cannot remove its ${other}.`)
}

export function mayLeave(type: Type): void {
  onlyGroup(type, 'be left; archive a direct conversation instead')
}

export function mayChangeRole(type: Type, own: Role): void {
  onlyGroup(type, 'have roles')
  if (own !== 'owner') throw forbidden('Only an owner changes roles.')
}

export function mayDelete(type: Type, own: Role): void {
  onlyGroup(type, 'be deleted for all')
  if (own !== 'owner') throw forbidden('Only an owner deletes a group.')
}

export function mayEdit(message: { sender_id: string | null; deleted_at: string | null }, userId: string): void {
  if (message.deleted_at !== null) throw new AppError('gone', 'This message was deleted.')
  if (message.sender_id !== userId) throw forbidden('Only its sender edits a message.')
}

export function mayDeleteMessage(senderId: string | null, userId: string, type: Type, own: Role): void {
  if (senderId === userId) return
  if (type !== 'group' || own === 'member')
    throw forbidden('Only its sender, or an owner or admin of a group, deletes a message.')
}
