import { operation, publicOperation, type Route, sharedOperation } from '../kernel/operation.ts'
import type { Reply } from '../kernel/reply.ts'
import type { createAttachments } from './attachments.service.ts'
import type { createDownloads } from './downloads.service.ts'
import { mediaContract as contract } from './media.contract.ts'
import type { createUploads } from './uploads.service.ts'

const anyType = '*/*'

/**
 * Uploads, attachments and the bytes behind them, on their REST addresses.
 * @param maxBytes the most of any file, whatever is in it
 */
export function mediaRoutes(services: {
  uploads: Pick<ReturnType<typeof createUploads>, 'upload' | 'storage'>
  attachments: Pick<ReturnType<typeof createAttachments>, 'get' | 'remove'>
  downloads: ReturnType<typeof createDownloads>
  maxBytes: number
}): Route[] {
  const { uploads, attachments, downloads, maxBytes } = services

  const upload = sharedOperation(
    'media:upload',
    contract['media:upload'],
    async (_input, { actor, request }) => {
      if (!request?.file) throw new Error('The route brought no file.')
      return await uploads.upload(actor.userId, request.file)
    },
    'upload',
  )
  const get = sharedOperation(
    'media:get',
    contract['media:get'],
    ({ attachmentId }, { actor }) => attachments.get(actor.userId, attachmentId),
    'read',
  )
  const remove = sharedOperation(
    'media:remove',
    contract['media:remove'],
    async ({ attachmentId }, { actor }) => {
      await attachments.remove(actor.userId, attachmentId)
      return {}
    },
    'upload',
  )
  const storage = operation(
    'media:storage',
    contract['media:storage'],
    (_input, { actor }) => uploads.storage(actor.userId),
    'read',
  )
  const download = publicOperation(
    'media:download',
    contract['media:download'],
    (input, { request }): Promise<Reply> => downloads.download(input, request),
    'media',
  )

  const tag = 'media'
  return [
    { method: 'post', path: '/uploads', operation: upload, status: 201, body: { file: { maxBytes } }, tag },
    { method: 'get', path: '/attachments/:attachmentId', operation: get, tag },
    { method: 'delete', path: '/attachments/:attachmentId', operation: remove, status: 204, tag },
    { method: 'get', path: '/me/storage', operation: storage, tag },
    {
      method: 'get',
      path: '/media/:attachmentId/:variant',
      operation: download,
      produces: anyType,
      headers: {
        Range: 'One range of bytes; several are answered with the whole.',
        'If-Range': 'The `ETag` that the range is of.',
        'If-None-Match': 'The `ETag` of what is there already.',
      },
      tag,
    },
  ]
}
