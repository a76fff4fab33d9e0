import { join } from 'node:path'
import sharp, { type Sharp, type SharpOptions } from 'sharp'
import type { MadeImage } from '../kernel/ports.ts'
import { serveJobs } from './own-process.ts'

/** The longest side of a thumbnail and of a preview, in pixels. */
const thumbnailSide = 512
const previewSide = 24
/** So long may one step take. */
const longestSeconds = 60

const quality = { jpeg: 85, webp: 82, preview: 30 }

/**
 * How each type that is read is written. AVIF takes long to write, and is shown less widely. JPEG in one pass: in two it is a
 * few per cent smaller, and has the whole image in memory in between.
 */
const outputs: Record<string, { mime: string; write(image: Sharp): Sharp }> = {
  'image/jpeg': { mime: 'image/jpeg', write: (image) => image.jpeg({ quality: quality.jpeg, optimiseCoding: false }) },
  'image/png': { mime: 'image/png', write: (image) => image.png() },
  'image/webp': { mime: 'image/webp', write: (image) => image.webp({ quality: quality.webp }) },
  'image/gif': { mime: 'image/gif', write: (image) => image.gif({ effort: 4 }) },
  'image/avif': { mime: 'image/webp', write: (image) => image.webp({ quality: quality.webp }) },
}

/** What the library calls the formats of these types: a file is not read as anything but what it was found to be. */
const formats: Record<string, string> = {
  'image/jpeg': 'jpeg',
  'image/png': 'png',
  'image/webp': 'webp',
  'image/gif': 'gif',
  'image/avif': 'heif',
}

/** The readers of these types; those of others are shut off, whatever a file looks like to the library. */
const loaders = ['Jpeg', 'Png', 'Webp', 'Nsgif', 'Heif'].map((name) => `VipsForeignLoad${name}`)

// one image at a time is one thread; the cache is for those who make many out of one
sharp.concurrency(1)
sharp.cache(false)
sharp.block({ operation: ['VipsForeignLoad'] })
sharp.unblock({ operation: loaders })

/** An image to be made anew, and where its files go. */
export interface Making {
  file: string
  mime: string
  folder: string
  maxPixels: number
}

/** What becomes of it. */
export type Made = { image: MadeImage } | { failed: 'unreadable' | 'too many pixels' | 'no room'; why: string }

serveJobs((making: Making) =>
  make(making).catch((error: unknown): Made => {
    const why = String(error)
    return { failed: /no space|ENOSPC|EDQUOT/i.test(why) ? 'no room' : 'unreadable', why }
  }),
)

async function make({ file, mime, folder, maxPixels }: Making): Promise<Made> {
  const output = outputs[mime]
  if (!output) return { failed: 'unreadable', why: mime }
  const open = (path: string, more: SharpOptions = {}): Sharp =>
    sharp(path, { limitInputPixels: maxPixels, failOn: 'error', sequentialRead: true, ...more }).timeout({
      seconds: longestSeconds,
    })
  const within = (path: string, side: number): Sharp =>
    open(path).resize({ width: side, height: side, fit: 'inside', withoutEnlargement: true })

  // the head alone, before anything is decoded
  const head = await open(file, { limitInputPixels: false }).metadata()
  const { format, width, height, pageHeight = height, pages = 1 } = head
  if (format !== formats[mime]) return { failed: 'unreadable', why: `${format} as ${mime}` }
  const isMoving = pages > 1 && output.mime === mime
  const pixels = width * pageHeight * (isMoving ? pages : 1)
  if (pixels > maxPixels) return { failed: 'too many pixels', why: String(pixels) }

  const made = join(folder, 'image')
  const thumbnail = join(folder, 'thumbnail')
  const upright = isMoving ? open(file, { animated: true }) : open(file).autoOrient()
  const written = await output.write(upright).toFile(made)
  await within(made, thumbnailSide).webp({ quality: quality.webp }).toFile(thumbnail)
  const preview = await within(thumbnail, previewSide).webp({ quality: quality.preview }).toBuffer()
  return {
    image: {
      file: made,
      mime: output.mime,
      width: written.width,
      height: written.pageHeight ?? written.height,
      thumbnail,
      preview: `data:image/webp;base64,${preview.toString('base64')}`,
    },
  }
}
