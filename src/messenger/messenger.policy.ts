import { AppError, forbidden, unprocessable } from '../kernel/errors.ts'
import type { Conversation, Participant } from './messenger.contract.ts'

/** Who may do what in a conversation: pure rules on rows that the caller has read under the conversation's lock. */

type Role = Participant['role']
type Type = Conversation['type']

const rank: Record<Role, number> = { member: 0, admin: 1, owner: 2 }

/** One of the two of a direct conversation has blocked the other: neither is told who. What was said can still be read. */
export function mayWrite({ is_blocked }: { is_blocked: boolean }): void {
  if (is_blocked) throw writingForbidden()
}

export const writingForbidden = (): AppError => forbidden('Messages cannot be sent in this conversation.')

/** Direct and assistant conversations have their people for ever: nobody joins, leaves or is promoted. */
function onlyGroup(type: Type, what: string): void {
  if (type !== 'group') throw unprocessable(`Only a group can ${what}.`)
}

/** An assistant conversation has one person, its creator and owner. */
export function mayUpdate(type: Type, own: Role): void {
  if (type === 'direct') throw unprocessable('A direct conversation has no title or avatar of its own.')
  if (own === 'member') throw forbidden('Only an owner or admin changes what all see of a conversation.')
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
  onlyGroup(type, 'be left; archive the conversation instead')
}

export function mayChangeRole(type: Type, own: Role): void {
  onlyGroup(type, 'have roles')
  if (own !== 'owner') throw forbidden('Only an owner changes roles.')
}

/** An agent may help as admin, but a group that only agents own would be out of anybody's hands. */
export function mayBe(role: Role, kind: Participant['kind']): void {
  if (role === 'owner' && kind === 'agent') throw unprocessable('A group is owned by people: an agent can be admin.')
}

export function mayDelete(type: Type, own: Role): void {
  if (type === 'direct') throw unprocessable('A direct conversation cannot be deleted; archive it instead.')
  if (own !== 'owner') throw forbidden('Only an owner deletes a conversation.')
}

export function mayEdit(message: { sender_id: string | null; deleted_at: string | null }, userId: string): void {
  if (message.deleted_at !== null) throw new AppError('gone', 'This message was deleted.')
  if (message.sender_id !== userId) throw forbidden('Only its sender edits a message.')
}

export function mayDeleteMessage(senderId: string | null, userId: string, type: Type, own: Role): void {
  if (senderId === userId) return
  if (type === 'direct' || own === 'member')
    throw forbidden('Only its sender, or an owner or admin of the conversation, deletes a message.')
}
