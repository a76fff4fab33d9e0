import type { Context } from '../kernel/operation.ts'
import { Reply, type ReplyCookie } from '../kernel/reply.ts'
import { refreshTokenDays } from './sessions.service.ts'

const name = 'kintsugi_refresh'

/**
 * The refresh token in a cookie, out of reach of scripts, for callers that send `X-Refresh-Cookie: 1`. A foreign page can
 * make a browser use it for nothing: the browser leaves a Strict cookie out of requests that other sites begin; the
 * header makes every request from another origin ask first (CORS), and only the allowed origins are let through; and the
 * cookie alone, without the header, is never read. It is sent to the addresses of logins and to no others.
 */
export const wantsRefreshCookie = ({ request }: Context): boolean => request?.header('x-refresh-cookie') === '1'

/** The cookie with a token, or the one that takes it away. */
export const refreshCookie = (refreshToken?: string): ReplyCookie => ({
  name,
  path: '/v1/auth',
  sameSite: 'strict',
  ...(refreshToken !== undefined && { value: refreshToken, maxAgeSeconds: refreshTokenDays * 86_400 }),
})

/** The token that the caller has in a cookie, where the caller asks for that. */
export const tokenFromCookie = (context: Context): string | undefined =>
  wantsRefreshCookie(context) ? context.request?.cookie(name) : undefined

/** Moves the refresh token of an answer into the cookie, where the caller asks for that. */
export function withRefreshCookie<T extends { refreshToken?: string | undefined }>(
  data: T,
  context: Context,
): T | Reply<T> {
  if (!wantsRefreshCookie(context) || data.refreshToken === undefined) return data
  const { refreshToken, ...rest } = data
  return new Reply(rest as T, { cookies: [refreshCookie(refreshToken)] })
}
