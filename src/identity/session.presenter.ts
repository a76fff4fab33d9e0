import Bowser from 'bowser'
import { type Device, maxNameLength } from './device.ts'
import type { LoginSession } from './sessions.contract.ts'

/** A login as the presenter reads it: what its newest token says. Times as the driver gives them. */
export interface LoginRow {
  id: string
  device: Device | null
  loggedInAt: string
  lastUsedAt: string
  expiresAt: string
}

/** `Firefox on Linux`; of programs that are no browsers what they call themselves first, such as `curl`. */
function nameByUserAgent(userAgent: string): string | undefined {
  const { browser, os } = Bowser.parse(userAgent)
  const program = browser.name || /^[^\s/()]+/.exec(userAgent)?.[0]
  return [program, os.name].filter(Boolean).join(' on ').slice(0, maxNameLength) || undefined
}

/** A login as its user sees it. */
export function presentSession(row: LoginRow, currentSessionId: string): LoginSession {
  const { name: ownName, userAgent, ip } = row.device ?? {}
  const name = ownName ?? (userAgent && nameByUserAgent(userAgent))
  return {
    id: row.id,
    device: { ...(name && { name }), ...(userAgent && { userAgent }) },
    ...(ip && { ip }),
    loggedInAt: new Date(row.loggedInAt).toISOString(),
    lastUsedAt: new Date(row.lastUsedAt).toISOString(),
    expiresAt: new Date(row.expiresAt).toISOString(),
    isCurrent: row.id === currentSessionId,
  }
}
