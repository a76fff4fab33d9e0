import {
  type IRateLimiterOptions,
  type RateLimiterAbstract,
  RateLimiterMemory,
  RateLimiterRes,
} from 'rate-limiter-flexible'
import { AppError } from '../kernel/errors.ts'
import { type LimitName, limits } from '../kernel/limits.ts'

/** Where a caller stands against a limit after a request. */
export interface LimitState {
  limit: number
  remaining: number
  /** Seconds until the count begins anew. */
  resetSeconds: number
}

export interface RateLimits {
  /**
   * Counts one request of `key` (a user or an address).
   * @throws AppError rate_limited, with `retryAfterSeconds` and the LimitState in its details
   */
  consume(name: LimitName, key: string): Promise<LimitState | undefined>
}

/** Counters of all nodes together, and whether they can be asked. */
export interface SharedLimiter {
  limiter(options: IRateLimiterOptions, insurance: RateLimiterAbstract): RateLimiterAbstract
  isUp(): boolean
}

/**
 * Rate limits that hold over all nodes in sum, by counters in Redis; each node counts for itself where there is no Redis,
 * or while it does not answer.
 */
export function createRateLimits(deps: {
  enabled: boolean
  /** Absent where this node is the only one. */
  shared: SharedLimiter | undefined
}): RateLimits {
  const { enabled, shared } = deps
  if (!enabled) return { consume: async () => undefined }

  const limiters = new Map<LimitName, { own: RateLimiterAbstract; common: RateLimiterAbstract | undefined }>()
  for (const name of Object.keys(limits) as LimitName[]) {
    const { points, seconds } = limits[name]
    const options = { points, duration: seconds, keyPrefix: `limit:${name}` }
    const own = new RateLimiterMemory(options)
    const common = shared?.limiter(options, own)
    limiters.set(name, { own, common })
  }

  return {
    async consume(name, key) {
      const { own, common } = limiters.get(name) as {
        own: RateLimiterAbstract
        common: RateLimiterAbstract | undefined
      }
      // asked before the command would have to time out
      const limiter = common && shared?.isUp() ? common : own
      try {
        return state(name, await limiter.consume(key))
      } catch (refusal) {
        if (!(refusal instanceof RateLimiterRes)) throw refusal
        const { limit, remaining, resetSeconds } = state(name, refusal)
        throw new AppError('rate_limited', `Too many requests: try again in ${resetSeconds} s.`, {
          details: { retryAfterSeconds: resetSeconds, limit, remaining },
        })
      }
    },
  }
}

const state = (name: LimitName, result: RateLimiterRes): LimitState => ({
  limit: limits[name].points,
  remaining: Math.max(0, result.remainingPoints),
  resetSeconds: Math.max(1, Math.ceil(result.msBeforeNext / 1000)),
})
