import type { Session, Tokens } from '../identity/identity.contract.ts'
import type { ErrorCode } from '../kernel/errors.ts'
import { createEmitter, type Emitter } from './emitter.ts'
import { ApiError } from './http.ts'
import { type KeyValueStorage, memoryStorage, storedValue } from './storage.ts'

/** Renewed at this part of its life, so that a slow or failed renewal still leaves time for another. */
const renewAt = 0.8
/** An access token with less than this left, in milliseconds (or a tenth of its life), is renewed before it is used. */
const marginMs = 30_000

interface Login {
  userId: string
  accessToken: string
  refreshToken?: string | undefined
  /** By this device's clock, in milliseconds: only the span between the two counts, so a wrong clock does no harm. */
  issuedAt: number
  expiresAt: number
}

export interface SignedOut {
  code: ErrorCode
  message: string
}

export interface TokenHolder extends Pick<Emitter<{ renewed: string; signedOut: SignedOut }>, 'on'> {
  /** Whose login is held, in memory or in the storage; undefined = signed out. */
  userId(): Promise<string | undefined>
  /** An access token with some life left, or undefined when signed out. Throws {@link ApiError} where renewing failed. */
  access(): Promise<string | undefined>
  /**
   * Another access token than `stale`. Callers at the same time share one request. A refusal by the server ends the
   * login. Throws {@link ApiError}.
   */
  refresh(stale: string): Promise<string>
  /** Milliseconds until the access token should be renewed; undefined when signed out. */
  renewalDueMs(): number | undefined
  begin(session: Session): Promise<void>
  end(reason: SignedOut): Promise<void>
}

/**
 * Holds the one login of a client. What always holds: a refresh token is traded at most once by this holder, since the
 * server takes a second use for theft; tabs that share a storage take over each other's new tokens.
 */
export function createTokens(deps: {
  storage?: KeyValueStorage
  refresh(refreshToken: string | undefined): Promise<Tokens>
  now?: () => number
}): TokenHolder {
  const { now = Date.now } = deps
  const stored = storedValue<Login>(deps.storage ?? memoryStorage(), 'kintsugi.login')
  const events = createEmitter<{ renewed: string; signedOut: SignedOut }>()
  let login: Login | undefined
  let renewing: Promise<string> | undefined

  async function load(): Promise<Login | undefined> {
    login ??= await stored.read()
    return login
  }

  function keep(userId: string, tokens: Tokens): Promise<void> {
    const issuedAt = now()
    const { accessToken, refreshToken } = tokens
    login = { userId, accessToken, refreshToken, issuedAt, expiresAt: issuedAt + tokens.expiresIn * 1000 }
    return stored.write(login)
  }

  function isExpiring({ issuedAt, expiresAt }: Login): boolean {
    return now() >= expiresAt - Math.min(marginMs, (expiresAt - issuedAt) / 10)
  }

  async function end(reason: SignedOut): Promise<void> {
    if (!(await load())) return
    login = undefined
    await stored.write(undefined)
    events.emit('signedOut', reason)
  }

  async function renew(stale: string): Promise<string> {
    const elsewhere = await stored.read()
    if (login && elsewhere?.userId === login.userId && elsewhere.accessToken !== login.accessToken) {
      login = elsewhere
      events.emit('renewed', login.accessToken)
    }
    const before = login
    if (!before) throw new ApiError(401, { code: 'unauthenticated', detail: 'You are not signed in.' })
    if (before.accessToken !== stale && !isExpiring(before)) return before.accessToken
    try {
      const tokens = await deps.refresh(before.refreshToken)
      if (login !== before) throw new ApiError(401, { code: 'unauthenticated', detail: 'The login has changed.' })
      await keep(before.userId, tokens)
      events.emit('renewed', tokens.accessToken)
      return tokens.accessToken
    } catch (error) {
      const isRefused = error instanceof ApiError && (error.status === 401 || error.status === 403)
      if (isRefused && login === before) await end({ code: error.code, message: error.message })
      throw error
    }
  }

  function refresh(stale: string): Promise<string> {
    renewing ??= renew(stale).finally(() => {
      renewing = undefined
    })
    return renewing
  }

  return {
    on: events.on,
    refresh,
    end,
    userId: async () => (await load())?.userId,
    async access() {
      const held = await load()
      if (!held) return undefined
      return isExpiring(held) ? refresh(held.accessToken) : held.accessToken
    },
    renewalDueMs() {
      if (!login) return undefined
      return Math.max(0, login.issuedAt + (login.expiresAt - login.issuedAt) * renewAt - now())
    },
    begin: (session) => keep(session.user.id, session),
  }
}
