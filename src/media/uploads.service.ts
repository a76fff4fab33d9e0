import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { sql } from 'kysely'
import type { Logger } from 'pino'
import { type Connection, type Database, run } from '../database/database.ts'
import { AppError } from '../kernel/errors.ts'
import { newId } from '../kernel/ids.ts'
import type { Metrics } from '../kernel/metrics.ts'
import type { ReceivedFile } from '../kernel/operation.ts'
import type { FileFacts, FileInspector, ImageMaker, MadeImage, MediaKind, MediaUrls } from '../kernel/ports.ts'
import { type AttachmentFacts, presentAttachment } from './attachment.presenter.ts'
import type { Attachment, Storage } from './media.contract.ts'
import { keyOf, type NewObject, type Objects } from './objects.service.ts'
import type { Removal } from './removal.service.ts'
import { checkName, kindOf } from './upload.policy.ts'

/** By then an upload has ended one way or the other; what is pending still was left by a process that died. */
const pendingHours = 1
/** So long may an upload wait for something to refer to it. */
const unusedHours = 24

/** A file as it is to be stored. */
interface Prepared {
  id: string
  kind: MediaKind
  mime: string
  name: string
  original: NewObject & { sha256: string }
  thumbnail: NewObject | undefined
  image: MadeImage | undefined
  durationMs: number | undefined
}

/**
 * Takes files in: looks at what they are, makes images anew, and stores what came of it. Nothing stays of an upload that
 * fails: what is stored is undone at once, or by a job where the process dies first.
 */
export function createUploads(deps: {
  database: Database
  config: { maxBytes: Record<MediaKind, number>; quotaBytes: number; scratch: string }
  inspector: FileInspector
  images: ImageMaker
  objects: Objects
  removal: Removal
  urls: MediaUrls
  metrics: Pick<Metrics, 'uploads' | 'uploadBytes'>
  log: Logger
}) {
  const { database, config, inspector, images, objects, removal, urls, metrics, log } = deps

  /**
   * @throws AppError invalid_request, unsupported_media, payload_too_large, quota_exceeded; unauthenticated where the account
   * is gone; unavailable
   */
  async function upload(userId: string, receive: () => Promise<ReceivedFile>): Promise<Attachment> {
    let kind: MediaKind | 'unknown' = 'unknown'
    let outcome = 'ok'
    try {
      // nothing is read of what cannot fit in any case
      const usedBytes = await usedBy(database.em(), userId)
      if (usedBytes >= config.quotaBytes) throw noRoom(usedBytes)
      const file = await receive()
      checkName(file.name)
      const facts = await inspector.inspect(file.path)
      const { mime, ...known } = kindOf(facts.mime, file.mime, images.types)
      kind = known.kind
      if (facts.bytes > config.maxBytes[kind]) throw tooLarge(kind, config.maxBytes[kind])
      return await inFolder(async (folder) => {
        const prepared = await prepare({ file, facts, kind: known.kind, mime }, folder)
        const stored = await store(userId, prepared)
        metrics.uploadBytes.inc(stored.bytes)
        return presentAttachment(stored, urls)
      })
    } catch (error) {
      outcome = error instanceof AppError ? error.code : 'internal'
      throw error
    } finally {
      metrics.uploads.labels(kind, outcome).inc()
    }
  }

  /** A folder for what is made of the file, for as long as that takes. */
  async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
    await mkdir(config.scratch, { recursive: true, mode: 0o700 })
    const folder = await mkdtemp(join(config.scratch, 'made-'))
    return await work(folder).finally(() => rm(folder, { recursive: true, force: true }))
  }

  async function prepare(
    { file, facts, kind, mime }: { file: ReceivedFile; facts: FileFacts; kind: MediaKind; mime: string },
    folder: string,
  ): Promise<Prepared> {
    const known = { id: newId(), kind, name: file.name }
    if (kind !== 'image') {
      const original = objectOf(facts, file.path, mime)
      return { ...known, mime, original, thumbnail: undefined, image: undefined, durationMs: facts.durationMs }
    }
    const image = await images.make(file.path, mime, folder)
    const original = objectOf(await inspector.inspect(image.file), image.file, image.mime)
    const thumbnail = objectOf(await inspector.inspect(image.thumbnail), image.thumbnail, 'image/webp')
    return { ...known, mime: image.mime, original, thumbnail, image, durationMs: undefined }
  }

  async function store(userId: string, prepared: Prepared): Promise<AttachmentFacts> {
    const missing = await objects.whenRemoved(() => database.transact((em) => begin(em, userId, prepared)))
    try {
      await objects.put(missing)
      return await database.transact((em) => finish(em, userId, prepared))
    } catch (error) {
      // what cannot be undone now is pending, and the job comes to it
      await removal.take(sql`id = ${prepared.id}`, 'wait').catch((cause: unknown) => {
        log.warn({ err: cause, attachmentId: prepared.id }, 'a failed upload is not undone as yet')
      })
      throw error
    }
  }

  /** Reserves what the upload takes: quota, objects, and the attachment that refers to them. */
  async function begin(em: Connection, userId: string, prepared: Prepared): Promise<NewObject[]> {
    const { id, kind, mime, name, original, thumbnail, image, durationMs } = prepared
    // held against the deletion of the account, which takes what is there by then
    const [user] = await run(em, sql`select id from users where id = ${userId} and deleted_at is null for key share`)
    if (!user) throw new AppError('unauthenticated', 'The account was deleted.')
    await takeQuota(em, userId, original.bytes + (thumbnail?.bytes ?? 0))
    const missing = await objects.reserve(em, thumbnail ? [original, thumbnail] : [original])
    await run(
      em,
      sql`
        insert into attachments (id, owner_id, kind, mime, name, bytes, thumbnail_bytes, width, height, duration_ms, preview,
          sha256, storage_key, thumbnail_key, status, check_at)
        values (${id}, ${userId}, ${kind}, ${mime}, ${name}, ${original.bytes}, ${thumbnail?.bytes ?? 0},
          ${image?.width ?? null}, ${image?.height ?? null}, ${durationMs ?? null}, ${image?.preview ?? null},
          decode(${original.sha256}, 'hex'), ${original.key}, ${thumbnail?.key ?? null}, 'pending',
          now() + make_interval(hours => ${pendingHours}))`,
    )
    return missing
  }

  async function takeQuota(em: Connection, userId: string, bytes: number): Promise<void> {
    const { quotaBytes } = config
    const taken = await run(
      em,
      sql`
        insert into media_usage (user_id, bytes)
        select ${userId}::uuid, ${bytes}::bigint where ${bytes}::bigint <= ${quotaBytes}::bigint
        on conflict (user_id) do update set bytes = media_usage.bytes + excluded.bytes
          where media_usage.bytes + excluded.bytes <= ${quotaBytes}::bigint
        returning user_id`,
    )
    if (taken.length > 0) return
    throw noRoom(await usedBy(em, userId))
  }

  const noRoom = (usedBytes: number): AppError =>
    new AppError('quota_exceeded', 'It does not fit into what is left of your storage.', {
      details: { usedBytes, quotaBytes: config.quotaBytes },
    })

  async function finish(
    em: Connection,
    userId: string,
    { id, original, thumbnail }: Prepared,
  ): Promise<AttachmentFacts> {
    const [row] = await run(
      em,
      sql<{ facts: AttachmentFacts }>`
        update attachments a set status = 'ready', check_at = now() + make_interval(hours => ${unusedHours})
        where id = ${id} and exists (select from users where id = ${userId} and deleted_at is null)
        returning attachment_facts(a) as facts`,
    )
    if (!row) throw new AppError('unavailable', 'The upload was given up.')
    await objects.stored(em, thumbnail ? [original.key, thumbnail.key] : [original.key])
    return row.facts
  }

  return {
    upload,
    storage: async (userId: string): Promise<Storage> => ({
      usedBytes: await usedBy(database.em(), userId),
      quotaBytes: config.quotaBytes,
    }),
  }
}

const objectOf = ({ sha256, bytes }: FileFacts, file: string, mime: string) => ({
  ...{ key: keyOf(sha256), sha256, file, bytes, mime },
})

async function usedBy(em: Connection, userId: string): Promise<number> {
  const [row] = await run(
    em,
    sql<{ bytes: number }>`select bytes::float8 as bytes from media_usage where user_id = ${userId}`,
  )
  return row?.bytes ?? 0
}

const tooLarge = (kind: MediaKind, maxBytes: number): AppError =>
  new AppError('payload_too_large', `A file of this kind (${kind}) must be at most ${maxBytes} bytes.`)
