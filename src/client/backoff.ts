export interface Backoff {
  /** The longest first wait, in milliseconds. */
  minMs: number
  /** The longest wait of all, in milliseconds. */
  maxMs: number
}

/**
 * How long to wait before attempt number `attempt` (from 0), in milliseconds. Spread over nearly the whole range, since
 * clients that lost the same node at the same moment must not come back at the same moment.
 */
export function backoffMs(attempt: number, { minMs, maxMs }: Backoff): number {
  return Math.min(maxMs, minMs * 2 ** Math.min(attempt, 30)) * (0.1 + 0.9 * Math.random())
}
