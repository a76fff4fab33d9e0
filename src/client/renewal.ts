import { ApiError } from './http.ts'
import type { TokenHolder } from './tokens.ts'

const longestTimerMs = 2 ** 31 - 1
/** After a renewal that failed for a passing reason. */
const retryMs = 5000

export interface TokenRenewal {
  /** The token for a handshake. `isTokenExpired`: the server has just refused the one before. */
  auth(isTokenExpired: boolean): Promise<{ token: string }>
  /** Begins to renew in time, and gives each newer token to the socket. */
  start(): void
  stop(): void
}

/** Lets a socket outlive its access token: the server closes it at the expiry of the last one that it was given. */
export function createTokenRenewal(tokens: TokenHolder, give: (token: string) => void): TokenRenewal {
  /** What the server has of the socket. */
  let given: string | undefined
  let isRunning = false
  let timer: ReturnType<typeof setTimeout> | undefined

  function renewIn(ms: number): void {
    clearTimeout(timer)
    // A little early and random: whoever signed in together need not renew together.
    if (isRunning) timer = setTimeout(renew, Math.min(ms * (0.9 + Math.random() / 10), longestTimerMs))
  }

  async function renew(): Promise<void> {
    try {
      take(await tokens.refresh(given ?? ''))
    } catch {
      // A refusal has ended the login by now; anything else may pass before the token expires.
      renewIn(retryMs)
    }
  }

  function take(token: string): void {
    if (!isRunning) return
    renewIn(tokens.renewalDueMs() ?? longestTimerMs)
    if (token === given) return
    given = token
    give(token)
  }

  tokens.on('renewed', take)

  return {
    async auth(isTokenExpired) {
      const token = isTokenExpired && given !== undefined ? await tokens.refresh(given) : await tokens.access()
      if (token === undefined) throw new ApiError(401, { code: 'unauthenticated', detail: 'You are not signed in.' })
      given = token
      return { token }
    },
    start() {
      isRunning = true
      renewIn(tokens.renewalDueMs() ?? longestTimerMs)
    },
    stop() {
      isRunning = false
      clearTimeout(timer)
    },
  }
}
