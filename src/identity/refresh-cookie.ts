import { AppError } from '../kernel/errors.ts'
import type { Context } from '../kernel/operation.ts'
import { CookieRefusal, Reply, type ReplyCookie } from '../kernel/reply.ts'
import { refreshTokenDays } from './sessions.service.ts'

const name = 'kintsugi_refresh'

/** For the documents: how a caller asks for the cookie, and names its device. */
export const cookieHeader = {
  'X-Refresh-Cookie': '`1`: the refresh token travels in an HttpOnly cookie in place of the body.',
} as const
export const loginHeaders = {
  ...cookieHeader,
  'X-Device-Name': 'What the list of logins calls this device: up to 64 characters, percent-encoded UTF-8.',
} as const

/**
 * The refresh token in a cookie, out of reach of scripts, for callers that send `X-Refresh-Cookie: 1`. A foreign page can
 * make a browser use it for nothing:
 *
 * - a Strict cookie is left out of whatever another site begins, forms and links included;
 * - a page can set the header only by a script, and a script of another origin has to ask first (CORS): allowed are the
 *   origins of `CORS_ORIGINS`, and where that is `*`, without cookies;
 * - the cookie alone, without the header, is neither read nor set nor taken away. So a form that a neighbour on the same
 *   site posts, to which the browser does add the cookie, does nothing either.
 *
 * It is sent to the addresses of logins and to no others.
 */
const wantsRefreshCookie = ({ request }: Context): boolean => request?.header('x-refresh-cookie') === '1'

/** The cookie with a token, or the one that takes it away. */
export const refreshCookie = (refreshToken?: string): ReplyCookie => ({
  name,
  path: '/v1/auth',
  sameSite: 'strict',
  ...(refreshToken !== undefined && { value: refreshToken, maxAgeSeconds: refreshTokenDays * 86_400 }),
})

/** Moves the refresh token of an answer into the cookie, where the caller asks for that. */
export function withRefreshCookie<T extends { refreshToken?: string | undefined }>(
  data: T,
  context: Context,
): T | Reply<T> {
  if (!wantsRefreshCookie(context) || data.refreshToken === undefined) return data
  const { refreshToken, ...rest } = data
  return new Reply(rest as T, { cookies: [refreshCookie(refreshToken)] })
}

/** Takes the cookie away with the answer, where the caller asks for that. */
export const withoutRefreshCookie = <T>(data: T, context: Context): T | Reply<T> =>
  wantsRefreshCookie(context) ? new Reply(data, { cookies: [refreshCookie()] }) : data

/**
 * The token to trade: that of the body or, where the caller asks for that, of the cookie. The body comes first: it is
 * what the caller meant, while the browser adds a cookie unasked; and so a client may move its token into the cookie
 * even where an old one is left there, which no script can remove.
 * @throws AppError invalid_request; unauthenticated where the cookie is missing, since no script can know that beforehand
 */
export function presentedToken(fromBody: string | undefined, context: Context): string {
  const byCookie = wantsRefreshCookie(context)
  const token = fromBody ?? (byCookie ? context.request?.cookie(name) : undefined)
  if (token) return token
  if (byCookie) throw new AppError('unauthenticated', 'There is no refresh token in the cookie. Log in.')
  throw new AppError('invalid_request', 'The refresh token is missing.', {
    errors: [{ path: 'refreshToken', message: 'is required' }],
  })
}

/** Does the work; where it finds that the login has ended, the cookie goes with it, or each further visit would bring it. */
export async function droppingRefusedCookie<T>(context: Context, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const isEnded = error instanceof AppError && (error.code === 'unauthenticated' || error.code === 'banned')
    throw isEnded && wantsRefreshCookie(context) ? new CookieRefusal(error, [refreshCookie()]) : error
  }
}
