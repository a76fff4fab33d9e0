import { z } from 'zod'
import * as p from '../kernel/primitives.ts'
import { job } from './events.contract.ts'

const exportJob = job
  .extend({
    kind: z.literal('export'),
    result: z
      .object({
        url: z.string().meta({ description: 'A path on this server; it takes an access token.' }),
        bytes: z.int(),
        expiresAt: p.timestamp.meta({ description: 'When the file goes.' }),
      })
      .optional(),
  })
  .meta({ id: 'ExportJob' })

/** One's own data as a file, and the end of it all; by the names of the operations. */
export const ownDataContract = {
  'me:export': {
    summary: 'Your data as a file: begins to make it, or says how far it is; 202 until it is completed, then 200',
    input: p.empty,
    output: exportJob,
    example: {
      input: {},
      output: {
        jobId: '019aa6f4-5b1e-7d3c-8f27-6c0a9be41d52',
        kind: 'export' as const,
        status: 'completed' as const,
        completed: 9,
        total: 9,
        result: {
          url: '/v1/me/export/019aa6f4-5b1e-7d3c-8f27-6c0a9be41d52/file',
          bytes: 48_213,
          expiresAt: '2026-11-22T09:30:02.481Z',
        },
      },
    },
  },
  'me:export-file': {
    summary: 'The file of a completed export, a ZIP of JSON; for 24 hours, and for its owner alone',
    input: z.strictObject({ jobId: p.id }),
    output: z.unknown(),
    errors: ['not_found'] as const,
    example: { input: { jobId: '019aa6f4-5b1e-7d3c-8f27-6c0a9be41d52' } },
  },
  'me:delete': {
    summary:
      'Delete your account, by your password or, where it has none, within 10 minutes of a login: it can be used no ' +
      'more at once, and others see a deleted user within seconds',
    input: z.strictObject({ password: p.text(200).optional() }),
    output: p.empty,
    errors: ['unprocessable'] as const,
    example: { input: { password: 'correct horse battery staple' }, output: {} },
  },
}

export type ExportJob = z.infer<typeof exportJob>
