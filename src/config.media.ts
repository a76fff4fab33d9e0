import { z } from 'zod'

const whole = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,12}$/)
    .transform(Number)
    .refine((value) => value >= min && value <= max)

const megabytes = (standard: number, most = 100_000) => ({
  schema: whole(1, most).default(standard),
  example: String(standard),
})

/** The variables of media, each with what it takes and an example for the message that refuses it. */
export const mediaVariables = {
  MEDIA_MAX_IMAGE_MB: { ...megabytes(20), expected: 'the most megabytes of an image, from 1' },
  MEDIA_MAX_VIDEO_MB: { ...megabytes(200), expected: 'the most megabytes of a video, from 1' },
  MEDIA_MAX_AUDIO_MB: { ...megabytes(50), expected: 'the most megabytes of a sound, from 1' },
  MEDIA_MAX_FILE_MB: { ...megabytes(100), expected: 'the most megabytes of any other file, from 1' },
  MEDIA_MAX_MEGAPIXELS: {
    ...megabytes(100, 1000),
    expected: 'the most million pixels of an image, all frames of one that moves together, 1 to 1000',
  },
  MEDIA_QUOTA_MB: {
    ...megabytes(1024, 100_000_000),
    expected: "the most megabytes of one person's uploads together, from 1",
  },
  MEDIA_URL_SECONDS: {
    schema: whole(2, 86_400).default(600),
    expected: 'seconds that an address of media is good for, 2 to 86400',
    example: '600',
  },
  S3_BUCKET: {
    schema: z.string().min(1).max(255).optional(),
    expected: 'the bucket that media are kept in, in place of the disk',
    example: 'kintsugi-media',
  },
  S3_ENDPOINT: {
    schema: z
      .string()
      .refine((value) => /^https?:$/.test(URL.parse(value)?.protocol ?? ''))
      .optional(),
    expected: 'the address of a service that speaks S3; absent: that of AWS',
    example: 'https://account.r2.cloudflarestorage.com',
  },
  S3_REGION: { schema: z.string().min(1).max(64).default('auto'), expected: "the bucket's region", example: 'auto' },
  S3_ACCESS_KEY_ID: {
    schema: z.string().min(1).max(255).optional(),
    expected: 'the id of the access key; absent with its secret: what the environment of AWS gives',
    example: 'the id of an access key',
  },
  S3_SECRET_ACCESS_KEY: {
    schema: z.string().min(1).max(255).optional(),
    expected: 'the secret of the access key',
    example: 'the secret of that key',
  },
  S3_FORCE_PATH_STYLE: {
    schema: z.enum(['on', 'off']).default('off'),
    expected: '`on` where the bucket stands in the path and not in the host, as with MinIO; else `off`',
    example: 'on',
  },
} as const

export interface MediaConfig {
  maxBytes: { image: number; video: number; audio: number; file: number }
  maxPixels: number
  quotaBytes: number
  /** How long an address is good for, at the most. */
  urlSeconds: number
  /** Absent: media are kept in the folder `media` below the data folder. */
  s3:
    | {
        bucket: string
        region: string
        endpoint: string | undefined
        credentials: { accessKeyId: string; secretAccessKey: string } | undefined
        forcePathStyle: boolean
      }
    | undefined
}

type MediaValues = { [K in keyof typeof mediaVariables]: z.output<(typeof mediaVariables)[K]['schema']> }

const megabyte = 1024 * 1024

/** Puts the variables together; adds to `problems` what does not go together. */
export function mediaConfig(read: MediaValues, problems: string[]): MediaConfig {
  const { S3_BUCKET: bucket, S3_ACCESS_KEY_ID: accessKeyId, S3_SECRET_ACCESS_KEY: secretAccessKey } = read
  if ((accessKeyId === undefined) !== (secretAccessKey === undefined))
    problems.push('S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY belong together: give both or neither.')
  if (bucket === undefined && (read.S3_ENDPOINT ?? accessKeyId) !== undefined)
    problems.push('S3_BUCKET must name the bucket when other S3 variables are given. Example: S3_BUCKET=kintsugi-media')
  return {
    maxBytes: {
      image: read.MEDIA_MAX_IMAGE_MB * megabyte,
      video: read.MEDIA_MAX_VIDEO_MB * megabyte,
      audio: read.MEDIA_MAX_AUDIO_MB * megabyte,
      file: read.MEDIA_MAX_FILE_MB * megabyte,
    },
    maxPixels: read.MEDIA_MAX_MEGAPIXELS * 1_000_000,
    quotaBytes: read.MEDIA_QUOTA_MB * megabyte,
    urlSeconds: read.MEDIA_URL_SECONDS,
    s3:
      bucket === undefined
        ? undefined
        : {
            bucket,
            region: read.S3_REGION,
            endpoint: read.S3_ENDPOINT,
            credentials:
              accessKeyId !== undefined && secretAccessKey !== undefined ? { accessKeyId, secretAccessKey } : undefined,
            forcePathStyle: read.S3_FORCE_PATH_STYLE === 'on',
          },
  }
}
