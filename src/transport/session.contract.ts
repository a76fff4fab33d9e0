import { z } from 'zod'
import * as p from '../kernel/primitives.ts'

/** Commands of the socket itself. */
export const sessionContract = {
  'session:refresh': {
    summary: 'Give a newer access token, so that the socket outlives the first one',
    input: z.strictObject({ token: z.string().min(1).max(4096) }),
    output: z.object({ expiresAt: p.timestamp }),
  },
} as const

/** Events of the socket itself. */
export const sessionEvents = {
  'session:ready': {
    summary: 'The socket is in all its conversations; call sync',
    payload: z.object({ userId: p.id, sessionId: p.id, protocol: z.literal(1), serverTime: p.timestamp }),
  },
  resync: {
    summary: 'Events may have been missed: call sync after a random 0–3 s',
    payload: z.object({}),
  },
} as const

export type SessionReady = z.infer<(typeof sessionEvents)['session:ready']['payload']>
