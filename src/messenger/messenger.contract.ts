import { z } from 'zod'
import * as p from '../kernel/primitives.ts'
import { attachment } from '../media/media.contract.ts'

const maxTitleLength = 255
const maxModels = 10
/** More ids than any group may have are never worth reading. */
const maxIds = 1000

const title = p.text(maxTitleLength).refine((value) => value.trim() !== '', 'must not be blank')
const clientId = p.text(64).min(1).meta({ description: 'Any unique string that the client makes, such as a UUID.' })
const inConversation = { conversationId: p.id }
const onMessage = { conversationId: p.id, messageId: p.id }
const role = z.enum(['owner', 'admin', 'member'])

// Shapes

export const participant = z
  .object({
    userId: p.id,
    kind: z.enum(['human', 'agent']),
    username: z.string(),
    displayName: z.string(),
    avatarUrl: z.string().optional(),
    role,
    lastReadSeq: p.position,
    lastDeliveredSeq: p.position,
    joinedAt: p.timestamp,
    leftAt: p.timestamp.optional(),
  })
  .meta({ id: 'Participant' })

export const message = z
  .object({
    id: p.id,
    conversationId: p.id,
    seq: p.position.meta({ description: 'Position in the conversation: 1, 2, 3 … without a gap.' }),
    change: p.position.meta({ description: "The conversation's change at which this row last changed." }),
    clientId: z.string().optional(),
    senderId: p.id.optional().meta({ description: 'Absent for the system and for deleted users.' }),
    role: z.enum(['user', 'assistant', 'system']),
    type: z.enum(['text', 'image', 'video', 'audio', 'file', 'system']),
    content: z.string().meta({ description: 'Of a message with attachments: what is said of them, or nothing.' }),
    attachments: z.array(attachment).optional(),
    storyId: p.id.optional().meta({ description: 'The story that it answers, which is gone a day after it was told.' }),
    replyTo: z.object({ id: p.id, seq: p.position, senderId: p.id.optional(), excerpt: z.string() }).optional().meta({
      description: 'The excerpt follows the message replied to: when that is edited or deleted, so is the excerpt.',
    }),
    forwardedFrom: z.object({ messageId: p.id, senderId: p.id.optional() }).optional(),
    mentions: z.array(p.id).optional().meta({ description: 'Ids of the participants named with @username.' }),
    reactions: z.array(z.object({ emoji: z.string(), userIds: z.array(p.id) })).optional(),
    status: z.enum(['sent', 'streaming', 'failed', 'cancelled']).meta({
      description: '`streaming`: its text grows by `stream:delta`; `cancelled`: stopped by somebody.',
    }),
    modelId: z.string().optional().meta({ description: 'The model that wrote it.' }),
    usage: z
      .object({ inputTokens: z.int(), outputTokens: z.int(), credits: z.int(), processingTimeMs: z.int().optional() })
      .optional()
      .meta({ description: 'What the answer of a model took, once it has ended.' }),
    error: z.string().optional().meta({ description: 'Why a message of status `failed` is not whole: a code.' }),
    editedAt: p.timestamp.optional(),
    deletedAt: p.timestamp.optional(),
    createdAt: p.timestamp,
  })
  .meta({ id: 'Message' })

export const settings = z
  .object({ isPinned: z.boolean(), isMuted: z.boolean(), isArchived: z.boolean() })
  .meta({ id: 'ConversationSettings' })

/** What of a conversation is the same for all of its participants. */
export const sharedConversation = z
  .object({
    id: p.id,
    type: z.enum(['direct', 'group', 'assistant']),
    title: z.string().optional(),
    avatarUrl: z.string().optional(),
    createdBy: p.id.optional(),
    models: z
      .array(z.string())
      .optional()
      .meta({ description: 'Of an assistant conversation: several answer side by side.' }),
    systemPrompt: z.string().optional(),
    parentId: p.id
      .optional()
      .meta({ description: 'Of a breakout: the conversation that it goes on from, while that is there.' }),
    breakoutModelId: z.string().optional(),
    lastSeq: p.position,
    lastChange: p.position,
    lastMessage: message.optional(),
    participantCount: z.int(),
    participants: z.array(participant).meta({ description: 'All of them up to 50, else the first 10.' }),
    createdAt: p.timestamp,
    updatedAt: p.timestamp,
  })
  .meta({ id: 'SharedConversation' })

/** A conversation as one participant sees it. */
export const conversation = sharedConversation
  .extend({ settings, lastReadSeq: p.position, unreadCount: z.int(), unreadMentions: z.int() })
  .meta({ id: 'Conversation' })

export const receipt = z
  .object({ userId: p.id, lastReadSeq: p.position, lastDeliveredSeq: p.position, readAt: p.timestamp.optional() })
  .meta({ id: 'Receipt' })

/** What others see of a person, wherever it is shown. */
export const face = z
  .object({ userId: p.id, username: z.string(), displayName: z.string(), avatarUrl: z.string().optional() })
  .meta({ id: 'Face' })

const changed = { prevChange: p.position, change: p.position }
const changedOutput = z.object(changed).meta({ id: 'Changed' })
const ownPosition = { lastReadSeq: p.position, unreadCount: z.int(), unreadMentions: z.int() }
const presence = z
  .object({ userId: p.id, status: z.enum(['online', 'offline']), lastSeenAt: p.timestamp.optional() })
  .meta({ id: 'Presence' })

const sendInput = z.strictObject({
  ...inConversation,
  clientId,
  type: z
    .enum(['text', 'image', 'video', 'audio', 'file'])
    .optional()
    .meta({ description: 'Follows from the attachments, and is refused where it does not: `file` for several kinds.' }),
  content: p.content.optional(),
  attachmentIds: z
    .array(p.id)
    .min(1)
    .max(10)
    .refine((ids) => new Set(ids).size === ids.length, 'must name each once')
    .optional()
    .meta({ description: 'Your uploads, in the order in which they are shown.' }),
  replyToId: p.id.optional(),
  forward: z.strictObject(onMessage).optional(),
})

export const sendOutput = z
  .object({
    id: p.id,
    seq: p.position,
    ...changed,
    createdAt: p.timestamp,
    duplicate: z
      .literal(true)
      .optional()
      .meta({ description: 'The clientId was used before; this is the first result.' }),
    message: message.optional().meta({ description: 'The whole message, where the server made a part of it.' }),
  })
  .meta({ id: 'Sent' })

// Examples, of what REST has too

const ada = '0197a3c2-7d1e-7c40-9b7e-2f6d0a1b3c4d'
const grace = '0197a3c2-9c55-7a21-8f13-6b0e4d2c5a77'
const conversationId = '019aa6f0-1d2e-7b3f-8c4a-5e6f70819203'
const joinedAt = '2026-11-21T09:31:10.204Z'
const sentAt = '2026-11-21T09:32:45.019Z'

const exampleMessage = {
  id: '019aa6f1-88d4-7e0a-b1c2-d3e4f5061728',
  conversationId,
  seq: 1,
  change: 3,
  clientId: 'b7d9c2f4-0a31-4c8e-9f56-1e2d3c4b5a69',
  senderId: ada,
  role: 'user',
  type: 'text',
  content: 'Shall we meet at noon?',
  status: 'sent',
  createdAt: sentAt,
} as const

const exampleConversation = {
  id: conversationId,
  type: 'group',
  title: 'Analytical engines',
  createdBy: ada,
  lastSeq: 1,
  lastChange: 3,
  lastMessage: exampleMessage,
  participantCount: 2,
  participants: [
    {
      userId: ada,
      kind: 'human',
      username: 'ada',
      displayName: 'Ada Lovelace',
      role: 'owner',
      lastReadSeq: 1,
      lastDeliveredSeq: 1,
      joinedAt,
    },
    {
      userId: grace,
      kind: 'human',
      username: 'grace',
      displayName: 'Grace Hopper',
      role: 'member',
      lastReadSeq: 0,
      lastDeliveredSeq: 0,
      joinedAt,
    },
  ],
  createdAt: joinedAt,
  updatedAt: sentAt,
  settings: { isPinned: false, isMuted: false, isArchived: false },
  ...{ lastReadSeq: 1, unreadCount: 0, unreadMentions: 0 },
} as const

// Commands

/** Operations of the messenger, by their names: socket commands, some of them REST routes too. */
export const messengerContract = {
  sync: {
    summary: 'Bring a client to the state of the server, from the changes that it has reached',
    input: z.strictObject({
      positions: z
        .record(p.id, p.position)
        .optional()
        .refine((value) => !value || Object.keys(value).length <= 10_000, 'must name at most 10000 conversations'),
      since: p.givenTime.optional(),
      limit: p.pageLimit(500, 500),
    }),
    output: z
      .object({
        conversations: z.array(conversation),
        messages: z.array(message),
        receipts: z.array(receipt.extend(inConversation)),
        users: z.array(face).optional().meta({
          description: 'People of your conversations whose name or avatar changed since `since`; absent without it.',
        }),
        removed: z.array(p.id),
        resets: z.array(p.id),
        positions: z.record(p.id, p.position),
        serverTime: p.timestamp,
        hasMore: z.boolean(),
      })
      .meta({ id: 'Sync' }),
    errors: [],
    example: {
      input: { positions: { [conversationId]: 2 }, since: '2026-11-21T09:32:00.000Z' },
      output: {
        conversations: [],
        messages: [exampleMessage],
        receipts: [{ conversationId, userId: ada, lastReadSeq: 1, lastDeliveredSeq: 1, readAt: sentAt }],
        users: [{ userId: grace, username: 'grace', displayName: 'Rear Admiral Hopper' }],
        ...{ removed: [], resets: [], positions: { [conversationId]: 3 } },
        serverTime: '2026-11-21T09:33:00.127Z',
        hasMore: false,
      },
    },
  },
  'conversation:list': {
    summary: 'Your conversations: pinned first, then by newest activity',
    input: z.strictObject({
      archived: z.boolean().optional(),
      cursor: p.cursor.optional(),
      limit: p.pageLimit(100, 50),
    }),
    output: z.object({ conversations: z.array(conversation), nextCursor: p.nextCursor }),
    errors: [],
    example: { input: { archived: false, limit: 50 }, output: { conversations: [exampleConversation] } },
  },
  'conversation:get': { summary: 'A conversation', input: z.strictObject(inConversation), output: conversation },
  'conversation:create': {
    summary:
      'Begin a conversation; a pair has one direct conversation, which is given again. A breakout goes on from a message',
    input: z.strictObject({
      type: z.enum(['direct', 'group', 'assistant']),
      clientId: clientId.optional(),
      participantIds: z.array(p.id).max(maxIds).optional(),
      title: title.optional(),
      models: z.array(p.text(100)).max(maxModels).optional(),
      systemPrompt: p.text(p.maxContentLength).optional(),
      parentId: p.id.optional(),
      breakoutModelId: p.text(100).optional(),
      messageId: p.id.optional(),
    }),
    output: conversation,
    errors: ['not_found', 'conflict', 'unprocessable'],
    example: {
      input: {
        type: 'group',
        clientId: '5c0f9a1e-6b7d-4e2f-8a3b-4c5d6e7f8091',
        participantIds: [grace],
        title: 'Analytical engines',
      },
      output: exampleConversation,
    },
  },
  'conversation:update': {
    summary:
      'Change the title or avatar of a group (owner or admin) or of an assistant conversation, and the models and system ' +
      'prompt of the latter',
    input: z
      .strictObject({
        ...inConversation,
        title: title.optional(),
        avatarId: p.id.nullable().optional().meta({ description: 'An image that you uploaded; null takes it away.' }),
        models: z.array(p.text(100)).max(maxModels).optional(),
        systemPrompt: p.text(p.maxContentLength).optional(),
      })
      .refine((input) => Object.keys(input).length > 1, 'give at least one field to change'),
    output: conversation,
  },
  'conversation:settings': {
    summary: 'Pin, mute or archive a conversation for yourself',
    input: z
      .strictObject({
        ...inConversation,
        isPinned: z.boolean().optional(),
        isMuted: z.boolean().optional(),
        isArchived: z.boolean().optional(),
      })
      .refine((input) => Object.keys(input).length > 1, 'give at least one setting'),
    output: settings,
  },
  'conversation:leave': {
    summary: 'Leave a group; its last owner hands it on to the longest-standing admin or member',
    input: z.strictObject(inConversation),
    output: p.empty,
  },
  'conversation:delete': {
    summary: 'Delete a group for all (owner), or an assistant conversation',
    input: z.strictObject(inConversation),
    output: p.empty,
  },
  'participant:list': {
    summary: 'The people of a conversation, in the order of joining',
    input: z.strictObject({ ...inConversation, cursor: p.cursor.optional(), limit: p.pageLimit(200, 50) }),
    output: z.object({ participants: z.array(participant), nextCursor: p.nextCursor }),
  },
  'participant:add': {
    summary: 'Add someone to a group (owner or admin); they see its whole history',
    input: z.strictObject({ ...inConversation, userId: p.id }),
    output: participant,
  },
  'participant:remove': {
    summary: 'Remove someone from a group (owner; admins remove members)',
    input: z.strictObject({ ...inConversation, userId: p.id }),
    output: p.empty,
  },
  'participant:update': {
    summary: "Change someone's role in a group (owner)",
    input: z.strictObject({ ...inConversation, userId: p.id, role }),
    output: participant,
  },
  'message:send': {
    summary: 'Send a message; it is stored before it is acknowledged, and once per clientId',
    input: sendInput,
    output: sendOutput,
    errors: ['not_found', 'forbidden', 'idempotency_conflict', 'unprocessable'],
    example: {
      input: { conversationId, clientId: exampleMessage.clientId, content: exampleMessage.content },
      output: { id: exampleMessage.id, seq: 1, prevChange: 2, change: 3, createdAt: sentAt },
    },
  },
  'message:edit': {
    summary: 'Change the text of your own message; the earlier text stays as a revision',
    input: z.strictObject({ ...onMessage, content: p.content }),
    output: z.object({ ...changed, editedAt: p.timestamp }),
  },
  'message:delete': {
    summary: 'Delete a message: your own, or as owner or admin any; a tombstone stays',
    input: z.strictObject(onMessage),
    output: changedOutput,
  },
  'message:history': {
    summary: 'Messages in order of seq: before, after or around one, or the newest',
    input: z
      .strictObject({
        ...inConversation,
        before: p.position.optional(),
        after: p.position.optional(),
        around: p.position.optional(),
        limit: p.pageLimit(200, 50),
      })
      .refine(
        (input) => [input.before, input.after, input.around].filter((place) => place !== undefined).length <= 1,
        'give at most one of before, after and around',
      ),
    output: z.object({ messages: z.array(message), hasBefore: z.boolean(), hasAfter: z.boolean() }),
    errors: ['not_found'],
    example: {
      input: { conversationId, before: 2, limit: 50 },
      output: { messages: [exampleMessage], hasBefore: false, hasAfter: false },
    },
  },
  'message:revisions': {
    summary: 'The earlier texts of an edited message, oldest first',
    input: z.strictObject(onMessage),
    output: z.object({ revisions: z.array(z.object({ content: z.string(), editedAt: p.timestamp })) }),
  },
  'message:search': {
    summary: 'Full-text search in your own conversations, newest first',
    input: z.strictObject({
      query: p.text(200).min(1),
      conversationId: p.id.optional(),
      senderId: p.id.optional(),
      cursor: p.cursor.optional(),
      limit: p.pageLimit(100, 20),
    }),
    output: z.object({ messages: z.array(message), nextCursor: p.nextCursor }),
  },
  'message:readers': {
    summary: 'Who has read a message, and when',
    input: z.strictObject(onMessage),
    output: z.object({ readers: z.array(z.object({ userId: p.id, readAt: p.timestamp })) }),
  },
  'reaction:add': {
    summary: 'React to a message; repeating changes nothing',
    input: z.strictObject({ ...onMessage, emoji: p.emoji }),
    output: changedOutput,
  },
  'reaction:remove': {
    summary: 'Take a reaction back; repeating changes nothing',
    input: z.strictObject({ ...onMessage, emoji: p.emoji }),
    output: changedOutput,
  },
  'receipt:read': {
    summary: 'State how far you have read; never moves back',
    input: z.strictObject({ ...inConversation, seq: p.position }),
    output: z.object({ ...ownPosition, lastDeliveredSeq: p.position }).meta({ id: 'OwnPosition' }),
  },
  'receipt:delivered': {
    summary: 'State how far messages have reached your device; never moves back',
    input: z.strictObject({ ...inConversation, seq: p.position }),
    output: z.object({ ...ownPosition, lastDeliveredSeq: p.position }).meta({ id: 'OwnPosition' }),
  },
  typing: {
    summary: 'Say that you are typing, or have stopped',
    input: z.strictObject({ ...inConversation, isTyping: z.boolean() }),
    output: p.empty,
  },
  'presence:watch': {
    summary: 'Hear of the presence of people with whom you share a conversation; replaces the earlier list',
    input: z.strictObject({ userIds: z.array(p.id).max(500) }),
    output: z.object({ presences: z.array(presence) }),
  },
} as const

// Events

/** Events that the messenger sends to sockets: meaning and payload by name. */
export const messengerEvents = {
  'messages:created': {
    summary: 'New messages of a conversation, in seq order; under load many in one event',
    payload: z.object({ ...inConversation, ...changed, messages: z.array(message) }),
  },
  'messages:updated': {
    summary: 'Messages edited, deleted or finished streaming',
    payload: z.object({ ...inConversation, ...changed, messages: z.array(message) }),
  },
  'stream:delta': {
    summary: 'A streaming message grows; at most 20 a second for each message',
    payload: z.object({
      ...onMessage,
      offset: p.position.meta({ description: 'UTF-16 units before this text.' }),
      text: z.string(),
    }),
  },
  'reactions:changed': {
    summary: 'Reactions added or taken back',
    payload: z.object({
      ...inConversation,
      ...changed,
      reactions: z.array(z.object({ messageId: p.id, userId: p.id, emoji: z.string(), added: z.boolean() })),
    }),
  },
  'receipts:changed': {
    summary: 'How far people have read or received; in conversations of more than 50 only to their own devices',
    payload: z.object({ ...inConversation, receipts: z.array(receipt) }),
  },
  'conversation:state': {
    summary: 'Your own settings and position in a conversation, from another of your devices or your own',
    payload: z.object({ ...inConversation, settings, ...ownPosition }),
  },
  typing: {
    summary: 'Someone types or has stopped; forget it after 6 s',
    payload: z.object({ ...inConversation, userId: p.id, isTyping: z.boolean() }),
  },
  'presence:changed': { summary: 'A watched person came or went', payload: presence },
  'conversation:created': { summary: 'A conversation begins for you', payload: conversation },
  'conversation:removed': { summary: 'A conversation ends for you', payload: z.object(inConversation) },
  'conversation:updated': {
    summary: 'Title or another shared field changed',
    payload: z.object({ ...inConversation, ...changed, conversation: sharedConversation }),
  },
  'participants:changed': {
    summary: 'People joined, left (leftAt) or have another role',
    payload: z.object({ ...inConversation, ...changed, participants: z.array(participant), participantCount: z.int() }),
  },
  'user:changed': {
    summary: 'Someone with whom you share a conversation, or you yourself, has another name or avatar',
    payload: z.object({ user: face }),
  },
} as const

// What clients and services see as types

type Contracts = typeof messengerContract
export type MessengerCommand = keyof Contracts
/** What a caller may give: fields with a standard value may be left out. */
export type CommandInput<K extends MessengerCommand> = z.input<Contracts[K]['input']>
/** The input as an operation gets it, with standard values filled in. */
export type ParsedInput<K extends MessengerCommand> = z.output<Contracts[K]['input']>
export type CommandOutput<K extends MessengerCommand> = z.infer<Contracts[K]['output']>
export type MessengerEvent = keyof typeof messengerEvents
export type EventPayload<K extends MessengerEvent> = z.infer<(typeof messengerEvents)[K]['payload']>

export type Conversation = z.infer<typeof conversation>
export type SharedConversation = z.infer<typeof sharedConversation>
export type Participant = z.infer<typeof participant>
export type ConversationSettings = z.infer<typeof settings>
export type Message = z.infer<typeof message>
export type Face = z.infer<typeof face>
export type Receipt = z.infer<typeof receipt>
export type Presence = z.infer<typeof presence>
export type SyncOutput = CommandOutput<'sync'>
export type Sent = z.infer<typeof sendOutput>
