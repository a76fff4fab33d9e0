import { forbidden } from '../kernel/errors.ts'
import { isAtLeast, type Role, standsAbove } from '../kernel/roles.ts'

/** One of the staff, or whom they act on, as the transaction reads them. */
export interface Person {
  id: string
  role: Role
}

/**
 * Whether staff may ban someone, or take a ban back: only those who stand below them, and never themselves.
 * @throws AppError forbidden
 */
export function assertMayBan(actor: Person, target: Person): void {
  assertIs(actor, 'moderator')
  assertIsAnother(actor, target)
  if (!standsAbove(actor.role, target.role)) throw forbidden('You can act only on people who stand below you.')
}

/**
 * Whether staff may give someone a role. Admins give and take roles below their own; a super_admin gives and takes any, but
 * never their own: so whoever takes one away is another, and the last one stays.
 * @throws AppError forbidden
 */
export function assertMaySetRole(actor: Person, target: Person, role: Role): void {
  assertIs(actor, 'admin')
  assertIsAnother(actor, target)
  if (actor.role === 'super_admin') return
  if (!standsAbove(actor.role, target.role)) throw forbidden('You can act only on people who stand below you.')
  if (!standsAbove(actor.role, role)) throw forbidden('You can give only roles below your own.')
}

/** The role may have been taken away since the request was let in. */
function assertIs(actor: Person, least: Role): void {
  if (!isAtLeast(actor.role, least)) throw forbidden(`This needs the role ${least}.`)
}

function assertIsAnother(actor: Person, target: Person): void {
  if (actor.id === target.id) throw forbidden('Nobody acts on their own account here.')
}
