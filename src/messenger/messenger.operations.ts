import { type Operation, operation } from '../kernel/operation.ts'
import type { Conversations } from './conversations.service.ts'
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
  reactions: ReturnType<typeof createReactions>
  receipts: ReturnType<typeof createReceipts>
  search: ReturnType<typeof createSearch>
  signals: ReturnType<typeof createSignals>
  sync: ReturnType<typeof createSync>
}

/** Every operation of the messenger by its name: the socket commands, of which REST mounts some. */
export function messengerOperations(services: MessengerServices) {
  const { conversations, participants, messages, reactions, receipts, search, signals, sync } = services
  return {
    sync: operation('sync', contract.sync, sync.sync, 'sync'),
    'conversation:list': operation('conversation:list', contract['conversation:list'], conversations.list, 'read'),
    'conversation:get': operation('conversation:get', contract['conversation:get'], conversations.get, 'read'),
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
    'conversation:settings': operation(
      'conversation:settings',
      contract['conversation:settings'],
      conversations.settings,
      'change',
    ),
    'conversation:leave': operation('conversation:leave', contract['conversation:leave'], participants.leave, 'change'),
    'conversation:delete': operation(
      'conversation:delete',
      contract['conversation:delete'],
      conversations.delete,
      'change',
    ),
    'participant:list': operation('participant:list', contract['participant:list'], participants.list, 'read'),
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
    'message:send': operation('message:send', contract['message:send'], messages.send, 'send'),
    'message:edit': operation('message:edit', contract['message:edit'], messages.edit, 'change'),
    'message:delete': operation('message:delete', contract['message:delete'], messages.delete, 'change'),
    'message:history': operation('message:history', contract['message:history'], messages.history, 'read'),
    'message:revisions': operation('message:revisions', contract['message:revisions'], messages.revisions, 'read'),
    'message:search': operation('message:search', contract['message:search'], search.search, 'search'),
    'message:readers': operation('message:readers', contract['message:readers'], messages.readers, 'read'),
    'reaction:add': operation('reaction:add', contract['reaction:add'], reactions.add, 'change'),
    'reaction:remove': operation('reaction:remove', contract['reaction:remove'], reactions.remove, 'change'),
    'receipt:read': operation('receipt:read', contract['receipt:read'], receipts.read, 'signal'),
    'receipt:delivered': operation('receipt:delivered', contract['receipt:delivered'], receipts.delivered, 'signal'),
    typing: operation('typing', contract.typing, signals.typing, 'signal'),
    'presence:watch': operation('presence:watch', contract['presence:watch'], signals.watch, 'read'),
  } satisfies Record<keyof typeof contract, Operation>
}
