import type { Database } from '../database/database.ts'
import { operation, type Route } from '../kernel/operation.ts'
import { preferencesContract as contract } from './preferences.contract.ts'
import { createPreferences } from './preferences.service.ts'

/** One's preferences on their REST address. */
export function preferencesRoutes(database: Database): Route[] {
  const preferences = createPreferences(database)

  const get = operation(
    'preferences:get',
    contract['preferences:get'],
    (_input, { actor }) => preferences.get(actor.userId),
    'account',
  )

  const update = operation(
    'preferences:update',
    contract['preferences:update'],
    (input, { actor }) => preferences.update(actor.userId, input),
    'account',
  )

  return [
    { method: 'get', path: '/me/preferences', operation: get, tag: 'account' },
    { method: 'patch', path: '/me/preferences', operation: update, tag: 'account' },
  ]
}
