import type { Readable } from 'node:stream'
import { AppError } from './errors.ts'

/** A cookie that a reply sets; without `value` it is taken away. */
export interface ReplyCookie {
  name: string
  value?: string
  /** The addresses that the browser sends it to. */
  path: string
  sameSite: 'strict' | 'lax'
  maxAgeSeconds?: number
}

export interface ReplyOptions {
  /** In place of the route's status. */
  status?: number
  headers?: Record<string, string>
  /** Always HttpOnly, and Secure wherever the server is reached by HTTPS. */
  cookies?: ReplyCookie[]
  /**
   * Sent in place of `data`. An AppError that it fails with before its first byte is answered as any other; later the
   * connection is closed, so that nobody takes a part for the whole. It is destroyed when the caller goes away.
   */
  stream?: Readable
}

/**
 * What an operation returns where REST needs more than its data: a cookie, a redirect, a file. Sockets are given the
 * data alone.
 */
export class Reply<T = unknown> {
  readonly data: T
  readonly options: ReplyOptions

  constructor(data: T, options: ReplyOptions) {
    this.data = data
    this.options = options
  }
}

/** A refusal that sets or takes away cookies as well. Sockets are given the refusal alone. */
export class CookieRefusal extends AppError {
  readonly cookies: ReplyCookie[]

  constructor({ code, message, errors, details, cause }: AppError, cookies: ReplyCookie[]) {
    super(code, message, { errors, details, cause })
    this.cookies = cookies
  }
}
