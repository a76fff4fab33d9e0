import type { z } from 'zod'
import type { identityContract, Me, Session, Tokens, User } from '../identity/identity.contract.ts'
import type { Attachment } from '../media/media.contract.ts'
import { ApiError, callForFile, callRest, type Method } from './http.ts'
import type { TokenHolder } from './tokens.ts'
import { sendFile, type UploadOptions } from './upload.ts'

type IdentityInput<K extends keyof typeof identityContract> = z.input<(typeof identityContract)[K]['input']>

export interface RequestOptions {
  /** Any unique string, for what moves money: the same request under the same key is done once. */
  idempotencyKey?: string
}

export interface Rest {
  /**
   * Sends a request as the signed-in user, or as nobody where none is. Renews the access token where it is about to
   * expire or has expired, and repeats then. Throws {@link ApiError}.
   */
  request<T = unknown>(method: Method, path: string, body?: unknown, options?: RequestOptions): Promise<T>
  /** Gives a file that only its owner may have, such as an export. Throws {@link ApiError}. */
  download(path: string): Promise<Blob>
  /**
   * Uploads a file, to be sent, shown as a story or made an avatar within a day. Renews the access token as `request`
   * does. Throws {@link ApiError}, or the reason of the signal.
   */
  upload(file: Blob, options?: UploadOptions): Promise<Attachment>
  register(input: IdentityInput<'auth:register'>): Promise<Session>
  login(input: IdentityInput<'auth:login'>): Promise<Session>
  /** Begins as a guest, without email and password; `forbidden` where the server takes none. */
  guest(input?: IdentityInput<'auth:guest'>): Promise<Session>
  /** Takes up the login of which the refresh token is in the cookie, such as after another service led the page back. */
  continueLogin(): Promise<Session>
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

  async function withToken<T>(call: (token: string | undefined) => Promise<unknown>): Promise<T> {
    const token = await tokens.access()
    try {
      return (await call(token)) as T
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== 'token_expired' || token === undefined) throw error
      return (await call(await tokens.refresh(token))) as T
    }
  }

  const request: Rest['request'] = (method, path, body, options = {}) =>
    withToken((token) => callRest(url, fetchFn, { method, path, body, token, ...options }))

  async function begin(path: string, body: unknown): Promise<Session> {
    const session = (await callRest(url, fetchFn, { method: 'POST', path, body })) as Session
    await tokens.begin(session)
    return session
  }

  async function continueLogin(): Promise<Session> {
    const held = (await callRest(url, fetchFn, { method: 'POST', path: '/v1/auth/refresh', body: {} })) as Tokens
    const user = (await callRest(url, fetchFn, { method: 'GET', path: '/v1/me', token: held.accessToken })) as Me
    const session = { user, ...held }
    await tokens.begin(session)
    return session
  }

  return {
    request,
    download: (path) => withToken((token) => callForFile(url, fetchFn, { method: 'GET', path, token })),
    upload: (file, options = {}) => withToken((token) => sendFile(url, fetchFn, { file, token, ...options })),
    register: (input) => begin('/v1/auth/register', input),
    login: (input) => begin('/v1/auth/login', input),
    guest: (input = {}) => begin('/v1/auth/guest', input),
    continueLogin,
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
