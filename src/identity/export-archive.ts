import type { Readable } from 'node:stream'
import { Readable as Stream } from 'node:stream'
import { ZipFile } from 'yazl'
import type { ExportSection } from '../kernel/ports.ts'

/** The most bytes of one part: what of an archive is in memory at a time, beside a page of rows. */
const partBytes = 1_048_576

/** Rows are handed on in texts of about so many characters: a step of the streams costs as much for one row as for many. */
const chunkLength = 65_536

/**
 * The archive of a user's data: a ZIP with one JSON array a section and a README, as parts in order, each but the last of
 * `partBytes`. Rows are read as fast as parts are taken.
 * @param done is told after each section
 */
export async function* archiveParts(
  userId: string,
  sections: readonly ExportSection[],
  done: (section: ExportSection) => Promise<void>,
): AsyncGenerator<Buffer> {
  const zip = new ZipFile()
  const output = zip.outputStream as Readable
  const fail = (error: unknown): void => void output.destroy(error as Error)
  zip.on('error', fail)
  let reading: Readable | undefined

  zip.addBuffer(Buffer.from(readme(sections)), 'README.txt')
  for (const section of sections) {
    zip.addReadStreamLazy(`${section.name}.json`, (give) => {
      reading = Stream.from(jsonArray(section, userId, done), { objectMode: false })
      // pipes pass no errors on
      reading.on('error', fail)
      give(null, reading)
    })
  }
  zip.end()

  try {
    let gathered: Buffer[] = []
    let length = 0
    for await (const chunk of output as AsyncIterable<Buffer>) {
      gathered.push(chunk)
      length += chunk.length
      while (length >= partBytes) {
        const whole = Buffer.concat(gathered)
        yield whole.subarray(0, partBytes)
        gathered = [whole.subarray(partBytes)]
        length -= partBytes
      }
    }
    if (length > 0) yield Buffer.concat(gathered)
  } finally {
    reading?.destroy()
  }
}

/** One row a line, so that a large file can be read by eyes and by simple tools. */
async function* jsonArray(
  section: ExportSection,
  userId: string,
  done: (section: ExportSection) => Promise<void>,
): AsyncGenerator<string> {
  let text = '['
  let separator = '\n'
  for await (const row of section.rows(userId)) {
    text += `${separator}${JSON.stringify(row)}`
    separator = ',\n'
    if (text.length < chunkLength) continue
    yield text
    text = ''
  }
  yield `${text}\n]\n`
  await done(section)
}

function readme(sections: readonly ExportSection[]): string {
  const files = sections.map(({ name, about }) => `${name}.json\n    ${about}`)
  return [
    `Your data, as of ${new Date().toISOString()}.`,
    'Each file is a JSON array (UTF-8), one row a line. Times are UTC. An empty array means that there is nothing.',
    'Passwords, access tokens and codes are left out; the server knows them by hashes alone.',
    ...files,
    '',
  ].join('\n\n')
}
