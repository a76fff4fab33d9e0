import { text } from 'node:stream/consumers'
import { fromBufferPromise } from 'yauzl'

/** The files of a ZIP as texts, checked against their sums, and those named `*.json` as the rows that they hold. */
export async function unzip(archive: Buffer) {
  const texts = new Map<string, string>()
  const zip = await fromBufferPromise(archive, { lazyEntries: true })
  for await (const entry of zip.eachEntry())
    texts.set(entry.fileName, await text(await zip.openReadStreamPromise(entry)))
  const json = (name: string): unknown[] => JSON.parse(texts.get(`${name}.json`) ?? 'null')
  return { texts, json }
}
