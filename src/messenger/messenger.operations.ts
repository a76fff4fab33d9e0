import { type Operation, operation, sharedOperation } from '../kernel/operation.ts'
import type { Conversations } from './conversations.service.ts'
import type { createHistory } from './history.service.ts'
import type { Messages } from './messages.service.ts'
import { messengerContract as contract } from './messenger.contract.ts'
import type { createParticipants } from './participants.service.ts'
import type { createReactions } from './reactions.service.ts'
import type { createReceipts } from './receipts.service.ts'
import type { createSearch } from './search.service.ts'
import type { createSignals } from './signals.service.ts'
import type { createSync } from './sync.service.ts'

export interface MessengerServices {
  conversations: Conversations
  participants: ReturnType<typeof createParticipants>
  messages: Messages
  history: ReturnType<typeof createHistory>
  reactions: ReturnType<typeof createReactions>
  receipts: ReturnType<typeof createReceipts>
  search: ReturnType<typeof createSearch>
  signals: ReturnType<typeof createSignals>
  sync: ReturnType<typeof createSync>
}

/**
 * Every operation of the messenger by its name: the socket commands, of which REST mounts some. Agents take part like
 * anyone; that a conversation begins and ends, who is in it and what it is called is for people.
 */
export function messengerOperations(services: MessengerServices) {
  const { conversations, participants, messages, history, reactions, receipts, search, signals, sync } = services
  return {
    sync: sharedOperation('sync', contract.sync, sync.sync, 'sync'),
    'conversation:list': sharedOperation(
      'conversation:list',
      contract['conversation:list'],
      conversations.list,
      'read',
    ),
    'conversation:get': sharedOperation('conversation:get', contract['conversation:get'], conversations.get, 'read'),
    'conversation:create': operation(
      'conversation:create',
      contract['conversation:create'],
      conversations.create,
      'conversation_create',
    ),
    'conversation:update': operation(
      'conversation:update',
      contract['conversation:update'],
      conversations.update,
      'change',
    ),
    'conversation:settings': sharedOperation(
      'conversation:settings',
      contract['conversation:settings'],
      conversations.settings,
      'change',
    ),
    'conversation:leave': sharedOperation(
      'conversation:leave',
      contract['conversation:leave'],
      participants.leave,
      'change',
    ),
    'conversation:delete': operation(
      'conversation:delete',
      contract['conversation:delete'],
      conversations.delete,
      'change',
    ),
    'participant:list': sharedOperation('participant:list', contract['participant:list'], participants.list, 'read'),
    'participant:add': operation('participant:add', contract['participant:add'], participants.add, 'participants'),
    'participant:remove': operation(
      'participant:remove',
      contract['participant:remove'],
      participants.remove,
      'participants',
    ),
    'participant:update': operation(
      'participant:update',
      contract['participant:update'],
      participants.update,
      'participants',
    ),
    'message:send': sharedOperation(
      'message:send',
      contract['message:send'],
      (input, { actor, socketId }) => messages.send(input, { senderId: actor.userId, socketId }),
      'send',
    ),
    'message:edit': sharedOperation('message:edit', contract['message:edit'], messages.edit, 'change'),
    'message:delete': sharedOperation('message:delete', contract['message:delete'], messages.delete, 'change'),
    'message:history': sharedOperation('message:history', contract['message:history'], history.history, 'read'),
    'message:revisions': sharedOperation('message:revisions', contract['message:revisions'], history.revisions, 'read'),
    'message:search': sharedOperation('message:search', contract['message:search'], search.search, 'search'),
    'message:readers': sharedOperation('message:readers', contract['message:readers'], history.readers, 'read'),
    'reaction:add': sharedOperation('reaction:add', contract['reaction:add'], reactions.add, 'change'),
    'reaction:remove': sharedOperation('reaction:remove', contract['reaction:remove'], reactions.remove, 'change'),
    'receipt:read': sharedOperation('receipt:read', contract['receipt:read'], receipts.read, 'signal'),
    'receipt:delivered': sharedOperation(
      'receipt:delivered',
      contract['receipt:delivered'],
      receipts.delivered,
      'signal',
    ),
    typing: sharedOperation('typing', contract.typing, signals.typing, 'signal'),
    'presence:watch': sharedOperation('presence:watch', contract['presence:watch'], signals.watch, 'read'),
  } satisfies Record<keyof typeof contract, Operation>
}
