type Headers = Record<string, string | string[] | undefined>

/**
 * Whether a page of this origin may open a socket: pages of the server itself, of the public URL and of the allowed
 * origins. Callers without an Origin are no browsers, and have no cookies that a page could borrow.
 */
export function createOriginCheck(config: { corsOrigins: readonly string[]; publicUrl: string | undefined }) {
  const allowed = new Set(config.corsOrigins)
  if (config.publicUrl) allowed.add(new URL(config.publicUrl).origin)
  return (origin: string | undefined, host: string | undefined): boolean =>
    origin === undefined ||
    allowed.has('*') ||
    allowed.has(origin) ||
    (host !== undefined && URL.parse(origin)?.host === host)
}

/**
 * The caller's address behind `hops` trusted proxies, each of which has added the address of its own peer to
 * X-Forwarded-For; what stands further left was claimed by the caller. The same rule as Express's `trust proxy`.
 */
export function callerAddress(headers: Headers, peer: string, hops: number): string {
  if (hops === 0) return peer
  const forwarded = [headers['x-forwarded-for'] ?? []].flat().join(',').split(',')
  const chain = [...forwarded.map((address) => address.trim()).filter((address) => address !== ''), peer]
  return chain[Math.max(0, chain.length - 1 - hops)] as string
}
