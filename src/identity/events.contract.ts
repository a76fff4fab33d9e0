import { z } from 'zod'
import * as p from '../kernel/primitives.ts'

/** Work that the server does for a user, and how far it is. */
export const job = z
  .object({
    jobId: p.id,
    kind: z.string().meta({ description: 'What is done, such as `export`.' }),
    status: z.enum(['queued', 'running', 'completed', 'failed']),
    completed: z.int().meta({ description: 'Steps done, of `total`.' }),
    total: z.int(),
    result: z
      .record(z.string(), z.unknown())
      .optional()
      .meta({ description: 'There once it is completed; its fields by `kind`.' }),
  })
  .meta({ id: 'Job' })

/** Events to the sockets of one user about what is theirs alone. */
export const identityEvents = {
  'job:changed': { summary: 'Work that the server does for you has come further, or has ended', payload: job },
  notification: {
    summary: 'Something that concerns you, by its `kind`, such as `account_deleted` before your sockets are closed',
    payload: z.looseObject({ kind: z.string() }),
  },
} as const

export type Job = z.infer<typeof job>
export type IdentityEvent<K extends keyof typeof identityEvents> = z.infer<(typeof identityEvents)[K]['payload']>
