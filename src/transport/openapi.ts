import { z } from 'zod'
import { credentialsOf, type Route } from '../kernel/operation.ts'
import { createFailures, failureCodes } from './openapi-failures.ts'
import { createSchemas, type Json, type Schemas } from './schemas.ts'

const headers = {
  'X-Request-Id': { description: 'Names the request in the logs of the server.', schema: { type: 'string' } },
  'RateLimit-Limit': { description: 'Requests in the window.', schema: { type: 'integer' } },
  'RateLimit-Remaining': { description: 'Requests left in the window.', schema: { type: 'integer' } },
  'RateLimit-Reset': { description: 'Seconds until the window ends.', schema: { type: 'integer' } },
  'Retry-After': { description: 'Seconds after which to try again.', schema: { type: 'integer' } },
  'WWW-Authenticate': { description: 'The kind of token that is asked for.', schema: { type: 'string' } },
  Location: { description: 'Where it leads on to.', required: true, schema: { type: 'string', format: 'uri' } },
}

const limitHeaders = ['RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset']

/** The OpenAPI 3.1 document of the REST interface, from the same declarations that serve it. */
export function createOpenApi(options: { routes: Route[]; version: string; serverUrl?: string | undefined }): Json {
  const schemas = createSchemas('draft-2020-12')
  const failures = createFailures(schemas, refs)
  const paths: Record<string, Json> = { ...healthPaths }
  for (const route of options.routes) {
    const address = `/v1${route.path.replace(/:(\w+)/g, '{$1}')}`
    paths[address] = { ...paths[address], [route.method]: describe(route, schemas, failures) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Kintsugi',
      version: options.version,
      license: { name: 'MIT', identifier: 'MIT' },
      description:
        'Accounts, payments, and messaging for callers without a socket. The socket events are described in ' +
        '`/asyncapi.json`. Answers may gain fields; requests with unknown fields are refused.',
    },
    servers: [{ url: options.serverUrl ?? '/' }],
    tags: [...new Set(options.routes.map((route) => route.tag)), 'health'].map((name) => ({ name })),
    paths,
    components: {
      schemas: schemas.components,
      responses: failures.responses,
      headers,
      securitySchemes: {
        accessToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
        agentKey: { type: 'http', scheme: 'bearer', description: 'A key of an external agent.' },
      },
    },
  }
}

function describe(route: Route, schemas: Schemas, failures: ReturnType<typeof createFailures>): Json {
  const { name, contract } = route.operation
  const { parameters, requestBody } = request(route, schemas.input(contract.input))
  return {
    operationId: operationId(name),
    summary: contract.summary,
    tags: [route.tag],
    security: credentialsOf(route.operation).map((scheme) => ({ [scheme]: [] })),
    ...(parameters.length > 0 && { parameters }),
    ...(requestBody && { requestBody }),
    responses: {
      ...successes(route, schemas),
      ...failures.of(failureCodes(route, requestBody !== undefined)),
    },
  }
}

/** Generators of clients make a function name of it. */
const operationId = (name: string): string => name.replace(/[:-]/g, '_')

/** Splits an operation's input into what travels in the path, in the query and in the body. */
function request(route: Route, input: Json): { parameters: Json[]; requestBody?: Json } {
  const properties = (input.properties ?? {}) as Record<string, Json>
  const required = new Set((input.required ?? []) as string[])
  const example = (route.operation.contract.example?.input ?? {}) as Json
  const inPath = [...route.path.matchAll(/:(\w+)/g)].map(([, name]) => name ?? '')
  const others = Object.keys(properties).filter((name) => !inPath.includes(name))
  const parameter = (place: 'path' | 'query', name: string): Json => {
    const { description, ...schema } = properties[name] ?? { type: 'string' }
    return {
      name,
      in: place,
      ...(place === 'path' || required.has(name) ? { required: true } : {}),
      ...(description === undefined ? {} : { description }),
      schema,
      ...(name in example && { example: example[name] }),
    }
  }
  const inQuery = route.method === 'get' ? others : []
  const parameters = [
    ...inPath.map((name) => parameter('path', name)),
    ...inQuery.map((name) => parameter('query', name)),
    ...(route.idempotent ? [idempotencyKey] : []),
    ...Object.entries(route.headers ?? {}).map(([name, description]) => headerParameter(name, description)),
  ]
  if (route.body) return { parameters, requestBody: route.body === 'raw' ? rawBody : fileForm }
  if (route.method === 'get' || others.length === 0) return { parameters }

  const needed = others.filter((name) => required.has(name))
  const schema = {
    ...input,
    properties: Object.fromEntries(others.map((name) => [name, properties[name]])),
    required: needed,
  }
  const given = Object.fromEntries(Object.entries(example).filter(([name]) => others.includes(name)))
  const content = { 'application/json': { schema, ...(Object.keys(example).length > 0 && { example: given }) } }
  return { parameters, requestBody: { required: needed.length > 0, content } }
}

const idempotencyKey: Json = {
  name: 'Idempotency-Key',
  in: 'header',
  description: 'Names the request for 24 hours: repeated under the same key it is done once, and answered alike.',
  schema: { type: 'string', pattern: '^[\\x20-\\x7e]{1,255}$' },
  example: '9b1f7a52-3f0e-4c1f-8a5d-0c7be2a6d913',
}

const headerParameter = (name: string, description: string): Json => ({
  name,
  in: 'header',
  description,
  schema: { type: 'string' },
})

/** Read as bytes, since it is signed as such. */
const rawBody: Json = {
  required: true,
  description: 'As the service sends it, byte for byte.',
  content: { '*/*': { schema: {} } },
}

const fileForm: Json = {
  required: true,
  description: 'A form with one file, and nothing else.',
  content: {
    'multipart/form-data': {
      schema: {
        type: 'object',
        properties: { file: { type: 'string', format: 'binary' } },
        required: ['file'],
        additionalProperties: false,
      },
    },
  },
}

const meanings = {
  ...{ 200: 'Done', 201: 'Created', 202: 'Under way', 204: 'Done', 302: 'Leads on to `Location`' },
  ...{
    206: 'The range that was asked for',
    304: 'What is there already is still right',
    416: 'There is no such range',
  },
}

/**
 * A GET that answers 202 is to be asked again: it answers 200 once the work is done. One that reads `Range` and
 * `If-None-Match` answers as HTTP has it.
 */
function successes(route: Route, schemas: Schemas): Json {
  const { operation, method, status = 200 } = route
  const isAskedAgain = method === 'get' && status === 202
  const hasBody = status !== 204 && status !== 302
  const reads = (header: string): boolean => Object.hasOwn(route.headers ?? {}, header)
  const content = hasBody && { content: contentOf(route, schemas) }
  const names = ['X-Request-Id', ...(operation.limit ? limitHeaders : []), ...(status === 302 ? ['Location'] : [])]
  const leadsOn = route.redirects && { 302: { description: meanings[302], headers: refs([...names, 'Location']) } }
  const withContent = [
    ...(isAskedAgain ? ([200, 202] as const) : [status]),
    ...(reads('Range') ? ([206] as const) : []),
  ]
  const without = [...(reads('If-None-Match') ? ([304] as const) : []), ...(reads('Range') ? ([416] as const) : [])]
  return Object.fromEntries([
    ...withContent.map((one) => [one, { description: meanings[one], headers: refs(names), ...content }]),
    ...without.map((one) => [one, { description: meanings[one], headers: refs(names) }]),
    ...Object.entries(leadsOn ?? {}),
  ])
}

function contentOf({ operation, method, produces }: Route, schemas: Schemas): Json {
  const { output, example } = operation.contract
  const described = schemas.output(output)
  // a file: what is in it has no schema
  if (produces && Object.keys(described).length === 0)
    return { [produces]: { schema: { type: 'string', format: 'binary' } } }
  const listed = method === 'get' ? asList : (part: Json) => part
  const { properties, required } = described as { properties?: Json; required?: string[] }
  const schema = {
    ...described,
    ...(properties && { properties: listed(properties) }),
    ...(required && { required: Object.keys(listed(Object.fromEntries(required.map((name) => [name, true])))) }),
  }
  const value = example?.output
  const shown = typeof value === 'object' ? listed(value as Json) : value
  return { [produces ?? 'application/json']: { schema, ...(shown !== undefined && { example: shown }) } }
}

/** A page of REST is `{ items, nextCursor }`, whatever the socket command of the same operation calls its rows. */
const asList = (fields: Json): Json =>
  Object.fromEntries(Object.entries(fields).map(([name, part]) => [name === 'conversations' ? 'items' : name, part]))

function refs(names: readonly string[]): Json {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]))
}

const health = (name: string, summary: string, responses: Record<number, Json>): Json => ({
  get: {
    operationId: operationId(name),
    summary,
    tags: ['health'],
    security: [],
    responses: Object.fromEntries(
      Object.entries(responses).map(([status, response]) => [status, { headers: refs(['X-Request-Id']), ...response }]),
    ),
  },
})

const json = (schema: z.ZodType, example: Json): Json => {
  const { $schema, ...described } = z.toJSONSchema(schema)
  return { 'application/json': { schema: described, example } }
}

const alive = z.strictObject({ status: z.literal('ok') })
const readiness = z.strictObject({
  status: z.enum(['ready', 'not ready']),
  checks: z.record(z.string(), z.string()).meta({ description: 'What was looked at: `ok`, or what is wrong with it.' }),
})

/** Served beside the operations, for those who run the server. */
const healthPaths: Record<string, Json> = {
  '/healthz': health('health:alive', 'Whether the process runs', {
    200: { description: 'It does', content: json(alive, { status: 'ok' }) },
  }),
  '/readyz': health('health:ready', 'Whether this node can take callers', {
    200: { description: 'It can', content: json(readiness, { status: 'ready', checks: { database: 'ok' } }) },
    503: {
      description: 'A dependency is away, or the node is shutting down',
      content: json(readiness, { status: 'not ready', checks: { database: 'does not answer' } }),
    },
  }),
  '/metrics': health('health:metrics', 'Figures for Prometheus', {
    200: { description: 'Prometheus text format', content: { 'text/plain': { schema: { type: 'string' } } } },
  }),
}
