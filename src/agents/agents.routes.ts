import { operation, type Route } from '../kernel/operation.ts'
import type { AgentKeys } from './agent-keys.service.ts'
import { agentsContract as contract } from './agents.contract.ts'
import type { Agents, Models } from './agents.service.ts'

/** Models, agents and their keys on their REST addresses. */
export function agentsRoutes({ agents, keys, models }: { agents: Agents; keys: AgentKeys; models: Models }): Route[] {
  const listModels = operation(
    'model:list',
    contract['model:list'],
    async () => ({ items: await models.list() }),
    'read',
  )
  const list = operation('agent:list', contract['agent:list'], agents.list, 'agents')
  const get = operation('agent:get', contract['agent:get'], agents.get, 'agents')
  const create = operation('agent:create', contract['agent:create'], agents.create, 'agents')
  const update = operation('agent:update', contract['agent:update'], agents.update, 'agents')
  const remove = operation('agent:delete', contract['agent:delete'], agents.delete, 'agents')
  const listKeys = operation('agent:list-keys', contract['agent:list-keys'], keys.list, 'agents')
  const createKey = operation('agent:create-key', contract['agent:create-key'], keys.create, 'agents')
  const revokeKey = operation('agent:revoke-key', contract['agent:revoke-key'], keys.revoke, 'agents')

  const tag = 'agents'
  return [
    { method: 'get', path: '/models', operation: listModels, tag },
    { method: 'get', path: '/agents', operation: list, tag },
    { method: 'post', path: '/agents', operation: create, status: 201, tag },
    { method: 'get', path: '/agents/:agentId', operation: get, tag },
    { method: 'patch', path: '/agents/:agentId', operation: update, tag },
    { method: 'delete', path: '/agents/:agentId', operation: remove, status: 204, tag },
    { method: 'get', path: '/agents/:agentId/keys', operation: listKeys, tag },
    { method: 'post', path: '/agents/:agentId/keys', operation: createKey, status: 201, tag },
    { method: 'delete', path: '/agents/:agentId/keys/:keyId', operation: revokeKey, status: 204, tag },
  ]
}
