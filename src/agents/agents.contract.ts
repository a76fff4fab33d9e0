import { z } from 'zod'
import * as p from '../kernel/primitives.ts'

const clientId = p.text(64).min(1).meta({ description: 'Any unique string that the client makes, such as a UUID.' })
const onMessage = { conversationId: p.id, messageId: p.id }
const changed = { prevChange: p.position, change: p.position }

/** What a stream may come to, in UTF-16 units. */
export const maxStreamLength = 200_000
/** What one append may bring. */
export const maxAppendLength = 16_000

// Shapes

export const model = z
  .object({
    id: z.string(),
    label: z.string(),
    provider: z.string(),
    contextWindow: z.int().meta({ description: 'Tokens.' }),
    inputPrice: z.number().meta({ description: 'US dollars per million tokens.' }),
    outputPrice: z.number().meta({ description: 'US dollars per million tokens.' }),
  })
  .meta({ id: 'Model' })

export const agent = z
  .object({
    id: p.id.meta({ description: "The agent's user id: it takes part in conversations as this user." }),
    kind: z.enum(['built_in', 'external']),
    username: z.string(),
    displayName: z.string(),
    avatarUrl: z.string().optional(),
    ownerId: p.id.optional().meta({ description: "Absent: the server's own." }),
    isPublic: z
      .boolean()
      .meta({ description: 'Whether others than its owner find it and begin conversations with it.' }),
    description: z.string().optional(),
    modelId: z.string().optional().meta({ description: "Of a built-in agent; absent: the server's standard model." }),
    systemPrompt: z.string().optional().meta({ description: 'Shown to its owner alone.' }),
    temperature: z.number().optional(),
    maxOutputTokens: z.int().optional(),
    createdAt: p.timestamp,
  })
  .meta({ id: 'Agent' })

export const agentKey = z
  .object({
    id: p.id,
    name: z.string().optional(),
    createdAt: p.timestamp,
    lastUsedAt: p.timestamp.optional(),
    revokedAt: p.timestamp.optional(),
  })
  .meta({ id: 'AgentKey' })

/** As the server numbers a message that begins. */
const begun = z.object({ id: p.id, seq: p.position, ...changed }).meta({ id: 'StreamBegun' })

const profile = {
  displayName: p.text(64).refine((value) => value.trim() !== '', 'must not be blank'),
  avatarId: p.id.meta({ description: 'An image that you uploaded.' }),
  description: p.text(1000),
  modelId: p.text(100).min(1),
  systemPrompt: p.text(p.maxContentLength),
  temperature: z.number().min(0).max(2),
  maxOutputTokens: z.int().min(1).max(100_000),
  isPublic: z.boolean(),
}

// Examples

const agentId = '0197a3c2-7d1e-7c40-9b7e-2f6d0a1b3c4d'
const keyId = '019aa6f3-0c5e-7d19-a2b3-c4d5e6f70819'
const createdAt = '2026-11-21T09:31:10.204Z'

const exampleAgent = {
  id: agentId,
  kind: 'built_in',
  username: 'poet',
  displayName: 'Poet',
  ownerId: '0197a3c2-9c55-7a21-8f13-6b0e4d2c5a77',
  isPublic: true,
  description: 'Answers in verse.',
  modelId: 'gpt-4o-mini',
  systemPrompt: 'Answer every question with a poem of four lines.',
  createdAt,
} as const

const exampleKey = { id: keyId, name: 'production', createdAt } as const

// Operations

/** Models, and agents as their owners keep them: REST. */
export const agentsContract = {
  'model:list': {
    summary: 'The models that can be asked on this server',
    input: p.empty,
    output: z.object({ items: z.array(model) }),
    errors: [],
    example: {
      input: {},
      output: {
        items: [
          {
            id: 'gpt-4o-mini',
            label: 'GPT-4o mini',
            provider: 'openai',
            contextWindow: 128_000,
            inputPrice: 0.15,
            outputPrice: 0.6,
          },
        ],
      },
    },
  },
  'agent:list': {
    summary: 'Your agents, newest first',
    input: z.strictObject({ cursor: p.cursor.optional(), limit: p.pageLimit(100, 50) }),
    output: z.object({ items: z.array(agent), nextCursor: p.nextCursor }),
    errors: [],
    example: { input: { limit: 50 }, output: { items: [exampleAgent] } },
  },
  'agent:get': {
    summary: 'An agent: your own or a public one',
    input: z.strictObject({ agentId: p.id }),
    output: agent,
    errors: ['not_found'],
    example: { input: { agentId }, output: exampleAgent },
  },
  'agent:create': {
    summary: 'Make an agent: one that the server runs on a model, or an external one that connects with a key',
    input: z.strictObject({
      kind: z.enum(['built_in', 'external']),
      username: p.username,
      ...{ displayName: profile.displayName.optional(), description: profile.description.optional() },
      avatarId: profile.avatarId.optional(),
      ...{ modelId: profile.modelId.optional(), systemPrompt: profile.systemPrompt.optional() },
      ...{ temperature: profile.temperature.optional(), maxOutputTokens: profile.maxOutputTokens.optional() },
      isPublic: profile.isPublic.default(false),
    }),
    output: agent,
    errors: ['conflict', 'not_found', 'unprocessable'],
    example: {
      input: {
        kind: 'built_in',
        username: exampleAgent.username,
        displayName: exampleAgent.displayName,
        modelId: exampleAgent.modelId,
        systemPrompt: exampleAgent.systemPrompt,
        isPublic: true,
      },
      output: exampleAgent,
    },
  },
  'agent:update': {
    summary: 'Change an agent of yours; null takes a value away',
    input: z
      .strictObject({
        agentId: p.id,
        displayName: profile.displayName.optional(),
        avatarId: profile.avatarId.nullish(),
        description: profile.description.nullish(),
        modelId: profile.modelId.nullish(),
        systemPrompt: profile.systemPrompt.nullish(),
        temperature: profile.temperature.nullish(),
        maxOutputTokens: profile.maxOutputTokens.nullish(),
        isPublic: profile.isPublic.optional(),
      })
      .refine((input) => Object.keys(input).length > 1, 'give at least one field to change'),
    output: agent,
    errors: ['not_found', 'unprocessable'],
    example: { input: { agentId, isPublic: true, temperature: null }, output: exampleAgent },
  },
  'agent:delete': {
    summary: 'Delete an agent of yours: it leaves its conversations, its messages stay',
    input: z.strictObject({ agentId: p.id }),
    output: p.empty,
    errors: ['not_found'],
    example: { input: { agentId }, output: {} },
  },
  'agent:list-keys': {
    summary: "Your external agent's keys, without the keys themselves",
    input: z.strictObject({ agentId: p.id }),
    output: z.object({ items: z.array(agentKey) }),
    errors: ['not_found'],
    example: { input: { agentId }, output: { items: [exampleKey] } },
  },
  'agent:create-key': {
    summary: 'Make a key for your external agent; it is shown this once',
    input: z.strictObject({ agentId: p.id, name: p.text(64).optional() }),
    output: agentKey.extend({ key: z.string() }),
    errors: ['not_found', 'unprocessable'],
    example: {
      input: { agentId, name: 'production' },
      output: { ...exampleKey, key: 'kag_b3BlbiBzZXNhbWUgb3BlbiBzZXNhbWUgb3BlbiBzZXM' },
    },
  },
  'agent:revoke-key': {
    summary: 'Revoke a key; its sockets are closed at once',
    input: z.strictObject({ agentId: p.id, keyId: p.id }),
    output: p.empty,
    errors: ['not_found'],
    example: { input: { agentId, keyId }, output: {} },
  },
} as const

/** Answers that are being written: socket commands. */
export const runsContract = {
  'run:stop': {
    summary: 'Stop an answer that is being written; its text so far stays',
    input: z.strictObject(onMessage),
    output: p.empty,
  },
  'run:regenerate': {
    summary: 'Have a question answered anew, by the same or another model; the earlier answer stays',
    input: z.strictObject({ ...onMessage, clientId, modelId: p.text(100).min(1).optional() }),
    output: begun,
  },
  'run:resume': {
    summary: 'The text of a message from an offset on, as far as it is stored: at least up to a second ago',
    input: z.strictObject({ ...onMessage, offset: p.position }),
    output: z.object({
      text: z.string(),
      offset: p.position.meta({
        description: 'Where the text begins: the one asked for, or the end of what is stored.',
      }),
      status: z.enum(['sent', 'streaming', 'failed', 'cancelled']),
    }),
  },
  'stream:start': {
    summary: 'Begin a message whose text grows (agents)',
    input: z.strictObject({ conversationId: p.id, clientId, replyToId: p.id.optional() }),
    output: begun,
  },
  'stream:append': {
    summary: 'Add text to a message that you began (agents); lower offsets are repeats and ignored',
    input: z.strictObject({ ...onMessage, offset: p.position, text: p.text(maxAppendLength) }),
    output: z.object({
      offset: p.position.meta({ description: 'Where the text ends now.' }),
      durable: p.position.meta({ description: 'Up to where it is stored.' }),
    }),
  },
  'stream:finish': {
    summary: 'End a message that you began (agents)',
    input: z.strictObject({
      ...onMessage,
      length: p.position
        .optional()
        .meta({ description: 'Of the whole text: `conflict` where the end of it has not come.' }),
      usage: z.strictObject({ inputTokens: p.position, outputTokens: p.position }).optional(),
    }),
    output: z.object(changed),
  },
  'stream:fail': {
    summary: 'End a message that you began as failed (agents); its text so far stays',
    input: z.strictObject({
      ...onMessage,
      error: z
        .string()
        .regex(/^[a-z][a-z0-9_]{0,63}$/, 'must be a code such as `out_of_paper`')
        .optional(),
    }),
    output: z.object(changed),
  },
} as const

/** Events that agents send to sockets. */
export const agentsEvents = {
  'stream:stop': {
    summary: 'Somebody stopped a message of yours (agents): nothing that you append to it is taken any more',
    payload: z.object({ messageId: p.id }),
  },
} as const

// What clients and services see as types

type Contracts = typeof agentsContract
export type Input<K extends keyof Contracts> = z.output<Contracts[K]['input']>
export type Output<K extends keyof Contracts> = z.input<Contracts[K]['output']>

export type RunCommand = keyof typeof runsContract
/** What a caller may give. */
export type RunInput<K extends RunCommand> = z.input<(typeof runsContract)[K]['input']>
export type ParsedRunInput<K extends RunCommand> = z.output<(typeof runsContract)[K]['input']>
export type RunOutput<K extends RunCommand> = z.infer<(typeof runsContract)[K]['output']>
export type AgentsEvent = keyof typeof agentsEvents
export type AgentsEventPayload<K extends AgentsEvent> = z.infer<(typeof agentsEvents)[K]['payload']>

export type Model = z.infer<typeof model>
export type Agent = z.infer<typeof agent>
export type AgentKey = z.infer<typeof agentKey>
