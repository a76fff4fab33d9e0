import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import type { Clock } from '../kernel/clock.ts'
import type { MediaUrls, MediaVariant } from '../kernel/ports.ts'

/** Half of a SHA-256: 128 bits, which nobody guesses. */
const signatureBytes = 16

/** Of some 200 bytes each. */
const mostRemembered = 20_000

/** What an address says beside its signature. */
export interface SignedAddress {
  attachmentId: string
  variant: MediaVariant
  /** Until when it is good, in whole seconds since 1970. */
  expires: number
}

export interface Urls extends MediaUrls {
  /** For how many seconds the address is still good; undefined where it was forged or is over. */
  secondsLeft(address: SignedAddress, signature: string): number | undefined
}

/**
 * Signs addresses of media and verifies them. An address is a secret that ends by itself: whoever has it may fetch, and it
 * is given only to those who may see the attachment.
 */
export function createUrls(deps: {
  config: { publicUrl: string | undefined; secret: string; urlSeconds: number }
  clock: Clock
}): Urls {
  const { config, clock } = deps
  const key = Buffer.from(hkdfSync('sha256', config.secret, '', 'kintsugi media addresses', 32))
  const base = (config.publicUrl ?? '').replace(/\/+$/, '')
  /** So long is the same address given: what a browser has cached under it, it finds again. */
  const sameSeconds = Math.max(1, Math.floor(config.urlSeconds / 2))

  const sign = ({ attachmentId, variant, expires }: SignedAddress): Buffer =>
    createHmac('sha256', key).update(`${attachmentId}/${variant}/${expires}`).digest().subarray(0, signatureBytes)

  /** Those that are given now, by attachment and variant: a list of conversations shows the same faces many times. */
  let given = { expires: 0, urls: new Map<string, string>() }

  function signed(attachmentId: string, variant: MediaVariant, expires: number): string {
    const signature = sign({ attachmentId, variant, expires }).toString('base64url')
    return `${base}/v1/media/${attachmentId}/${variant}?expires=${expires}&signature=${signature}`
  }

  return {
    of(attachmentId, variant, until) {
      const now = clock().getTime() / 1000
      const usual = Math.floor(now / sameSeconds) * sameSeconds + config.urlSeconds
      const end = until && Math.floor(until.getTime() / 1000)
      if (end !== undefined && end < usual) return signed(attachmentId, variant, end)
      if (given.expires !== usual || given.urls.size >= mostRemembered) given = { expires: usual, urls: new Map() }
      const name = `${attachmentId}/${variant}`
      const url = given.urls.get(name) ?? signed(attachmentId, variant, usual)
      given.urls.set(name, url)
      return url
    },

    secondsLeft(address, signature) {
      const given = Buffer.from(signature, 'base64url')
      if (given.length !== signatureBytes || !timingSafeEqual(given, sign(address))) return undefined
      const left = address.expires - clock().getTime() / 1000
      return left > 0 ? Math.floor(left) : undefined
    },
  }
}
