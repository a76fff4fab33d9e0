import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { fileTypeFromFile } from 'file-type'
import { type IFormat, parseFile } from 'music-metadata'
import type { FileFacts } from '../kernel/ports.ts'
import { serveJobs } from './own-process.ts'
import { isPlainDrawing, isSvg, maxSvgBytes } from './svg.ts'

/** The beginning of a text is enough to tell a drawing from others. */
const headBytes = 65_536

/** Names of one type under which others know it. */
const sameAs: Record<string, string> = {
  'audio/x-flac': 'audio/flac',
  'audio/vnd.wave': 'audio/wav',
  'audio/x-wav': 'audio/wav',
  'video/x-m4v': 'video/mp4',
}

/** What containers are called that have no pictures in them, as recorders in browsers make them. */
const withoutPictures: Record<string, string> = {
  'video/webm': 'audio/webm',
  'video/mp4': 'audio/mp4',
  'video/3gpp': 'audio/3gpp',
  'application/ogg': 'audio/ogg',
}

/** By the two bytes of a byte order mark. */
const markedEncodings: Record<string, string> = { fffe: 'utf-16le', feff: 'utf-16be' }

/** What the process answers: facts; why it refuses the file, for whoever sent it; or that it could not be read, for the log. */
export type Inspected = { facts: FileFacts } | { refused: string } | { failed: string }

serveJobs((file: string) => inspect(file).catch((error: unknown): Inspected => ({ failed: String(error) })))

async function inspect(file: string): Promise<Inspected> {
  const { size: bytes } = await stat(file)
  const hash = createHash('sha256')
  await pipeline(createReadStream(file, { highWaterMark: 262_144 }), hash)
  const sha256 = hash.digest('hex')
  const found = await typeOf(file)
  if (found === undefined || found === 'application/xml') {
    const head = await beginning(file, headBytes)
    if (!isSvg(head)) return { facts: { bytes, sha256, mime: found, durationMs: undefined } }
    if (bytes > maxSvgBytes || !isPlainDrawing(await beginning(file, maxSvgBytes)))
      return { refused: 'As SVG only plain drawings are taken: without scripts, links, or what lies elsewhere.' }
    return { facts: { bytes, sha256, mime: 'image/svg+xml', durationMs: undefined } }
  }
  if (!/^(video|audio)\/|^application\/ogg$/.test(found))
    return { facts: { bytes, sha256, mime: found, durationMs: undefined } }
  const { duration, hasVideo, hasAudio } = await formatOf(file)
  return {
    facts: {
      bytes,
      sha256,
      mime: (hasAudio && hasVideo === false && withoutPictures[found]) || found,
      durationMs: duration === undefined ? undefined : Math.round(duration * 1000),
    },
  }
}

/** Without parameters, such as the codecs; undefined also where the file only begins like something. */
async function typeOf(file: string): Promise<string | undefined> {
  const mime = (await fileTypeFromFile(file).catch(() => undefined))?.mime.split(';')[0]
  return mime && (sameAs[mime] ?? mime)
}

/** Empty where nothing can be told. */
async function formatOf(file: string): Promise<Partial<IFormat>> {
  try {
    const { format } = await parseFile(file, { skipCovers: true, duration: false })
    const { duration } = format
    // of a recording that nobody ended some containers say that it is endless
    return { ...format, ...(duration !== undefined && !(duration >= 0 && duration < 1e6) && { duration: undefined }) }
  } catch {
    return {}
  }
}

/** The text at the beginning of a file, by its byte order mark or else as UTF-8. */
async function beginning(file: string, length: number): Promise<string> {
  const handle = await open(file)
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, 0)
    const read = buffer.subarray(0, bytesRead)
    const encoding = markedEncodings[read.toString('hex', 0, 2)] ?? 'utf-8'
    return new TextDecoder(encoding).decode(read)
  } finally {
    await handle.close()
  }
}
