import {
  AuthorizationResponseError,
  allowInsecureRequests,
  authorizationCodeGrant,
  buildAuthorizationUrl,
  type ClientAuth,
  ClientError,
  ClientSecretBasic,
  ClientSecretPost,
  type Configuration,
  calculatePKCECodeChallenge,
  discovery,
  enableNonRepudiationChecks,
  fetchUserInfo,
  ResponseBodyError,
  randomNonce,
  randomPKCECodeVerifier,
  randomState,
} from 'openid-client'
import { z } from 'zod'
import { AppError } from '../kernel/errors.ts'
import type { OpenIdClaims, OpenIdClient, OpenIdProvider } from '../kernel/ports.ts'

/** For each request to a provider. */
const timeoutSeconds = 10
/** What a provider says of its addresses is asked for anew after that; its keys are, whenever one is not known. */
const discoveryLifeMs = 3_600_000

/**
 * Builds logins at OpenID Connect providers by openid-client. What it checks of an answer: state, issuer, PKCE, and of the
 * ID token signature, algorithm, issuer, audience, nonce and times. A discovery that failed is tried again by the next
 * login; one that is under way is shared.
 */
export function createOpenIdClient(): OpenIdClient {
  const discoveries = new Map<string, { configuration: Promise<Configuration>; until: number }>()

  function discovered(provider: OpenIdProvider): Promise<Configuration> {
    const known = discoveries.get(provider.name)
    if (known && known.until > Date.now()) return known.configuration
    const configuration = discover(provider).catch((error: unknown) => {
      throw upstreamFailed(provider, error)
    })
    const begun = { configuration, until: Date.now() + discoveryLifeMs }
    discoveries.set(provider.name, begun)
    configuration.catch(() => {
      if (discoveries.get(provider.name) === begun) discoveries.delete(provider.name)
    })
    return configuration
  }

  return {
    async begin(provider, redirectUri) {
      const configuration = await discovered(provider)
      const checks = { state: randomState(), nonce: randomNonce(), codeVerifier: randomPKCECodeVerifier() }
      const url = buildAuthorizationUrl(configuration, {
        redirect_uri: redirectUri,
        scope: provider.scope,
        state: checks.state,
        nonce: checks.nonce,
        code_challenge: await calculatePKCECodeChallenge(checks.codeVerifier),
        code_challenge_method: 'S256',
      })
      return { url: url.href, checks }
    },

    async finish(provider, { redirectUri, parameters, checks }) {
      const configuration = await discovered(provider)
      const answer = new URL(redirectUri)
      answer.search = new URLSearchParams(parameters).toString()
      try {
        const tokens = await authorizationCodeGrant(configuration, answer, {
          expectedState: checks.state,
          expectedNonce: checks.nonce,
          pkceCodeVerifier: checks.codeVerifier,
        })
        const claims = claimsSchema.parse(tokens.claims())
        return toClaims(claims, await userInfo(configuration, tokens.access_token, claims))
      } catch (error) {
        throw refusal(provider, error)
      }
    },
  }
}

function discover({ issuer, clientId, clientSecret }: OpenIdProvider): Promise<Configuration> {
  // by what the provider takes; the standard of OpenID Connect Discovery, where it does not say, is Basic
  const clientAuth: ClientAuth = (server, ...request) => {
    const byPost = server.token_endpoint_auth_methods_supported?.includes('client_secret_post')
    return (byPost ? ClientSecretPost(clientSecret) : ClientSecretBasic(clientSecret))(server, ...request)
  }
  const url = new URL(issuer)
  return discovery(url, clientId, undefined, clientAuth, {
    timeout: timeoutSeconds,
    // a signed ID token counts by its signature, however it came here
    execute: [enableNonRepudiationChecks, ...(isLoopback(url) ? [allowInsecureRequests] : [])],
  })
}

/** Only to this machine itself a secret may travel without TLS. */
const isLoopback = ({ hostname }: URL): boolean =>
  hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname)

const optionalText = z.string().optional().catch(undefined)

const claimsSchema = z.object({
  sub: z.string().regex(/^[\x20-\x7e]{1,255}$/),
  email: optionalText,
  // some providers write it as a text
  email_verified: z
    .union([z.boolean(), z.enum(['true', 'false']).transform((value) => value === 'true')])
    .optional()
    .catch(undefined),
  preferred_username: optionalText,
  name: optionalText,
  nickname: optionalText,
  picture: optionalText,
  locale: optionalText,
})

type Claims = z.output<typeof claimsSchema>

/** The rest of what the provider says, where it keeps that out of the ID token, as Kakao does `email_verified`. */
async function userInfo(
  configuration: Configuration,
  accessToken: string,
  { sub, email_verified }: Claims,
): Promise<Claims | undefined> {
  if (email_verified !== undefined || !configuration.serverMetadata().userinfo_endpoint) return undefined
  return claimsSchema.parse(await fetchUserInfo(configuration, accessToken, sub))
}

function toClaims(idToken: Claims, info: Claims | undefined): OpenIdClaims {
  // an address counts as verified only by the word of whoever named it
  const address = info?.email === undefined ? idToken : info
  const all = { ...idToken, ...defined(info ?? {}) }
  return {
    subject: idToken.sub,
    email: address.email,
    emailVerified: address.email_verified === true,
    username: all.preferred_username,
    name: all.name ?? all.nickname,
    picture: all.picture,
    locale: all.locale,
  }
}

const defined = <T extends object>(fields: T): Partial<T> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T>

/** Codes of openid-client for an answer that came, and that proves nothing. */
const invalidAnswers: ReadonlySet<string | undefined> = new Set([
  'OAUTH_INVALID_RESPONSE',
  'OAUTH_JWT_CLAIM_COMPARISON_FAILED',
  'OAUTH_JWT_TIMESTAMP_CHECK_FAILED',
  'OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED',
  'OAUTH_KEY_SELECTION_FAILED',
  'OAUTH_UNSUPPORTED_OPERATION',
])

function refusal(provider: OpenIdProvider, error: unknown): AppError {
  if (error instanceof AuthorizationResponseError && error.error === 'access_denied')
    return new AppError('forbidden', `The login at ${provider.label} was refused.`, {
      details: { reason: 'access_denied' },
    })
  const invalid =
    (error instanceof ClientError && invalidAnswers.has(error.code)) ||
    (error instanceof ResponseBodyError && error.error === 'invalid_grant') ||
    error instanceof z.ZodError
  if (!invalid) return upstreamFailed(provider, error)
  return new AppError('unauthenticated', `The answer of ${provider.label} is not valid. Begin the login again.`, {
    cause: withoutSecrets(provider, error),
  })
}

const upstreamFailed = (provider: OpenIdProvider, error: unknown): AppError =>
  new AppError('upstream_failed', `${provider.label} does not answer as it should. Try again later.`, {
    cause: withoutSecrets(provider, error),
  })

/**
 * An error for the log. Those of openid-client carry the response that they complain of, tokens included: of these only
 * the library's own words are kept, down to the cause where it says which claim or which address it was.
 */
function withoutSecrets({ name }: OpenIdProvider, error: unknown): Error {
  if (error instanceof z.ZodError) return new Error(`${name}: the claims have no usable subject`)
  const told = [error, (error as { cause?: unknown } | undefined)?.cause].flatMap((link) => {
    if (!(link instanceof Error) || link instanceof SyntaxError) return []
    const { code, error: given } = link as { code?: unknown; error?: unknown }
    const codes = [code, given].filter((text) => typeof text === 'string' && /^\w{1,64}$/.test(text))
    return [[...codes, link.message].join(' ')]
  })
  return new Error(`${name}: ${told.join(': ')}`)
}
