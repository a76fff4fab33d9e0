import type { z } from 'zod'
import type { identityContract, Me, Session, User } from '../identity/identity.contract.ts'
import type { ErrorCode, FieldError } from '../kernel/errors.ts'
import type { TokenHolder } from './tokens.ts'

type Method = 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE'
type IdentityInput<K extends keyof typeof identityContract> = z.input<(typeof identityContract)[K]['input']>

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
}

/** Sends one request to the server at `url` and parses the answer; 204 gives undefined. Throws {@link ApiError}. */
export async function callRest(url: string, fetchFn: typeof fetch, call: RestCall): Promise<unknown> {
  const headers: Record<string, string> = { accept: 'application/json' }
  if (call.token !== undefined) headers.authorization = `Bearer ${call.token}`
  if (call.body !== undefined) headers['content-type'] = 'application/json'
  const body = call.body === undefined ? null : JSON.stringify(call.body)
  let response: Response
  let text: string
  try {
    response = await fetchFn(url.replace(/\/$/, '') + call.path, { method: call.method, headers, body })
    text = await response.text()
  } catch (cause) {
    throw new ApiError(0, { code: 'unavailable', detail: 'The server could not be reached.' }, { cause })
  }
  const parsed = parseJson(text)
  if (response.ok) return parsed
  const retryAfter = Number(response.headers.get('retry-after') ?? Number.NaN)
  throw new ApiError(response.status, (parsed as Problem | undefined) ?? {}, {
    retryAfter: Number.isNaN(retryAfter) ? undefined : retryAfter,
  })
}

export interface Rest {
  /**
   * Sends a request as the signed-in user, or as nobody where none is. Renews the access token where it is about to
   * expire or has expired, and repeats then. Throws {@link ApiError}.
   */
  request<T = unknown>(method: Method, path: string, body?: unknown): Promise<T>
  register(input: IdentityInput<'auth:register'>): Promise<Session>
  login(input: IdentityInput<'auth:login'>): Promise<Session>
  /** Ends the login on the server, and here even where the server cannot be told. */
  logout(): Promise<void>
  me(): Promise<Me>
  searchUsers(
    query: string,
    page?: { cursor?: string; limit?: number },
  ): Promise<{ items: User[]; nextCursor?: string }>
}

/** The typed REST side. `url` is the server's absolute address, without `/v1`. */
export function createRest(deps: { url: string; tokens: TokenHolder; fetch?: typeof fetch }): Rest {
  const { url, tokens, fetch: fetchFn = (...args) => fetch(...args) } = deps

  async function request<T>(method: Method, path: string, body?: unknown): Promise<T> {
    const token = await tokens.access()
    try {
      return (await callRest(url, fetchFn, { method, path, body, token })) as T
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== 'token_expired' || token === undefined) throw error
      return (await callRest(url, fetchFn, { method, path, body, token: await tokens.refresh(token) })) as T
    }
  }

  async function begin(path: string, body: unknown): Promise<Session> {
    const session = (await callRest(url, fetchFn, { method: 'POST', path, body })) as Session
    await tokens.begin(session)
    return session
  }

  return {
    request,
    register: (input) => begin('/v1/auth/register', input),
    login: (input) => begin('/v1/auth/login', input),
    async logout() {
      try {
        await request('POST', '/v1/auth/logout', {})
      } finally {
        await tokens.end({ code: 'unauthenticated', message: 'You have signed out.' })
      }
    },
    me: () => request('GET', '/v1/me'),
    searchUsers(query, page = {}) {
      const search = new URLSearchParams({ query })
      if (page.cursor !== undefined) search.set('cursor', page.cursor)
      if (page.limit !== undefined) search.set('limit', String(page.limit))
      return request('GET', `/v1/users?${search}`)
    },
  }
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
