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
  /** What begins at another service, or with a code from a mail. */
  identity: { points: 30, seconds: 300 },
  staff: { points: 600, seconds: 60 },
  /** What begins a payment. */
  checkout: { points: 30, seconds: 300 },
  /** Reports of payment providers, which come from few addresses. */
  webhook: { points: 6000, seconds: 60 },
  user_search: { points: 60, seconds: 60 },
  conversation_create: { points: 60, seconds: 60 },
  participants: { points: 600, seconds: 60 },
  send: { points: 600, seconds: 60 },
  change: { points: 600, seconds: 60 },
  read: { points: 1200, seconds: 60 },
  search: { points: 60, seconds: 60 },
  sync: { points: 240, seconds: 60 },
  signal: { points: 1200, seconds: 60 },
  /** Messages that grow, as agents begin and end them. */
  stream: { points: 600, seconds: 60 },
  /** What agents add to them: 20 a second to each of five. */
  stream_append: { points: 6000, seconds: 60 },
  /** Answers that are stopped or asked for anew. */
  run: { points: 120, seconds: 60 },
  upload: { points: 120, seconds: 60 },
  /** What pages load, by address: a list of people has an image each. */
  media: { points: 6000, seconds: 60 },
  stories: { points: 600, seconds: 60 },
  /** Agents and their keys, as their owners manage them. */
  agents: { points: 120, seconds: 60 },
} as const satisfies Record<string, { points: number; seconds: number }>

export type LimitName = keyof typeof limits

/**
 * What may be guessed, and how often: after `free` attempts within `seconds` each further one waits, twice as long as the
 * one before, up to `longestPause` seconds. A pause per account and address hits the guesser and not the owner; the
 * ones per account alone are generous, since anyone can use them up for somebody else.
 */
export const guards = {
  /** A password, by account and address. */
  password: { free: 5, seconds: 86_400, longestPause: 900 },
  /** A password, by account from anywhere. */
  password_of_account: { free: 50, seconds: 3600, longestPause: 60 },
  /** Any account's password, by address. */
  password_from_address: { free: 40, seconds: 3600, longestPause: 900 },
  /** A one-time code or token, by account, or by address where there is no account. */
  code: { free: 10, seconds: 3600, longestPause: 900 },
  /** Mails that one can have sent to an address. */
  mail: { free: 3, seconds: 3600, longestPause: 1800 },
} as const satisfies Record<string, { free: number; seconds: number; longestPause: number }>

export type GuardName = keyof typeof guards
