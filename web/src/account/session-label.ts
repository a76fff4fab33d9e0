import type { LoginSession } from '../../../src/client/index.ts'

/** What a login is called: as its client calls itself, else the first product of its User-Agent; undefined where it says neither. */
export function deviceOf({ device: { name, userAgent } }: Pick<LoginSession, 'device'>): string | undefined {
  const product = /^[\w.-]+(?:\/[\w.]+)?/.exec(userAgent?.trim() ?? '')?.[0]
  return name?.trim() || product?.replace('/', ' ') || undefined
}

/** The one that asks first, then the one used last. */
export const inOrder = (sessions: readonly LoginSession[]): LoginSession[] =>
  sessions.toSorted((a, b) => Number(b.isCurrent) - Number(a.isCurrent) || b.lastUsedAt.localeCompare(a.lastUsedAt))
