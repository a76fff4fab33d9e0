import type { Database } from '../database/database.ts'
import type { ConversationEvent, MediaUrls } from '../kernel/ports.ts'
import { presentAttachment } from '../media/index.ts'
import { iso } from './message.presenter.ts'
import type { Message } from './messenger.contract.ts'
import type { NewMessage, Outcome } from './new-message.ts'

/**
 * Stores groups of whatever messages, each in one round trip and one transaction. No client id stands twice in a group.
 * @throws where the database cannot store the group; then nothing of it is stored
 */
export function createAppend({ prepare }: Pick<Database, 'prepare'>): (group: NewMessage[]) => Promise<Outcome> {
  const append = prepare<{ outcome: Outcome }>('append_messages', 'select append_messages($1) as outcome')

  return async (group) => {
    const batch = group.map((message, n) => ({
      n,
      conversation: message.conversationId,
      sender: message.senderId,
      id: message.id,
      client: message.clientId,
      hash: message.clientHash,
      type: message.type,
      content: message.content,
      reply: message.replyToId,
      source: message.forward && { conversation: message.forward.conversationId, id: message.forward.messageId },
      names: message.names,
      attachments: message.attachmentIds,
      story: message.storyId,
    }))
    const [row] = await append([JSON.stringify(batch)])
    return (row as { outcome: Outcome }).outcome
  }
}

/** The stored messages as clients see them, by n, and one event a conversation with its messages in order of seq. */
export function createdEvents(
  group: NewMessage[],
  outcome: Outcome,
  urls: MediaUrls,
): { messages: Map<number, Message>; events: ConversationEvent[] } {
  const replies = new Map(outcome.replies.map((reply) => [reply.n, reply]))
  const forwards = new Map(outcome.forwards.map((forward) => [forward.n, forward]))
  const attachments = new Map(outcome.attachments.map(({ n, facts }) => [n, facts]))
  const mentions = Map.groupBy(outcome.mentions, ([n]) => n)
  const createdAt = iso(outcome.at)

  const messages = new Map<number, Message>()
  const byConversation = new Map<string, { messages: Message[]; sockets: Set<string | undefined> }>()
  for (const [n, message] of group.entries()) {
    const seq = outcome.seqs[n] as number
    const change = outcome.changes[n] as number
    if (!seq) continue
    const reply = replies.get(n)
    const forward = forwards.get(n)
    const attached = attachments.get(n)
    const mentioned = mentions.get(n)
    const created: Message = {
      id: message.id,
      conversationId: message.conversationId,
      seq,
      change,
      clientId: message.clientId,
      senderId: message.senderId,
      role: 'user',
      type: outcome.types[n] as Message['type'],
      content: forward?.content ?? message.content,
      ...(attached && { attachments: attached.map((facts) => presentAttachment(facts, urls)) }),
      ...(message.storyId !== undefined && { storyId: message.storyId }),
      ...(reply && {
        replyTo: {
          id: reply.id,
          seq: reply.seq,
          ...(reply.sender && { senderId: reply.sender }),
          excerpt: reply.excerpt,
        },
      }),
      ...(forward && { forwardedFrom: forward.from }),
      ...(mentioned && { mentions: mentioned.map(([, userId]) => userId).sort() }),
      status: 'sent',
      createdAt,
    }
    messages.set(n, created)
    const event = byConversation.get(message.conversationId)
    if (event) {
      event.messages.push(created)
      event.sockets.add(message.socketId)
    } else byConversation.set(message.conversationId, { messages: [created], sockets: new Set([message.socketId]) })
  }

  const events = Array.from(byConversation, ([conversationId, event]) => ({
    conversationId,
    membersChange: Number(outcome.members[conversationId]),
    event: 'messages:created',
    payload: {
      conversationId,
      prevChange: (event.messages[0]?.change ?? 1) - 1,
      change: event.messages.at(-1)?.change ?? 0,
      messages: event.messages,
    },
    // only a socket that sent every message of the event goes without it
    exceptSocket: event.sockets.size === 1 ? [...event.sockets][0] : undefined,
  }))
  return { messages, events }
}
