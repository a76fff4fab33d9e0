import type { Readable } from 'node:stream'

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
  /** Sent in place of `data`. */
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
