import { operation, type Route } from '../kernel/operation.ts'
import { blocksContract as contract } from './blocks.contract.ts'
import type { Blocks } from './blocks.service.ts'

/** Blocks on their REST addresses. */
export function blocksRoutes(blocks: Blocks): Route[] {
  const add = operation('block:add', contract['block:add'], blocks.add, 'account')
  const remove = operation('block:remove', contract['block:remove'], blocks.remove, 'account')
  const list = operation('block:list', contract['block:list'], blocks.list, 'account')

  const tag = 'account'
  return [
    { method: 'get', path: '/me/blocks', operation: list, tag },
    { method: 'post', path: '/me/blocks/:userId', operation: add, status: 204, tag },
    { method: 'delete', path: '/me/blocks/:userId', operation: remove, status: 204, tag },
  ]
}
