import type { Readable } from 'node:stream'
import { Readable as Stream } from 'node:stream'
import { finished } from 'node:stream/promises'
import { ZipFile } from 'yazl'
import { AppError } from '../kernel/errors.ts'
import type { ExportSection } from '../kernel/ports.ts'

/** The most bytes of one part: what of an archive is in memory at a time, beside a page of rows. */
const partBytes = 1_048_576

/** Rows are handed on in texts of about so many characters: a step of the streams costs as much for one row as for many. */
const chunkLength = 65_536

/**
 * The archive of a user's data: a ZIP with one JSON array a section, then the files of the sections that have some, and a
 * README; as parts in order, each but the last of `partBytes`. Rows and files are read one after the other, as fast as parts
 * are taken.
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

  /** Settles when all of it is in the archive. */
  async function add(path: string, content: Readable, options?: { compress: boolean }): Promise<void> {
    // pipes pass no errors on
    content.on('error', fail)
    if (output.destroyed) content.destroy()
    reading = content
    zip.addReadStream(content, path, options)
    await finished(content)
  }

  async function fill(): Promise<void> {
    zip.addBuffer(Buffer.from(readme(sections)), 'README.txt')
    for (const section of sections) {
      await add(`${section.name}.json`, Stream.from(jsonArray(section, userId), { objectMode: false }))
      if (!section.files) await done(section)
    }
    for (const section of sections) {
      if (!section.files) continue
      for await (const { name, content } of section.files(userId)) {
        const opened = await open(content)
        // images and the like are as small as they get
        if (opened) await add(`${section.name}/${name}`, opened, { compress: false })
      }
      await done(section)
    }
    zip.end()
  }
  fill().catch(fail)

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

/** The file once its first bytes have come; undefined where it has gone since it was named, which is no fault. */
async function open(content: Readable): Promise<Readable | undefined> {
  const chunks = content[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  try {
    const opened = Stream.from(from(await chunks.next(), chunks), { objectMode: false })
    // also where nobody takes the rest
    return opened.once('close', () => content.destroy())
  } catch (error) {
    if (error instanceof AppError && error.code === 'not_found') return undefined
    throw error
  }
}

async function* from(first: IteratorResult<Buffer>, rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  for (let next = first; !next.done; next = await rest.next()) yield next.value
}

/** One row a line, so that a large file can be read by eyes and by simple tools. */
async function* jsonArray(section: ExportSection, userId: string): AsyncGenerator<string> {
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
}

function readme(sections: readonly ExportSection[]): string {
  const described = sections.flatMap(({ name, about, files }) => [
    `${name}.json\n    ${about}`,
    ...(files ? [`${name}/\n    The files that ${name}.json tells of, as they are stored.`] : []),
  ])
  return [
    `Your data, as of ${new Date().toISOString()}.`,
    'Each file named .json is a JSON array (UTF-8), one row a line. Times are UTC. An empty array means that there is nothing.',
    'Passwords, access tokens and codes are left out; the server knows them by hashes alone.',
    ...described,
    '',
  ].join('\n\n')
}
