import { z } from 'zod'
import { type ErrorCode, errorStatus } from '../kernel/errors.ts'
import { credentialsOf, type Operation } from '../kernel/operation.ts'
import { createSchemas, type Json, type Schemas } from './schemas.ts'

/** Events that the server sends, by their names. */
export type Events = Record<string, { summary: string; payload: z.ZodType }>

/** The acknowledgment of a command that failed. */
const refusal = z
  .object({
    ok: z.literal(false),
    error: z.object({
      code: z.enum(Object.keys(errorStatus) as [ErrorCode, ...ErrorCode[]]),
      message: z.string().meta({ description: 'A sentence for people.' }),
      retryable: z.boolean().meta({ description: 'Whether the same command, unchanged, may succeed later.' }),
      details: z.record(z.string(), z.unknown()).optional(),
    }),
  })
  .meta({ id: 'Refusal' })

const channel = { $ref: '#/channels/default' }
const schemeOf = (name: string): Json => ({ $ref: `#/components/securitySchemes/${name}` })
const message = (key: string): Json => ({ $ref: `#/channels/default/messages/${key}` })

/**
 * The AsyncAPI 3.0 document of the socket interface, from the same declarations that serve it. As the specification has
 * it, directions are the server's: it receives commands and sends events.
 */
export function createAsyncApi(options: {
  commands: Operation[]
  events: Events
  version: string
  serverUrl?: string | undefined
}): Json {
  // AsyncAPI's own schema dialect is a superset of draft 7
  const schemas = createSchemas('draft-07')
  const address = new URL(options.serverUrl ?? 'http://localhost:3000')
  const parts = [
    ...options.commands.map((command) => commandParts(command, schemas)),
    ...Object.entries(options.events).map(([name, event]) => eventParts(name, event, schemas)),
  ]
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Kintsugi',
      version: options.version,
      license: { name: 'MIT' },
      description:
        'Real-time messaging over the Socket.IO 4 protocol. Commands are events that the client emits with an ' +
        'acknowledgment callback. Answers and events may gain fields; commands with unknown fields are refused. ' +
        'The REST interface is described in `/openapi.json`.',
    },
    defaultContentType: 'application/json',
    servers: {
      node: {
        host: address.host,
        protocol: address.protocol === 'https:' ? 'wss' : 'ws',
        pathname: '/socket.io',
        description: 'Any node serves any user. WebSocket transport; long polling is off.',
        security: [schemeOf('accessToken'), schemeOf('agentKey')],
      },
    },
    channels: {
      default: {
        address: '/',
        title: 'The default namespace',
        description:
          'A refused handshake gives `connect_error` with `data: { code, message }`. The socket closes when its token ' +
          'expires, unless the client sends `session:refresh` before; an agent’s, when its key is revoked.',
        messages: Object.assign({}, ...parts.map((part) => part.messages)),
      },
    },
    operations: Object.assign({}, ...parts.map((part) => part.operations)),
    components: {
      schemas: schemas.components,
      securitySchemes: {
        accessToken: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description: 'An access token, in the handshake of Socket.IO: `auth: { token }`.',
        },
        agentKey: {
          type: 'http',
          scheme: 'bearer',
          description: 'A key of an external agent, in the handshake of Socket.IO: `auth: { agentKey }`.',
        },
      },
    },
  }
}

interface Parts {
  messages: Json
  operations: Json
}

/** Keys of a document may not hold a colon, and a command and an event may share a name. */
const keyOf = (kind: 'command' | 'acknowledgment' | 'event', name: string): string =>
  `${kind}.${name.replaceAll(':', '.')}`

function commandParts(operation: Operation, schemas: Schemas): Parts {
  const { name, contract } = operation
  const command = keyOf('command', name)
  const acknowledgment = keyOf('acknowledgment', name)
  const success = {
    type: 'object',
    properties: { ok: { const: true }, data: schemas.output(contract.output) },
    required: ['ok', 'data'],
  }
  return {
    messages: {
      [command]: { name, title: name, summary: contract.summary, payload: schemas.input(contract.input) },
      [acknowledgment]: {
        name,
        title: `Acknowledgment of ${name}`,
        payload: { oneOf: [success, schemas.output(refusal)] },
      },
    },
    operations: {
      [command]: {
        action: 'receive',
        summary: contract.summary,
        security: credentialsOf(operation).map(schemeOf),
        channel,
        messages: [message(command)],
        reply: { channel, messages: [message(acknowledgment)] },
      },
    },
  }
}

function eventParts(name: string, event: Events[string], schemas: Schemas): Parts {
  const key = keyOf('event', name)
  return {
    messages: { [key]: { name, title: name, summary: event.summary, payload: schemas.output(event.payload) } },
    operations: { [key]: { action: 'send', summary: event.summary, channel, messages: [message(key)] } },
  }
}
