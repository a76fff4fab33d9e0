import { operation, type Route } from '../kernel/operation.ts'
import { staffContract as contract } from './staff.contract.ts'
import type { createStaff } from './staff.service.ts'

/** What staff do about people, on REST addresses. */
export function staffRoutes(staff: ReturnType<typeof createStaff>): Route[] {
  const users = operation('staff:users', contract['staff:users'], staff.list, 'staff', 'moderator')
  const user = operation('staff:user', contract['staff:user'], staff.get, 'staff', 'moderator')
  const ban = operation('staff:ban', contract['staff:ban'], staff.ban, 'staff', 'moderator')
  const unban = operation('staff:unban', contract['staff:unban'], staff.unban, 'staff', 'moderator')
  const setRole = operation('staff:set-role', contract['staff:set-role'], staff.setRole, 'staff', 'admin')

  return [
    { method: 'get', path: '/admin/users', operation: users, tag: 'admin' },
    { method: 'get', path: '/admin/users/:userId', operation: user, tag: 'admin' },
    { method: 'patch', path: '/admin/users/:userId', operation: setRole, tag: 'admin' },
    { method: 'post', path: '/admin/users/:userId/ban', operation: ban, tag: 'admin' },
    { method: 'delete', path: '/admin/users/:userId/ban', operation: unban, tag: 'admin' },
  ]
}
