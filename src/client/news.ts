import type { CommandOutput, Conversation, Sent } from '../messenger/messenger.contract.ts'
import type { SocketCommand } from './socket.ts'
import type { News, SendInput } from './store.ts'

/** The server's events that change the store. */
export const storedEvents = [
  'messages:created',
  'messages:updated',
  'reactions:changed',
  'receipts:changed',
  'conversation:state',
  'conversation:created',
  'conversation:removed',
  'conversation:updated',
  'participants:changed',
  'user:changed',
] as const satisfies News['name'][]

/** What the acknowledgment of one's own command says about the store; the rest comes by events alone. */
export function newsOf(command: SocketCommand, input: unknown, output: unknown, userId: string): News | undefined {
  const { conversationId } = input as { conversationId: string }
  switch (command) {
    case 'message:send':
      return { name: 'sent', payload: { conversationId, input: input as SendInput, sent: output as Sent } }
    case 'message:edit':
    case 'message:delete':
    case 'reaction:add':
    case 'reaction:remove':
    case 'run:regenerate':
    case 'stream:start':
    case 'stream:finish':
    case 'stream:fail':
      return { name: 'reached', payload: { conversationId, change: (output as { change: number }).change } }
    case 'receipt:read':
    case 'receipt:delivered': {
      const { lastReadSeq, lastDeliveredSeq } = output as CommandOutput<'receipt:read'>
      const receipt = { userId, lastReadSeq, lastDeliveredSeq }
      return { name: 'receipts:changed', payload: { conversationId, receipts: [receipt] } }
    }
    case 'conversation:create':
    case 'conversation:get':
    case 'conversation:update':
      return { name: 'conversation:created', payload: output as Conversation }
    case 'conversation:leave':
    case 'conversation:delete':
      return { name: 'conversation:removed', payload: { conversationId } }
    default:
      return undefined
  }
}
