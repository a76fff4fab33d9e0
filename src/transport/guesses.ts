import { type RateLimiterAbstract, RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible'
import { AppError } from '../kernel/errors.ts'
import { type GuardName, guards } from '../kernel/limits.ts'
import type { Guesses } from '../kernel/ports.ts'
import type { SharedLimiter } from './rate-limits.ts'

interface Guard {
  /** Counts attempts. */
  attempts: RateLimiterAbstract
  /** Lets one attempt pass, then none until the pause that it was given is over. */
  pause: RateLimiterAbstract
}

/**
 * Attempts at guessing, by counters in Redis that all nodes share; each node counts for itself where there is no Redis,
 * or while it does not answer.
 */
export function createGuesses({ enabled, shared }: { enabled: boolean; shared: SharedLimiter | undefined }): Guesses {
  if (!enabled) return { attempt: async () => {}, forgive: async () => {} }

  const own = new Map<GuardName, Guard>()
  const common = new Map<GuardName, Guard>()
  for (const name of Object.keys(guards) as GuardName[]) {
    const { seconds, longestPause } = guards[name]
    const counting = { points: Number.MAX_SAFE_INTEGER, duration: seconds, keyPrefix: `guess:${name}` }
    const pausing = { points: 1, duration: longestPause, keyPrefix: `pause:${name}` }
    const here = { attempts: new RateLimiterMemory(counting), pause: new RateLimiterMemory(pausing) }
    own.set(name, here)
    if (shared) {
      const attempts = shared.limiter(counting, here.attempts)
      common.set(name, { attempts, pause: shared.limiter(pausing, here.pause) })
    }
  }
  const guardOf = (name: GuardName): Guard => {
    const guard = (shared?.isUp() ? common.get(name) : undefined) ?? own.get(name)
    return guard as Guard
  }

  return {
    async attempt(name, key) {
      const { attempts, pause } = guardOf(name)
      const { free, longestPause } = guards[name]
      const { consumedPoints } = await attempts.consume(key)
      if (consumedPoints <= free) return
      // one statement decides who may pass, so of many at once only one does
      const seconds = Math.min(2 ** (consumedPoints - free), longestPause)
      try {
        await pause.consume(key, 1, { customDuration: seconds })
      } catch (refusal) {
        if (!(refusal instanceof RateLimiterRes)) throw refusal
        // who is refused has guessed nothing: hammering does not lengthen the pauses
        await attempts.reward(key, 1)
        const retryAfterSeconds = Math.max(1, Math.ceil(refusal.msBeforeNext / 1000))
        throw new AppError('rate_limited', `Too many attempts: try again in ${retryAfterSeconds} s.`, {
          details: { retryAfterSeconds, limit: free, remaining: 0 },
        })
      }
    },

    async forgive(name, key) {
      const { attempts, pause } = guardOf(name)
      await Promise.all([attempts.delete(key), pause.delete(key)])
    },
  }
}
