import { operation, type Route } from '../kernel/operation.ts'
import { Reply } from '../kernel/reply.ts'
import type { createAccountDeletion } from './account-deletion.service.ts'
import type { DataExports } from './data-exports.service.ts'
import { ownDataContract as contract } from './own-data.contract.ts'
import { withoutRefreshCookie } from './refresh-cookie.ts'

/** One's own data as a file, and the end of the account, on their REST addresses. */
export function ownDataRoutes(services: {
  exports: DataExports
  deletion: ReturnType<typeof createAccountDeletion>
}): Route[] {
  const { exports, deletion } = services

  const request = operation(
    'me:export',
    contract['me:export'],
    async (_input, { actor }) => {
      const job = await exports.request(actor.userId)
      return new Reply(job, {
        status: job.status === 'completed' ? 200 : 202,
        headers: { 'Cache-Control': 'no-store' },
      })
    },
    'account',
  )

  const file = operation(
    'me:export-file',
    contract['me:export-file'],
    async ({ jobId }, { actor }) => {
      const { bytes, stream } = await exports.file(actor.userId, jobId)
      return new Reply<unknown>(undefined, {
        stream,
        headers: {
          'Content-Type': 'application/zip',
          'Content-Disposition': 'attachment; filename="kintsugi-export.zip"',
          'Content-Length': String(bytes),
          'Cache-Control': 'no-store',
        },
      })
    },
    'account',
  )

  const remove = operation(
    'me:delete',
    contract['me:delete'],
    async ({ password }, context) => {
      await deletion.delete(context.actor, password)
      return withoutRefreshCookie({}, context)
    },
    'account',
  )

  const tag = 'account'
  return [
    { method: 'get', path: '/me/export', operation: request, status: 202, tag },
    { method: 'get', path: '/me/export/:jobId/file', operation: file, produces: 'application/zip', tag },
    { method: 'delete', path: '/me', operation: remove, status: 204, tag },
  ]
}
