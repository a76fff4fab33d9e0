import type { ErrorCode, FieldError } from '../kernel/errors.ts'

export type Method = 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE'

interface Problem {
  code?: ErrorCode
  detail?: string
  title?: string
  errors?: FieldError[]
}

/** A refused or failed REST request. `status` is 0 where no answer came. */
export class ApiError extends Error {
  readonly status: number
  readonly code: ErrorCode
  /** Which fields are wrong, for `invalid_request`. */
  readonly errors: FieldError[] | undefined
  /** The whole problem document: `resetAt` and other facts of the code. */
  readonly details: Record<string, unknown>
  /** Seconds to wait before the next try, where the server said so. */
  readonly retryAfter: number | undefined

  constructor(status: number, problem: Problem, options: { retryAfter?: number | undefined; cause?: unknown } = {}) {
    super(problem.detail ?? problem.title ?? `The server answered ${status}.`, { cause: options.cause })
    this.name = 'ApiError'
    this.status = status
    this.code = problem.code ?? codeWithoutProblem(status)
    this.errors = problem.errors
    this.details = { ...problem }
    this.retryAfter = options.retryAfter
  }
}

export interface RestCall {
  method: Method
  /** From `/v1` on. */
  path: string
  body?: unknown
  token?: string | undefined
  /** Of a request that moves money: the same key gives the first answer again. */
  idempotencyKey?: string | undefined
}

/** Sends one request to the server at `url` and parses the answer; 204 gives undefined. Throws {@link ApiError}. */
export async function callRest(url: string, fetchFn: typeof fetch, call: RestCall): Promise<unknown> {
  return settle(await reached(send(url, fetchFn, call).then(answerOf)))
}

/** Asks for a file. Throws {@link ApiError}. */
export async function callForFile(url: string, fetchFn: typeof fetch, call: RestCall): Promise<Blob> {
  const answered = send(url, fetchFn, call).then(
    (response): Promise<Blob | RestAnswer> => (response.ok ? response.blob() : answerOf(response)),
  )
  const answer = await reached(answered)
  return answer instanceof Blob ? answer : (settle(answer) as never)
}

function send(url: string, fetchFn: typeof fetch, call: RestCall): Promise<Response> {
  const headers: Record<string, string> = { accept: 'application/json' }
  if (call.token !== undefined) headers.authorization = `Bearer ${call.token}`
  if (call.idempotencyKey !== undefined) headers['idempotency-key'] = call.idempotencyKey
  if (call.body !== undefined) headers['content-type'] = 'application/json'
  const body = call.body === undefined ? null : JSON.stringify(call.body)
  return fetchFn(addressOf(url, call.path), { method: call.method, headers, body })
}

const reached = <T>(answer: Promise<T>): Promise<T> =>
  answer.catch((cause) => {
    throw unreachable(cause)
  })

/** The absolute address of a path on the server at `url`, which may be below a path itself. */
export const addressOf = (url: string, path: string): string => url.replace(/\/$/, '') + path

/**
 * Has the refresh token of the server at `url` travel in a cookie that scripts cannot read: what begins, renews and ends
 * logins asks for that by a header, and brings the cookie along where the page is of another origin.
 */
export function withRefreshCookie(url: string, fetchFn: typeof fetch): typeof fetch {
  const [logins, account] = [addressOf(url, '/v1/auth/'), addressOf(url, '/v1/me')]
  return (input, init) => {
    const endsAccount = String(input) === account && init?.method === 'DELETE'
    if (!String(input).startsWith(logins) && !endsAccount) return fetchFn(input, init)
    const headers = new Headers(init?.headers)
    headers.set('x-refresh-cookie', '1')
    return fetchFn(input, { ...init, headers, credentials: 'include' })
  }
}

export interface RestAnswer {
  status: number
  text: string
  /** The header of that name. */
  retryAfter: string | null
}

export async function answerOf(response: Response): Promise<RestAnswer> {
  const { status, headers } = response
  return { status, text: await response.text(), retryAfter: headers.get('retry-after') }
}

export const unreachable = (cause?: unknown): ApiError =>
  new ApiError(0, { code: 'unavailable', detail: 'The server could not be reached.' }, { cause })

/** What an answer says; nothing where it is empty. Throws {@link ApiError} where it is a refusal. */
export function settle({ status, text, retryAfter }: RestAnswer): unknown {
  const parsed = parseJson(text)
  if (status >= 200 && status < 300) return parsed
  const seconds = Number(retryAfter ?? Number.NaN)
  throw new ApiError(status, (parsed as Problem | undefined) ?? {}, {
    retryAfter: Number.isNaN(seconds) ? undefined : seconds,
  })
}

function parseJson(text: string): unknown {
  try {
    return text === '' ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Proxies in front of the server answer without a problem document. */
function codeWithoutProblem(status: number): ErrorCode {
  if (status === 401) return 'unauthenticated'
  if (status === 403) return 'forbidden'
  if (status === 404) return 'not_found'
  if (status === 413) return 'payload_too_large'
  if (status === 429) return 'rate_limited'
  if (status === 502) return 'upstream_failed'
  if (status === 503 || status === 504) return 'unavailable'
  return status >= 500 ? 'internal' : 'invalid_request'
}
