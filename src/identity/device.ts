import type { Context } from '../kernel/operation.ts'

/** What a login came from, as it is stored with each of its refresh tokens. */
export interface Device {
  /** As the client calls itself. */
  name?: string
  userAgent?: string
  ip?: string
}

/** Header fields may be of 16 KB; the longest of real browsers are near 300 characters. */
const maxUserAgentLength = 400
/** The longest name of a device, in characters. */
export const maxNameLength = 64

/** The caller's device. An oversized description of it is cut: it is no reason to refuse a login. */
export function deviceOf({ request, userAgent, ip }: Context): Device {
  const name = readName(request?.header('x-device-name') ?? '')
  return { ...(name && { name }), ...(userAgent && { userAgent: userAgent.slice(0, maxUserAgentLength) }), ip }
}

/**
 * A header takes ASCII, so names are percent-encoded. What does not decode is taken as it stands. Without control
 * characters, of which PostgreSQL cannot store NUL; cut by code point, so that no surrogate is left alone.
 */
function readName(header: string): string {
  let text = header
  try {
    text = decodeURIComponent(header)
  } catch {}
  return [
    ...text
      .toWellFormed()
      .replaceAll(/\p{Cc}/gu, '')
      .trim(),
  ]
    .slice(0, maxNameLength)
    .join('')
}
