import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { z } from 'zod'
import type { Context } from '../kernel/operation.ts'
import type { OpenIdChecks } from '../kernel/ports.ts'
import type { ReplyCookie } from '../kernel/reply.ts'
import type { Proof } from './fresh-proof.ts'

/** People find their password and their second factor in that time; after it, a login has to begin anew. */
const lifeSeconds = 600
/** As many as fit into the header of a request; with another one, the one that was begun first goes. */
const maxFlows = 3
const prefix = 'kintsugi_openid_'
const stateLength = 16
const cipher = 'aes-256-gcm'
const ivBytes = 12
const tagBytes = 16

const id = z.string()
const schema = z.object({
  provider: z.string(),
  checks: z.object({ state: z.string(), nonce: z.string(), codeVerifier: z.string() }),
  redirectTo: z.string().optional(),
  link: z.object({ userId: id, sessionId: id, proof: z.object({ passwordDigest: z.string().nullable() }) }).optional(),
  /** Milliseconds since 1970. */
  until: z.number(),
})

/** A login at a provider that is under way. */
export interface Flow {
  provider: string
  checks: OpenIdChecks
  /** The page of ours that it leads back to. */
  redirectTo?: string | undefined
  /** The login that the identity is to be linked to, with what was proved before; without it, this is a login. */
  link?: { userId: string; sessionId: string; proof: Proof } | undefined
}

export type FlowCookies = ReturnType<typeof createFlowCookies>

/**
 * Keeps flows in cookies of the browser that began them: nobody else can finish one, so nobody can have a browser log in
 * as somebody else (RFC 6749, section 10.12), and any node can finish what another began. Lax, since the provider leads
 * back from its own site; sealed by a key of their own, since what is inside is the server's word. One cookie a flow,
 * named by the beginning of its state, so that two tabs can log in at once.
 */
export function createFlowCookies(secret: string) {
  const key = Buffer.from(hkdfSync('sha256', secret, '', 'kintsugi openid flow', 32))

  function seal(text: string): string {
    const iv = randomBytes(ivBytes)
    const sealing = createCipheriv(cipher, key, iv)
    const sealed = Buffer.concat([sealing.update(text, 'utf8'), sealing.final()])
    return Buffer.concat([iv, sealing.getAuthTag(), sealed]).toString('base64url')
  }

  /** @throws where it was not sealed by this key */
  function unseal(value: string): string {
    const bytes = Buffer.from(value, 'base64url')
    const opening = createDecipheriv(cipher, key, bytes.subarray(0, ivBytes), { authTagLength: tagBytes })
    opening.setAuthTag(bytes.subarray(ivBytes, ivBytes + tagBytes))
    return Buffer.concat([opening.update(bytes.subarray(ivBytes + tagBytes)), opening.final()]).toString('utf8')
  }

  return {
    /** The cookie that keeps a flow, and those that make room for it. */
    keep(flow: Flow, context: Context): ReplyCookie[] {
      const value = seal(JSON.stringify({ ...flow, until: Date.now() + lifeSeconds * 1000 }))
      const kept = { ...cookie(nameOf(flow.checks.state)), value, maxAgeSeconds: lifeSeconds }
      // browsers send the oldest first (RFC 6265, section 5.4)
      const others = namesIn(context).filter((name) => name !== kept.name)
      return [...others.slice(0, Math.max(0, others.length + 1 - maxFlows)).map(cookie), kept]
    },

    /** The flow of that state; undefined where this browser did not begin it, or too long ago. */
    find(state: string | undefined, context: Context): Flow | undefined {
      if (state === undefined || !/^[\w-]{20,200}$/.test(state)) return undefined
      const value = context.request?.cookie(nameOf(state))
      if (value === undefined) return undefined
      try {
        const { until, ...flow } = schema.parse(JSON.parse(unseal(value)))
        return until > Date.now() && flow.checks.state === state ? flow : undefined
      } catch {
        return undefined
      }
    },

    /** Takes the flow's cookie away. */
    end: (flow: Flow): ReplyCookie => cookie(nameOf(flow.checks.state)),
  }
}

const cookie = (name: string): ReplyCookie => ({ name, path: '/v1/auth/oauth', sameSite: 'lax' })

const nameOf = (state: string): string => prefix + state.slice(0, stateLength)

const namesIn = ({ request }: Context): string[] =>
  [...(request?.header('cookie') ?? '').matchAll(/(?:^|; *)(kintsugi_openid_[\w-]{16})=/g)].map(
    ([, name]) => name ?? '',
  )
