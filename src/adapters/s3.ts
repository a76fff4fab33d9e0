import { createReadStream } from 'node:fs'
import type { Readable } from 'node:stream'
import { AppError, notFound } from '../kernel/errors.ts'
import type { ObjectStore } from '../kernel/ports.ts'

/** An object that is not there by then has failed; media removes what is not ready after an hour, so it is well below that. */
const putMs = 15 * 60_000
/** Until the first byte of an answer. */
const patienceMs = 15_000
/** A connection on which nothing moves for so long is dead. Who watches a video and pauses it reads nothing meanwhile. */
const idleMs = 5 * 60_000
const connections = 50

interface S3Options {
  bucket: string
  region: string
  /** Absent: that of AWS. */
  endpoint: string | undefined
  /** Absent: what the environment of AWS gives. */
  credentials: { accessKeyId: string; secretAccessKey: string } | undefined
  forcePathStyle: boolean
}

/** Objects in a bucket of AWS, R2, MinIO or any that speaks S3. The library is loaded here, since few servers need it. */
export async function createS3Store(options: S3Options): Promise<ObjectStore> {
  const { S3Client, PutObjectCommand, GetObjectCommand, DeleteObjectCommand } = await import('@aws-sdk/client-s3')
  const { bucket: Bucket, region, endpoint, credentials, forcePathStyle } = options
  const client = new S3Client({
    region,
    forcePathStyle,
    ...(endpoint !== undefined && { endpoint }),
    // a copy: the library writes into it, and the configuration is frozen
    ...(credentials && { credentials: { ...credentials } }),
    // R2 and older servers know nothing of the newer checksums
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: patienceMs,
      socketTimeout: idleMs,
      httpAgent: { maxSockets: connections },
      httpsAgent: { maxSockets: connections },
    },
  })

  return {
    put: (Key, file, { bytes, mime }) =>
      answering(async () => {
        const Body = createReadStream(file)
        try {
          const command = new PutObjectCommand({ Bucket, Key, Body, ContentLength: bytes, ContentType: mime })
          await client.send(command, { abortSignal: AbortSignal.timeout(putMs) })
        } finally {
          Body.destroy()
        }
      }),

    open: (Key, range) =>
      answering(async () => {
        const impatience = new AbortController()
        const timer = setTimeout(() => impatience.abort(), patienceMs)
        const command = new GetObjectCommand({
          Bucket,
          Key,
          ...(range && { Range: `bytes=${range.start}-${range.end}` }),
        })
        const { Body } = await client
          .send(command, { abortSignal: impatience.signal })
          .finally(() => clearTimeout(timer))
        if (!Body) throw new Error('an answer without a body')
        return Body as Readable
      }),

    remove: (Key) =>
      answering(async () => {
        const command = new DeleteObjectCommand({ Bucket, Key })
        await client.send(command, { abortSignal: AbortSignal.timeout(patienceMs) })
      }).catch((error: unknown) => {
        if (!(error instanceof AppError && error.code === 'not_found')) throw error
      }),

    close: () => client.destroy(),
  }
}

async function answering<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const { name } = error as Error
    if (name === 'NoSuchKey' || name === 'NotFound') throw notFound('object')
    throw new AppError('unavailable', 'The storage of media does not answer right now.', { cause: error })
  }
}
