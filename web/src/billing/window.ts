import type { Wallet } from '../../../src/client/index.ts'

/** The token window as it is at a moment. */
export interface TokenWindow {
  /** Undefined: without a limit. */
  limit: number | undefined
  used: number
  remaining: number | undefined
  /** When it ends; undefined where the next run begins one. */
  resetAt: string | undefined
}

/** The wallet tells of a window once: after its end there is none until the next run, and nothing of the limit is used. */
export function windowAt({ limit, used, remaining, resetAt }: Wallet['tokens'], now: Date): TokenWindow {
  if (resetAt !== undefined && new Date(resetAt) <= now) return { limit, used: 0, remaining: limit, resetAt: undefined }
  return { limit, used, remaining, resetAt }
}
