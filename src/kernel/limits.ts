/**
 * Every rate limit in one table: `points` requests in any `seconds`, counted per user, or per address where there is no
 * user yet. Shared by all nodes through Redis; `RATE_LIMITS=off` turns them off for load tests.
 */
export const limits = {
  register: { points: 20, seconds: 3600 },
  login: { points: 30, seconds: 300 },
  refresh: { points: 60, seconds: 60 },
  connect: { points: 60, seconds: 60 },
  account: { points: 120, seconds: 60 },
  user_search: { points: 60, seconds: 60 },
  conversation_create: { points: 60, seconds: 60 },
  participants: { points: 600, seconds: 60 },
  send: { points: 600, seconds: 60 },
  change: { points: 600, seconds: 60 },
  read: { points: 1200, seconds: 60 },
  search: { points: 60, seconds: 60 },
  sync: { points: 240, seconds: 60 },
  signal: { points: 1200, seconds: 60 },
} as const satisfies Record<string, { points: number; seconds: number }>

export type LimitName = keyof typeof limits
