import type { Logger } from 'pino'
import { AppError, notFound } from '../kernel/errors.ts'
import type { Context, UserContext } from '../kernel/operation.ts'
import type { OpenIdClient, OpenIdProvider } from '../kernel/ports.ts'
import { CookieRefusal, Reply, type ReplyCookie } from '../kernel/reply.ts'
import type { Identity } from './external-logins.contract.ts'
import type { ExternalLogins } from './external-logins.service.ts'
import { personOfOpenId } from './external-person.ts'
import type { Session } from './identity.contract.ts'
import type { Flow, FlowCookies } from './openid-flow.ts'
import { refreshCookie, withRefreshCookie } from './refresh-cookie.ts'

/** What goes into the cookie beside it is short: so a few flows fit into the header of a request. */
const maxRedirect = 1500

interface OpenIdLoginsDependencies {
  providers: readonly OpenIdProvider[]
  openId: OpenIdClient
  externalLogins: ExternalLogins
  flows: FlowCookies
  publicUrl: string
  corsOrigins: readonly string[]
  log: Logger
}

interface Begin {
  provider: string
  redirectTo?: string | undefined
}

interface Link extends Begin {
  password?: string | undefined
}

export type OpenIdLogins = ReturnType<typeof createOpenIdLogins>

/**
 * Takes a browser to a provider and back. Always holds: a flow ends in the browser that began it, its cookie goes with its
 * end, and no token ever stands in an address.
 */
export function createOpenIdLogins(deps: OpenIdLoginsDependencies) {
  const { openId, externalLogins, flows, log } = deps
  const providers = new Map(deps.providers.map((provider) => [provider.name, provider]))
  const base = deps.publicUrl.replace(/\/+$/, '')
  // `*` is no origin: that any page may ask does not make it one to lead people to
  const origins = new Set([new URL(base).origin, ...deps.corsOrigins])

  const redirectUri = ({ name }: OpenIdProvider): string => `${base}/v1/auth/oauth/${name}/callback`

  /** @throws AppError not_found */
  function find(name: string): OpenIdProvider {
    const provider = providers.get(name)
    if (!provider) throw notFound('provider')
    return provider
  }

  /** @throws AppError invalid_request where the page is not one of ours */
  function ownPage(redirectTo: string | undefined): string | undefined {
    if (redirectTo === undefined) return undefined
    const url = URL.parse(redirectTo)
    const isOwn = url !== null && origins.has(url.origin) && url.username === '' && url.password === ''
    if (!isOwn || url.href.length > maxRedirect) throw notOwnPage()
    return url.href
  }

  async function begin(
    { provider: name, redirectTo: page }: Begin,
    context: Context,
    link?: Flow['link'],
  ): Promise<{ url: string; cookies: ReplyCookie[] }> {
    const provider = find(name)
    const redirectTo = ownPage(page)
    const { url, checks } = await openId.begin(provider, redirectUri(provider))
    return { url, cookies: flows.keep({ provider: name, checks, redirectTo, link }, context) }
  }

  /** Leads the browser to the provider, to log in. */
  async function login(input: Begin, context: Context): Promise<Reply<never>> {
    try {
      const { url, cookies } = await begin(input, context)
      return leadTo(url, cookies)
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'upstream_failed' || input.redirectTo === undefined)
        throw error
      // it was checked before the provider was asked
      return failedTo(input.redirectTo, error, [], context)
    }
  }

  /**
   * Where to lead the browser to, for an identity that is to be linked to the user of this login. What it takes is proved
   * here, where one can be asked for a password; the flow carries that it was.
   * @throws AppError unauthenticated without proof, rate_limited, not_found, upstream_failed
   */
  async function link({ password, ...input }: Link, context: UserContext): Promise<Reply<{ url: string }>> {
    const { userId, sessionId } = context.actor
    const proof = await externalLogins.prove(context.actor, password)
    const { url, cookies } = await begin(input, context, { userId, sessionId, proof })
    return new Reply({ url }, { cookies })
  }

  /**
   * Ends the flow that the browser brings back: a login, or an identity linked to the login that began it.
   * @throws AppError unauthenticated where this browser did not begin it, and what the parts of it throw
   */
  async function finish(
    { provider: name, ...parameters }: { provider: string } & Record<string, string | undefined>,
    context: Context,
  ): Promise<Reply<Session | Identity>> {
    const provider = find(name)
    const flow = flows.find(parameters.state, context)
    if (flow?.provider !== name) throw notBegunHere()
    const ending = [flows.end(flow)]
    try {
      const claims = await openId.finish(provider, {
        redirectUri: redirectUri(provider),
        parameters: given(parameters),
        checks: flow.checks,
      })
      const person = personOfOpenId(provider, claims)
      return flow.link
        ? linked(await externalLogins.link(flow.link, flow.link.proof, person), flow, ending)
        : loggedIn(await externalLogins.login(person, context), flow, ending, context)
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      if (flow.redirectTo === undefined) throw new CookieRefusal(error, ending)
      return failedTo(flow.redirectTo, error, ending, context)
    }
  }

  function loggedIn(session: Session, { redirectTo }: Flow, ending: ReplyCookie[], context: Context): Reply<Session> {
    if (redirectTo !== undefined) return leadTo(redirectTo, [refreshCookie(session.refreshToken), ...ending])
    const answer = withRefreshCookie(session, context)
    const { data, options } = answer instanceof Reply ? answer : new Reply(answer, {})
    return new Reply(data, { ...options, cookies: [...(options.cookies ?? []), ...ending] })
  }

  const linked = (identity: Identity, { redirectTo }: Flow, cookies: ReplyCookie[]): Reply<Identity> =>
    redirectTo === undefined ? new Reply(identity, { cookies }) : leadTo(redirectTo, cookies)

  /** Nobody reads an answer on the way back to a page: the page is told the code, the log what lies behind it. */
  function failedTo(
    page: string,
    { code, message, details, cause }: AppError,
    cookies: ReplyCookie[],
    { requestId }: Context,
  ): Reply<never> {
    if (cause !== undefined) log.warn({ err: cause, requestId, code }, message)
    const url = new URL(page)
    url.searchParams.set('error', typeof details?.reason === 'string' ? details.reason : code)
    return leadTo(url.href, cookies)
  }

  return { login, link, finish }
}

/** A redirect has no body, and so no data. */
const leadTo = (url: string, cookies: ReplyCookie[]): Reply<never> =>
  new Reply(undefined as never, { status: 302, headers: { Location: url }, cookies })

const given = (parameters: Record<string, string | undefined>): Record<string, string> =>
  Object.fromEntries(Object.entries(parameters).filter((entry): entry is [string, string] => entry[1] !== undefined))

const notBegunHere = () =>
  new AppError('unauthenticated', 'This login was not begun in this browser, or too long ago. Begin it again.')

function notOwnPage(): AppError {
  const message = 'must be a page of the public URL or of an origin in CORS_ORIGINS'
  return new AppError('invalid_request', `redirectTo: ${message}`, { errors: [{ path: 'redirectTo', message }] })
}
