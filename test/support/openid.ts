import assert from 'node:assert/strict'
import { createPrivateKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import { parseSetCookie } from 'cookie'
import jwt from 'jsonwebtoken'
import Provider, { type Configuration } from 'oidc-provider'
import type { OpenIdProvider } from '../../src/kernel/ports.ts'
import { freePort } from './server.ts'

/** What a provider says of a person. */
export interface Told {
  email?: string
  email_verified?: boolean
  name?: string
  preferred_username?: string
  picture?: string
  locale?: string
}

/** What becomes of an ID token on its way. */
export interface Distortion {
  claims?: Record<string, unknown>
  /** `foreign`: by a key that is not the provider's; `none`: not at all. */
  signedBy?: 'foreign' | 'none'
}

export interface TestProvider {
  /** As the server's configuration has it. */
  provider: OpenIdProvider
  /** The variables that tell a server of it. */
  env: Record<string, string>
  /** Who has an account there, by the name that `login_hint` chooses them by. */
  people: Map<string, Told>
  /** How ID tokens are made from now on; none: as they should be. */
  distort(distortion: Distortion | undefined): void
  /** From now on requests are taken and not answered. */
  stall(): void
  /** Closes its port. */
  stop(): Promise<void>
  /** Opens it again, or ends a stall. */
  resume(): Promise<void>
  close(): Promise<void>
}

/** With this `login_hint` the person refuses. */
export const refuser = 'refuser'

const newKey = (kid: string) => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  return { ...privateKey.export({ format: 'jwk' }), kid, alg: 'RS256', use: 'sig' }
}

/**
 * An OpenID Connect provider on loopback: oidc-provider, with logins that ask nothing. It takes each `login_hint` for the
 * person of that name, demands PKCE, and knows one client. `terse`: what it says of people is in the user info alone, as
 * at Kakao, and the client's secret travels in the header.
 */
export async function startProvider(options: {
  name: string
  publicUrl: string
  terse?: boolean
}): Promise<TestProvider> {
  const { name, publicUrl, terse = false } = options
  const port = await freePort()
  const issuer = `http://127.0.0.1:${port}`
  const clientSecret = randomBytes(24).toString('hex')
  const people = new Map<string, Told>()
  const key = newKey('own')
  const foreignKey = newKey('own')
  let distortion: Distortion | undefined
  let stalled = false

  const configuration: Configuration = {
    clients: [
      {
        client_id: 'kintsugi',
        client_secret: clientSecret,
        redirect_uris: [`${publicUrl}/v1/auth/oauth/${name}/callback`],
        token_endpoint_auth_method: terse ? 'client_secret_basic' : 'client_secret_post',
      },
    ],
    clientAuthMethods: [terse ? 'client_secret_basic' : 'client_secret_post'],
    jwks: { keys: [key] },
    cookies: { keys: [randomBytes(16).toString('hex')] },
    claims: { email: ['email', 'email_verified'], profile: ['name', 'preferred_username', 'picture', 'locale'] },
    conformIdTokenClaims: terse,
    pkce: { required: () => true },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_ctx, { uid }) => `/interaction/${uid}` },
    findAccount: async (_ctx, sub) => ({ accountId: sub, claims: async () => ({ ...people.get(sub), sub }) }),
    // everyone has agreed to everything
    async loadExistingGrant({ oidc }) {
      const known = oidc.session!.grantIdFor(oidc.client!.clientId)
      if (known !== undefined) return oidc.provider.Grant.find(known)
      const grant = new oidc.provider.Grant({ clientId: oidc.client!.clientId, accountId: oidc.session!.accountId! })
      grant.addOIDCScope('openid email profile')
      await grant.save()
      return grant
    },
    ttl: { AccessToken: 600, AuthorizationCode: 60, Grant: 600, IdToken: 600, Interaction: 600, Session: 600 },
  }
  const provider = new Provider(issuer, configuration)
  provider.use(async (ctx, next) => {
    await next()
    const body = ctx.body as { id_token?: string } | undefined
    if (ctx.path === '/token' && body?.id_token && distortion) body.id_token = distorted(body.id_token, distortion)
  })

  function distorted(idToken: string, { claims, signedBy }: Distortion): string {
    const payload = { ...(jwt.decode(idToken) as object), ...claims }
    if (signedBy === 'none') return jwt.sign(payload, '', { algorithm: 'none' })
    const signing = createPrivateKey({ key: signedBy === 'foreign' ? foreignKey : key, format: 'jwk' })
    return jwt.sign(payload, signing, { algorithm: 'RS256', keyid: 'own' })
  }

  const handle = provider.callback()
  async function interact(...[req, res]: Parameters<RequestListener>): Promise<void> {
    const { params } = await provider.interactionDetails(req, res)
    const accountId = String(params.login_hint)
    const result = accountId === refuser ? { error: 'access_denied' } : { login: { accountId } }
    await provider.interactionFinished(req, res, result, { mergeWithLastSubmission: false })
  }
  let server: Server
  async function start(): Promise<void> {
    server = createServer((req, res) => {
      if (stalled) return
      if (req.url?.startsWith('/interaction/')) void interact(req, res)
      else void handle(req, res)
    }).listen(port, '127.0.0.1')
    await once(server, 'listening')
  }
  async function stop(): Promise<void> {
    if (!server.listening) return
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }
  await start()

  const variable = (part: string) => `OPENID_${name.toUpperCase()}_${part}`
  const label = `${name} of the test`
  return {
    provider: { name, label, issuer, clientId: 'kintsugi', clientSecret, scope: 'openid email profile' },
    env: {
      [variable('ISSUER')]: issuer,
      [variable('CLIENT_ID')]: 'kintsugi',
      [variable('CLIENT_SECRET')]: clientSecret,
      [variable('LABEL')]: label,
    },
    people,
    distort: (next) => {
      distortion = next
    },
    stall: () => {
      stalled = true
    },
    stop,
    async resume() {
      stalled = false
      if (!server.listening) await start()
    },
    close: stop,
  }
}

export interface Browser {
  /** One request with the cookies that belong to it; redirects are not followed. */
  request(url: string, init?: RequestInit): Promise<Response>
  /**
   * Goes to an address as that person and follows redirects until one leads to an address that begins with `until`, which
   * is given and not visited.
   */
  followTo(until: string, url: string, person: string): Promise<string>
  /** The cookies of that host, by name. */
  cookies(host: string): Map<string, string>
  /** Puts a cookie there that no answer has set. */
  plant(host: string, path: string, name: string, value: string): void
}

/** A browser as far as it matters here: cookies by host and path. */
export function createBrowser(): Browser {
  const jar: { host: string; path: string; name: string; value: string }[] = []

  function keep(url: URL, header: string): void {
    const { name, value = '', path = '/', maxAge, expires } = parseSetCookie(header)
    const at = jar.findIndex((one) => one.host === url.host && one.path === path && one.name === name)
    const isGone = maxAge === 0 || (expires !== undefined && expires.getTime() <= Date.now())
    const cookies = isGone ? [] : [{ host: url.host, path, name, value }]
    if (at === -1) jar.push(...cookies)
    else jar.splice(at, 1, ...cookies)
  }

  async function request(address: string, init: RequestInit = {}): Promise<Response> {
    const url = new URL(address)
    const sent = jar.filter(
      ({ host, path }) => host === url.host && `${url.pathname}/`.startsWith(path.replace(/\/?$/, '/')),
    )
    const cookie = sent.map(({ name, value }) => `${name}=${value}`).join('; ')
    const response = await fetch(url, {
      redirect: 'manual',
      ...init,
      headers: { ...(init.headers as object), ...(cookie && { cookie }) },
    })
    for (const header of response.headers.getSetCookie()) keep(url, header)
    return response
  }

  return {
    request,
    async followTo(until, start, person) {
      let url = start
      for (let hops = 0; hops < 10; hops++) {
        if (url.startsWith(until)) return url
        const address = new URL(url)
        if (address.searchParams.has('client_id')) address.searchParams.set('login_hint', person)
        const response = await request(address.href)
        const location = response.headers.get('location')
        assert.ok(location, `${url} leads nowhere: ${response.status} ${await response.text()}`)
        url = new URL(location, address).href
      }
      return assert.fail(`${start} leads nowhere`)
    },
    cookies: (host) => new Map(jar.filter((one) => one.host === host).map(({ name, value }) => [name, value])),
    plant: (host, path, name, value) => void jar.push({ host, path, name, value }),
  }
}
