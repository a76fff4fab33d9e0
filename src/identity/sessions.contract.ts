import { z } from 'zod'
import * as p from '../kernel/primitives.ts'

/** One of the user's own logins, which an access token calls the session. */
const loginSession = z
  .object({
    id: p.id,
    device: z.object({
      name: z
        .string()
        .optional()
        .meta({
          description:
            'What the client calls itself by the header `X-Device-Name` (64 characters, percent-encoded where they are ' +
            'not ASCII), or what its User-Agent says, such as `Firefox on Linux`.',
        }),
      userAgent: z.string().optional(),
    }),
    ip: z.string().optional().meta({ description: 'Where it logged in or refreshed last.' }),
    loggedInAt: p.timestamp,
    lastUsedAt: p.timestamp.meta({ description: 'When it logged in or refreshed last.' }),
    expiresAt: p.timestamp.meta({ description: 'When it ends unless it refreshes before.' }),
    isCurrent: z.boolean().meta({ description: 'Whether it is the one that asks.' }),
  })
  .meta({ id: 'LoginSession' })

/** The list of one's own logins and the end of any of them, by the names of the operations. */
export const sessionsContract = {
  'auth:list-sessions': {
    summary: 'Your logins that go on, the one used last first',
    input: z.strictObject({ cursor: p.cursor.optional(), limit: p.pageLimit(100, 50) }),
    output: z.object({ items: z.array(loginSession), nextCursor: p.nextCursor }),
    example: {
      input: { limit: 20 },
      output: {
        items: [
          {
            id: '0197a3c2-7d1e-7c40-9b7e-2f6d0a1b3c4d',
            device: {
              name: 'Firefox on Linux',
              userAgent: 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
            },
            ip: '203.0.113.7',
            loggedInAt: '2026-11-18T08:12:44.120Z',
            lastUsedAt: '2026-11-21T09:30:02.481Z',
            expiresAt: '2026-11-28T09:30:02.481Z',
            isCurrent: true,
          },
        ],
      },
    },
  },
  'auth:end-session': {
    summary: 'End one of your logins: its tokens stop working and its sockets close, on every node',
    input: z.strictObject({ sessionId: p.id }),
    output: p.empty,
    errors: ['not_found'],
    example: { input: { sessionId: '0197a3c2-7d1e-7c40-9b7e-2f6d0a1b3c4d' }, output: {} },
  },
} as const

export type LoginSession = z.infer<typeof loginSession>
