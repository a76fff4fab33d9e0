import type { Route } from '../kernel/operation.ts'
import type { messengerOperations } from './messenger.operations.ts'

/** Messaging for callers without a socket. */
export function messengerRoutes(operations: ReturnType<typeof messengerOperations>): Route[] {
  const tag = 'messaging'
  return [
    { method: 'get', path: '/conversations', operation: operations['conversation:list'], tag },
    { method: 'post', path: '/conversations', operation: operations['conversation:create'], status: 201, tag },
    { method: 'get', path: '/conversations/:conversationId/messages', operation: operations['message:history'], tag },
    {
      method: 'post',
      path: '/conversations/:conversationId/messages',
      operation: operations['message:send'],
      status: 201,
      tag,
    },
    { method: 'post', path: '/sync', operation: operations.sync, tag },
  ]
}
