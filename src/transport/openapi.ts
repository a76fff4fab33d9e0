import { z } from 'zod'
import { type ErrorCode, errorStatus } from '../kernel/errors.ts'
import type { Route } from '../kernel/operation.ts'
import { createSchemas, type Json, type Schemas } from './schemas.ts'

const codes = Object.keys(errorStatus) as ErrorCode[]

/** What every failed request answers (RFC 9457). */
const problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    code: z.enum(codes as [ErrorCode, ...ErrorCode[]]),
    detail: z.string().meta({ description: 'A sentence for people.' }),
    errors: z
      .array(z.object({ path: z.string(), message: z.string() }))
      .optional()
      .meta({ description: 'Which fields of the request are wrong.' }),
    requestId: z.string().meta({ description: 'Names the request in the logs of the server.' }),
  })
  .meta({ id: 'Problem' })

const failures: Record<number, string> = {
  400: 'The request is not what the operation takes; `errors` says where',
  401: 'No valid access token',
  403: 'Not allowed',
  404: 'It does not exist, or not for you',
  409: 'In conflict with what is stored',
  413: 'Too large',
  422: 'Understood, and not possible',
  429: 'Too many requests; see `Retry-After`',
  500: 'A fault of the server',
  503: 'Not now; try again',
}

const headers = {
  'X-Request-Id': { description: 'Names the request in the logs of the server.', schema: { type: 'string' } },
  'RateLimit-Limit': { description: 'Requests in the window.', schema: { type: 'integer' } },
  'RateLimit-Remaining': { description: 'Requests left in the window.', schema: { type: 'integer' } },
  'RateLimit-Reset': { description: 'Seconds until the window ends.', schema: { type: 'integer' } },
  'Retry-After': { description: 'Seconds after which to try again.', schema: { type: 'integer' } },
}

const everyHeader = ['X-Request-Id'] as const
const limitHeaders = [...everyHeader, 'RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset'] as const

/** The OpenAPI 3.1 document of the REST interface, from the same declarations that serve it. */
export function createOpenApi(options: { routes: Route[]; version: string; serverUrl?: string | undefined }): Json {
  const schemas = createSchemas('draft-2020-12')
  const paths: Record<string, Json> = { ...healthPaths }
  for (const route of options.routes) {
    const address = `/v1${route.path.replace(/:(\w+)/g, '{$1}')}`
    paths[address] = { ...paths[address], [route.method]: describe(route, schemas) }
  }
  const responses = Object.fromEntries(Object.keys(failures).map((status) => [status, failure(status, schemas)]))
  return {
    openapi: '3.1.0',
    info: {
      title: 'Kintsugi',
      version: options.version,
      license: { name: 'MIT', identifier: 'MIT' },
      description:
        'Accounts, and messaging for callers without a socket. The socket events are described in `/asyncapi.json`. ' +
        'Answers may gain fields; requests with unknown fields are refused.',
    },
    servers: [{ url: options.serverUrl ?? '/' }],
    tags: [...new Set(options.routes.map((route) => route.tag)), 'health'].map((name) => ({ name })),
    paths,
    components: {
      schemas: schemas.components,
      responses,
      headers,
      securitySchemes: { accessToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
    },
  }
}

function describe(route: Route, schemas: Schemas): Json {
  const { name, contract, access, limit } = route.operation
  const status = route.status ?? 200
  const names = limit ? limitHeaders : everyHeader
  return {
    operationId: operationId(name),
    summary: contract.summary,
    tags: [route.tag],
    security: access === 'user' ? [{ accessToken: [] }] : [],
    ...request(route, schemas.input(contract.input)),
    responses: {
      [status]: {
        description: status === 201 ? 'Created' : 'Done',
        headers: refs('headers', names),
        ...(status !== 204 && { content: { 'application/json': { schema: schemas.output(contract.output) } } }),
      },
      ...Object.fromEntries(expected(route).map((code) => [code, { $ref: `#/components/responses/${code}` }])),
    },
  }
}

/** Generators of clients make a function name of it. */
const operationId = (name: string): string => name.replace(/[:-]/g, '_')

/** Splits an operation's input into what travels in the path, in the query and in the body. */
function request(route: Route, input: Json): Json {
  const properties = (input.properties ?? {}) as Record<string, Json>
  const required = new Set((input.required ?? []) as string[])
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
    }
  }
  const parameters = inPath.map((name) => parameter('path', name))
  if (!hasBody(route)) parameters.push(...others.map((name) => parameter('query', name)))
  const needed = others.filter((name) => required.has(name))
  const body = {
    ...input,
    properties: Object.fromEntries(others.map((name) => [name, properties[name]])),
    required: needed,
  }
  return {
    ...(parameters.length > 0 && { parameters }),
    ...(hasBody(route) &&
      others.length > 0 && {
        requestBody: { required: needed.length > 0, content: { 'application/json': { schema: body } } },
      }),
  }
}

const hasBody = (route: Route): boolean => route.method === 'post' || route.method === 'patch'

/** The failures that a caller of this route should be ready for. */
function expected(route: Route): number[] {
  return [
    400,
    401,
    403,
    ...(route.path.includes(':') ? [404] : []),
    ...(route.method === 'get' ? [] : [409]),
    ...(hasBody(route) ? [413, 422] : []),
    ...(route.operation.limit ? [429] : []),
    500,
    503,
  ]
}

function failure(status: string, schemas: Schemas): Json {
  const possible = codes.filter((code) => String(errorStatus[code]) === status).map((code) => `\`${code}\``)
  return {
    description: `${failures[Number(status)]}. Codes: ${possible.join(', ')}`,
    headers: refs('headers', status === '429' ? [...limitHeaders, 'Retry-After'] : everyHeader),
    content: { 'application/problem+json': { schema: schemas.output(problem) } },
  }
}

const refs = (kind: string, names: readonly string[]): Json =>
  Object.fromEntries(names.map((name) => [name, { $ref: `#/components/${kind}/${name}` }]))

const health = (name: string, summary: string, responses: Json): Json => ({
  get: { operationId: operationId(name), summary, tags: ['health'], security: [], responses },
})

/** Served beside the operations, for those who run the server. */
const healthPaths: Record<string, Json> = {
  '/healthz': health('health:alive', 'Whether the process runs', { 200: { description: 'It does' } }),
  '/readyz': health('health:ready', 'Whether this node can take callers', {
    200: { description: 'It can' },
    503: { description: 'A dependency is away, or the node is shutting down' },
  }),
  '/metrics': health('health:metrics', 'Figures for Prometheus', {
    200: { description: 'Prometheus text format', content: { 'text/plain': { schema: { type: 'string' } } } },
  }),
}
