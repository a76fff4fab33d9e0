import { randomBytes } from 'node:crypto'
import { openAsBlob } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { sendFile } from '../../src/client/upload.ts'
import type { UploadsJob, UploadsResult } from '../jobs.ts'
import { cpuSeconds, forgetPeak, peakBytes, residentBytes } from '../measure.ts'

/** Of noise as JPEG; photographs take about as much. */
const noiseBytesPerPixel = 0.388

type Upload = { file: Blob; name: string; isImage: boolean }
type Outcome = { bytes: number; url: string } | { failure: string }

/** Everyone uploads one file, all at once. What Kintsugi has taken is then read back by its address. */
export async function runUploads({ target, urls, pids, world, fileBytes }: UploadsJob): Promise<UploadsResult> {
  const [url = ''] = urls
  const [pid = 0] = pids
  const folder = await mkdtemp(join(tmpdir(), 'kintsugi-uploads-'))
  try {
    const photograph = await createCamera(fileBytes)
    const uploads: Upload[] = []
    for (const person of world.people.keys()) {
      const isImage = person % 2 === 0
      const name = `${person}${isImage ? '.jpg' : '.mp4'}`
      await (isImage ? photograph(join(folder, name)) : record(fileBytes, join(folder, name)))
      uploads.push({ name, isImage, file: await openAsBlob(join(folder, name)) })
    }
    // a reading begins the time of the next one
    await lagOf(url)
    forgetPeak(pid)
    const before = { idleBytes: residentBytes(pid), cpu: cpuSeconds(pid), at: performance.now() }
    const outcomes = await Promise.all(
      world.people.map(({ token }, person) => upload(url, token, uploads[person] as Upload)),
    )
    const seconds = (performance.now() - before.at) / 1000
    const serverCpu = cpuSeconds(pid) - before.cpu
    const lag = await lagOf(url)
    const peak = peakBytes(pid)
    const failures = outcomes.flatMap((outcome) => ('failure' in outcome ? outcome.failure : []))
    return {
      ...{ uploads: outcomes.length - failures.length, failures: [...new Set(failures)], seconds, serverCpu },
      ...{ idleBytes: before.idleBytes, peakBytes: peak, ...lag },
      intact: target === 'kintsugi' ? await countIntact(url, outcomes, uploads) : 0,
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Writes photographs of about so many bytes, of 14 million pixels at 5 MB, no two of them alike. */
async function createCamera(fileBytes: number): Promise<(file: string) => Promise<void>> {
  const side = Math.round(Math.sqrt(fileBytes / noiseBytesPerPixel))
  const size = { width: side, height: side, channels: 3 } as const
  const noise = { type: 'gaussian', mean: 128, sigma: 30 } as const
  const scene = await sharp({ create: { ...size, height: 2 * side, background: 'black', noise } })
    .raw()
    .toBuffer()
  let taken = 0
  return async (file) => {
    const from = taken++ * side * size.channels
    const view = scene.subarray(from, from + side * side * size.channels)
    await sharp(view, { raw: size }).jpeg({ quality: 80 }).toFile(file)
  }
}

/** An MP4 as far as its boxes go: a type, a movie of a minute, and data that no two of them share. */
async function record(fileBytes: number, file: string): Promise<void> {
  const movie = Buffer.alloc(100)
  movie.writeUInt32BE(1000, 12)
  movie.writeUInt32BE(60_000, 16)
  const head = Buffer.concat([box('ftyp', Buffer.from('isom\0\0\x02\0isommp41')), box('moov', box('mvhd', movie))])
  const data = box('mdat', randomBytes(fileBytes - head.length - 8))
  await writeFile(file, [head, data])
}

function box(type: string, content: Buffer): Buffer {
  const head = Buffer.alloc(8)
  head.writeUInt32BE(content.length + 8)
  head.write(type, 4, 'latin1')
  return Buffer.concat([head, content])
}

async function upload(url: string, token: string, { file, name }: Upload): Promise<Outcome> {
  return sendFile(url, fetch, { file, name, token }).catch((error: Error) => ({
    failure: `${error.message} ${error.cause ?? ''}`,
  }))
}

/** How many of the uploads are as long as was said when they were taken, videos as long as what was sent. */
async function countIntact(url: string, outcomes: Outcome[], uploads: Upload[]): Promise<number> {
  let intact = 0
  for (const [person, outcome] of outcomes.entries()) {
    if ('failure' in outcome) continue
    const response = await fetch(new URL(outcome.url, url))
    const bytes = (await response.arrayBuffer()).byteLength
    const { isImage, file } = uploads[person] as Upload
    if (response.ok && bytes === outcome.bytes && (isImage || bytes === file.size)) intact++
  }
  return intact
}

/** How late the server's event loop was since the last reading, in milliseconds, by its own figures. */
async function lagOf(url: string): Promise<{ lagP50: number; lagP99: number; lagMax: number }> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const read = (which: string) =>
    Number(new RegExp(`^nodejs_eventloop_lag_${which}_seconds(?:{.*})? (.+)$`, 'm').exec(text)?.[1]) * 1000
  return { lagP50: read('p50'), lagP99: read('p99'), lagMax: read('max') }
}
