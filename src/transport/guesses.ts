import { createHash } from 'node:crypto'
import { type RateLimiterAbstract, RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible'
import { AppError } from '../kernel/errors.ts'
import { type GuardName, guards } from '../kernel/limits.ts'
import type { Guesses } from '../kernel/ports.ts'
import type { SharedLimiter } from './rate-limits.ts'

interface Rule {
  /** Attempts that need not wait, in any `seconds`. */
  free: number
  seconds: number
  /** Seconds. */
  longestPause: number
}

interface Counters {
  /** Attempts, whether judged or refused: says when the free ones are used up, and nothing else. */
  attempts: RateLimiterAbstract
  /** Pauses that were begun: says how long the next one is. */
  pauses: RateLimiterAbstract
  /** There while a pause lasts. */
  pause: RateLimiterAbstract
}

/** Counts all and refuses none. */
const noEnd = Number.MAX_SAFE_INTEGER

/**
 * Attempts at guessing, by counters in Redis that all nodes share; each node counts for itself where there is no Redis,
 * or while it does not answer.
 *
 * Each step is one statement on one counter, so of many attempts at once exactly `free` are judged: all but the last of
 * them by the count, and one by having begun the pause. Those that are refused move nothing by which others are judged:
 * hammering does not lengthen the pauses.
 */
export function createGuesses(deps: {
  enabled: boolean
  shared: SharedLimiter | undefined
  /** Other rules, for tests. */
  rules?: Readonly<Record<GuardName, Rule>>
}): Guesses {
  const { enabled, shared, rules = guards } = deps
  if (!enabled) return { attempt: async () => ({ takeBack: async () => {} }), forgive: async () => {} }

  const own = new Map<GuardName, Counters>()
  const common = new Map<GuardName, Counters>()
  for (const name of Object.keys(rules) as GuardName[]) {
    const { seconds, longestPause } = rules[name]
    const kinds = {
      attempts: { points: noEnd, duration: seconds, keyPrefix: `guess:${name}` },
      pauses: { points: noEnd, duration: seconds, keyPrefix: `pauses:${name}` },
      pause: { points: 1, duration: longestPause, keyPrefix: `pause:${name}` },
    }
    const here = {
      attempts: new RateLimiterMemory(kinds.attempts),
      pauses: new RateLimiterMemory(kinds.pauses),
      pause: new RateLimiterMemory(kinds.pause),
    }
    own.set(name, here)
    if (shared) {
      common.set(name, {
        attempts: shared.limiter(kinds.attempts, here.attempts),
        pauses: shared.limiter(kinds.pauses, here.pauses),
        pause: shared.limiter(kinds.pause, here.pause),
      })
    }
  }
  const countersOf = (name: GuardName): Counters =>
    ((shared?.isUp() ? common.get(name) : undefined) ?? own.get(name)) as Counters

  return {
    async attempt(name, plainKey) {
      const key = hashed(plainKey)
      const { attempts, pauses, pause } = countersOf(name)
      const { free, longestPause } = rules[name]
      const uncount = async () => void (await attempts.reward(key, 1))
      const { consumedPoints } = await attempts.consume(key)
      if (consumedPoints < free) return { takeBack: uncount }

      const begun = (await pauses.get(key))?.consumedPoints ?? 0
      const seconds = Math.min(2 ** (begun + 1), longestPause)
      try {
        await pause.consume(key, 1, { customDuration: seconds })
      } catch (refusal) {
        throw refusal instanceof RateLimiterRes ? tooMany(refusal, free) : refusal
      }
      await pauses.consume(key)
      // whoever is judged now has begun this pause, and may end it
      return { takeBack: async () => void (await Promise.all([uncount(), pauses.reward(key, 1), pause.delete(key)])) }
    },

    async forgive(name, plainKey) {
      const key = hashed(plainKey)
      await Promise.all(Object.values(countersOf(name)).map((counter: RateLimiterAbstract) => counter.delete(key)))
    },
  }
}

/** Keys name accounts and addresses of people: Redis is not to hold them, be it for a day. */
const hashed = (key: string): string => createHash('sha256').update(key).digest('base64url')

function tooMany({ msBeforeNext }: RateLimiterRes, limit: number): AppError {
  const retryAfterSeconds = Math.max(1, Math.ceil(msBeforeNext / 1000))
  return new AppError('rate_limited', `Too many attempts: try again in ${retryAfterSeconds} s.`, {
    details: { retryAfterSeconds, limit, remaining: 0 },
  })
}
