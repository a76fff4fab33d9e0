import { z } from 'zod'
import { type ErrorCode, errorStatus } from '../kernel/errors.ts'
import type { Route } from '../kernel/operation.ts'
import type { Json, Schemas } from './schemas.ts'

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
    reason: z.string().optional().meta({ description: 'Why, with `banned` and `forbidden`, where it was said.' }),
    required: z.int().optional().meta({ description: 'Credits that it takes, with `insufficient_credits`.' }),
    available: z.int().optional().meta({ description: 'Credits that are free, with `insufficient_credits`.' }),
    resetAt: z.iso.datetime().optional().meta({ description: 'When the window ends, with `quota_exceeded`.' }),
    usedBytes: z.int().optional().meta({ description: 'Bytes in use, with `quota_exceeded` at an upload.' }),
    quotaBytes: z.int().optional().meta({ description: 'Bytes that there are, with `quota_exceeded` at an upload.' }),
    requestId: z.string().meta({ description: 'Names the request in the logs of the server.' }),
  })
  .meta({ id: 'Problem' })

/** What a code says to who reads the document. */
const meanings: Record<ErrorCode, string> = {
  invalid_request: 'The request is not what the operation takes; `errors` says where.',
  unauthenticated: 'Who asks has not proved who they are.',
  token_expired: 'The access token has expired: refresh it.',
  payment_required: 'What is to be paid at once was not paid.',
  insufficient_credits: 'It takes more credits than are free.',
  banned: 'The account is banned.',
  forbidden: 'Who asks may not do this.',
  not_found: 'It does not exist, or not for who asks.',
  conflict: 'In conflict with what is stored, or under way.',
  idempotency_conflict: 'The same key was used for another request.',
  gone: 'It is over, or was used up.',
  payload_too_large: 'Too large.',
  unsupported_media: 'The body is of a kind that is not taken.',
  unprocessable: 'Understood, and not possible.',
  quota_exceeded: 'It does not fit into what is left of the quota.',
  rate_limited: 'Too many requests; `Retry-After` says when to try again.',
  internal: 'A fault of the server.',
  upstream_failed: 'A service of others does not answer as it should; try again.',
  unavailable: 'Not now; try again.',
  draining: 'This node is shutting down; try again.',
}

/**
 * The codes that a caller of this route should be ready for: those that any such request may meet, and the operation's own.
 * Every request may be invalid, also where nothing is asked for: unknown fields are refused.
 */
export function failureCodes({ operation }: Route, hasBody: boolean): ErrorCode[] {
  const { access, contract, limit } = operation
  const met = new Set<ErrorCode>([
    'invalid_request',
    ...(access === 'user' ? (['unauthenticated', 'token_expired', 'banned'] as const) : []),
    ...(access === 'user' && operation.role !== 'user' ? (['forbidden'] as const) : []),
    ...(hasBody ? (['payload_too_large', 'unsupported_media'] as const) : []),
    ...(limit ? (['rate_limited'] as const) : []),
    ...(contract.errors ?? []),
    'internal',
    'unavailable',
  ])
  return codes.filter((code) => met.has(code))
}

/** The failures of one document: each mixture of codes with one status is written once and referred to. */
export function createFailures(schemas: Schemas, refs: (headers: readonly string[]) => Json) {
  const responses: Record<string, Json> = {}

  function describe(status: number, mixture: ErrorCode[]): Json {
    return {
      description: mixture.map((code) => `\`${code}\`: ${meanings[code]}`).join(' '),
      headers: refs(headersOf(status)),
      content: {
        'application/problem+json': {
          schema: {
            allOf: [schemas.output(problem), { properties: { status: { const: status }, code: { enum: mixture } } }],
          },
          examples: Object.fromEntries(mixture.map((code) => [code, { value: example(code) }])),
        },
      },
    }
  }

  return {
    /** The document's `components.responses`. */
    responses,

    /** The responses with these codes, by status. */
    of(expected: ErrorCode[]): Json {
      const mixtures = Map.groupBy(expected, (code) => errorStatus[code])
      return Object.fromEntries(
        [...mixtures].map(([status, mixture]) => {
          const name = mixture.join('.')
          responses[name] ??= describe(status, mixture)
          return [status, { $ref: `#/components/responses/${name}` }]
        }),
      )
    },
  }
}

function headersOf(status: number): string[] {
  if (status === 401) return ['X-Request-Id', 'WWW-Authenticate']
  if (status === 429)
    return ['X-Request-Id', 'RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset', 'Retry-After']
  return ['X-Request-Id']
}

const example = (code: ErrorCode): z.infer<typeof problem> => ({
  type: `urn:kintsugi:error:${code}`,
  title: code.replaceAll('_', ' '),
  status: errorStatus[code],
  code,
  detail: meanings[code].replaceAll('`', ''),
  ...(code === 'invalid_request' && { errors: [{ path: 'limit', message: 'Too big: expected number to be <=100' }] }),
  ...(code === 'insufficient_credits' && { required: 500, available: 120 }),
  ...(code === 'quota_exceeded' && { resetAt: '2026-11-21T18:00:00.000Z' }),
  requestId: '019aa6f4-0c2b-7e51-9d7a-43f1b8c0e6d5',
})
