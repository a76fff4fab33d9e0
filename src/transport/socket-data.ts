import type { Actor, UserContext } from '../kernel/operation.ts'

/** What the server keeps with a socket. */
export interface SocketData {
  actor: Actor
  /** `performance.now()` before its login was looked at: what ended later ends this socket. */
  authenticatedAt: number
  /** Milliseconds since 1970 at which its access token expires; the socket is closed then. */
  expiresAt: number
  /** Handed to every operation that the socket asks for. */
  context: UserContext
  /** Commands that are being answered. */
  pending: number
  watching: string[]
}
