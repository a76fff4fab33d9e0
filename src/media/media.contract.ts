import { z } from 'zod'
import * as p from '../kernel/primitives.ts'

const url = z.string().meta({
  description:
    'Good for some minutes, and for whoever has it; `expires` in it says until when, in seconds since 1970. A path on ' +
    'this server where it has no public address. `GET /v1/attachments/:id` gives a new one to those who may see it.',
})

/** A file as those see it who may. */
export const attachment = z
  .object({
    id: p.id,
    kind: z.enum(['image', 'video', 'audio', 'file']).meta({
      description: 'By its content. What is no image, video or audio that browsers show is a `file`, for download.',
    }),
    mime: z.string(),
    bytes: z.int(),
    name: z.string().optional().meta({ description: 'As the file was called where it came from.' }),
    width: z.int().optional(),
    height: z.int().optional(),
    durationMs: z.int().optional(),
    preview: z
      .string()
      .optional()
      .meta({ description: 'A `data:` address of a tiny image, to show until the image is there.' }),
    url,
    thumbnailUrl: z.string().optional(),
  })
  .meta({ id: 'Attachment' })

const exampleAttachment = {
  id: '019aa6f7-3c55-7b18-9d0e-4f5a6b7c8d9e',
  kind: 'image',
  mime: 'image/jpeg',
  bytes: 184_220,
  name: 'bridge.jpg',
  width: 1600,
  height: 1067,
  preview: 'data:image/webp;base64,UklGRiQAAABXRUJQVlA4IBgAAAAwAQCdASoBAAEAAgA0JaQAA3AA/vuUAAA=',
  url: '/v1/media/019aa6f7-3c55-7b18-9d0e-4f5a6b7c8d9e/original?expires=1795253400&signature=pQ1xkq9nB1mYc0m8mKzv1A',
  thumbnailUrl:
    '/v1/media/019aa6f7-3c55-7b18-9d0e-4f5a6b7c8d9e/thumbnail?expires=1795253400&signature=Zb7V1d9o0JfG3s9MCeUo2A',
} as const

/** Operations on media, by their names. */
export const mediaContract = {
  'media:upload': {
    summary:
      'Upload a file, as `file` of a multipart form: images are made anew without metadata. One that nothing refers to ' +
      'is removed after a day',
    input: p.empty,
    output: attachment,
    errors: ['payload_too_large', 'unsupported_media', 'quota_exceeded', 'unavailable'],
    example: { output: exampleAttachment },
  },
  'media:get': {
    summary: 'An attachment that you may see, with addresses that are good for some minutes',
    input: z.strictObject({ attachmentId: p.id }),
    output: attachment,
    errors: ['not_found'],
    example: { input: { attachmentId: exampleAttachment.id }, output: exampleAttachment },
  },
  'media:remove': {
    summary: 'Remove an upload of yours that nothing refers to',
    input: z.strictObject({ attachmentId: p.id }),
    output: p.empty,
    errors: ['not_found', 'conflict'],
    example: { input: { attachmentId: exampleAttachment.id }, output: {} },
  },
  'media:storage': {
    summary: 'How much of your storage is used',
    input: p.empty,
    output: z.object({ usedBytes: z.int(), quotaBytes: z.int() }).meta({ id: 'Storage' }),
    example: { input: {}, output: { usedBytes: 184_220, quotaBytes: 1_073_741_824 } },
  },
  'media:download': {
    summary: 'The bytes of an attachment, by an address that was given for it; ranges are served',
    input: z.strictObject({
      attachmentId: p.id,
      variant: z.enum(['original', 'thumbnail']),
      expires: z.int(),
      signature: z.string().max(100),
    }),
    output: z.unknown(),
    errors: ['not_found'],
    example: {
      input: {
        attachmentId: exampleAttachment.id,
        variant: 'original',
        expires: 1_795_253_400,
        signature: 'pQ1xkq9nB1mYc0m8mKzv1A',
      },
    },
  },
} as const

export type Attachment = z.infer<typeof attachment>
export type Storage = z.infer<(typeof mediaContract)['media:storage']['output']>
