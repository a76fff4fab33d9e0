import { Readable } from 'node:stream'
import { create as contentDisposition } from 'content-disposition'
import { sql } from 'kysely'
import parseRange from 'range-parser'
import type { Database } from '../database/database.ts'
import { notFound } from '../kernel/errors.ts'
import type { RequestFacts } from '../kernel/operation.ts'
import type { MediaKind, ObjectStore } from '../kernel/ports.ts'
import { Reply, type ReplyOptions } from '../kernel/reply.ts'
import { isShown, unknownMime } from './upload.policy.ts'
import type { SignedAddress, Urls } from './urls.ts'

/** The bytes that an address leads to. */
interface Served {
  key: string
  bytes: number
  kind: MediaKind
  mime: string
  name: string | null
}

/** Serves media to whoever has an address for it: streams, whole or in part. */
export function createDownloads(deps: { database: Database; urls: Pick<Urls, 'secondsLeft'>; store: ObjectStore }) {
  const { database, urls, store } = deps

  /** @throws AppError not_found where the address was forged, is over, or leads to what is not there */
  async function download(
    { signature, ...address }: SignedAddress & { signature: string },
    request: RequestFacts | undefined,
  ): Promise<Reply> {
    const secondsLeft = urls.secondsLeft(address, signature)
    const served = secondsLeft !== undefined && (await find(address))
    if (!served) throw notFound('media')
    // equal bytes have an equal key, and others another
    const etag = `"${served.key.split('/')[1]}"`
    const headers = { ...headersOf(served), ETag: etag, 'Cache-Control': `private, max-age=${secondsLeft}, immutable` }
    if (isKnown(request?.header('if-none-match'), etag)) return reply(304, headers)

    const range = rangeOf(request, served.bytes, etag)
    if (range === 'unsatisfiable') return reply(416, { ...headers, 'Content-Range': `bytes */${served.bytes}` })
    const { start, end } = range ?? { start: 0, end: served.bytes - 1 }
    return reply(
      range ? 206 : 200,
      {
        ...headers,
        'Content-Length': String(end - start + 1),
        ...(range && { 'Content-Range': `bytes ${start}-${end}/${served.bytes}` }),
      },
      served.bytes === 0 ? Readable.from([]) : lazily(() => store.open(served.key, range)),
    )
  }

  async function find({ attachmentId, variant }: SignedAddress): Promise<Served | undefined> {
    const columns =
      variant === 'original'
        ? sql`storage_key as key, bytes::float8 as bytes, kind, mime, name`
        : sql`thumbnail_key as key, thumbnail_bytes::float8 as bytes, kind, 'image/webp' as mime, null as name`
    const [row] = await database.query(
      sql<
        Served & { key: string | null }
      >`select ${columns} from attachments where id = ${attachmentId} and status = 'ready'`,
    )
    return row?.key ? row : undefined
  }

  return { download }
}

const reply = (status: number, headers: Record<string, string>, stream?: Readable): Reply =>
  new Reply<unknown>(undefined, { status, headers, ...(stream && { stream }) } satisfies ReplyOptions)

/** Opened once it is read: who asks for the head alone costs the store nothing. */
export const lazily = (open: () => Promise<Readable>): Readable =>
  Readable.from(
    (async function* () {
      yield* await open()
    })(),
    { objectMode: false },
  )

/** What is not shown is a download of bytes, in which no browser sees a page, a script or an image. */
function headersOf({ kind, mime, name }: Served): Record<string, string> {
  const type = isShown(kind) ? 'inline' : 'attachment'
  return {
    'Content-Type': isShown(kind) ? mime : unknownMime,
    'Content-Disposition': contentDisposition(name ?? undefined, { type }),
    'Accept-Ranges': 'bytes',
    'X-Content-Type-Options': 'nosniff',
    'Content-Security-Policy': "default-src 'none'; sandbox",
    // pages of other origins show it: the address is the permission
    'Cross-Origin-Resource-Policy': 'cross-origin',
  }
}

/** `If-None-Match` compares weakly (RFC 9110, 13.1.2). */
const isKnown = (header: string | undefined, etag: string): boolean =>
  header !== undefined &&
  (header.trim() === '*' || header.split(',').some((one) => one.trim().replace(/^W\//, '') === etag))

/** The one range that is asked for; undefined: all of it, also where several are asked for. */
function rangeOf(
  request: RequestFacts | undefined,
  bytes: number,
  etag: string,
): { start: number; end: number } | 'unsatisfiable' | undefined {
  const header = request?.header('range')
  const condition = request?.header('if-range')
  if (header === undefined || (condition !== undefined && condition !== etag)) return undefined
  const ranges = parseRange(bytes, header, { combine: true })
  if (ranges === -1) return 'unsatisfiable'
  if (ranges === -2 || ranges.type !== 'bytes' || ranges.length !== 1) return undefined
  return ranges[0]
}
