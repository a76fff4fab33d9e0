import type { Conversation, Participant } from '../../../src/client/index.ts'

type Role = Participant['role']

/** What somebody may do in a conversation, as the server has it: what one may not do is not offered. */
interface Rights {
  /** Title and picture. */
  mayChange: boolean
  mayAdd: boolean
  mayChangeRoles: boolean
  mayLeave: boolean
  mayDelete: boolean
}

/** @param role undefined while it is not known: then nothing is offered but what everybody may do */
export function rightsOf(type: Conversation['type'], role: Role | undefined): Rights {
  const isGroup = type === 'group'
  const isInCharge = role === 'owner' || role === 'admin'
  return {
    mayChange: type !== 'direct' && isInCharge,
    mayAdd: isGroup && isInCharge,
    mayChangeRoles: isGroup && role === 'owner',
    mayLeave: isGroup,
    mayDelete: type !== 'direct' && role === 'owner',
  }
}

/** Owners remove anybody, admins plain members. */
export const mayRemove = (own: Role | undefined, other: Role): boolean =>
  own === 'owner' || (own === 'admin' && other === 'member')

/** One's own role; undefined in large groups where it is not among the first participants. */
export const ownRole = (participants: readonly Participant[], myId: string): Role | undefined =>
  participants.find(({ userId }) => userId === myId)?.role
