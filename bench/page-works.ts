import { withoutBrowser } from '../test/support/browser.ts'
import type { PageResult } from './jobs.ts'
import { percentile } from './measure.ts'
import { megabytes, milliseconds, type Row } from './report.ts'
import type { Work } from './work.ts'
import { createPeople, createRoom } from './world.ts'

const length = 10_000
/** From the press on a conversation to its last page on the screen: its messages have come before. */
const maxOpeningMs = 100
/** Elements in the page, however long the conversation is. */
const maxElements = 5_000
/** What the messages themselves need in memory is some 1 KB each. */
const maxGrowthBytes = 60 * 2 ** 20

/** What a long conversation costs the page. */
export const pageWorks: Work[] = [
  {
    name: 'page',
    title: `the page: a conversation of ${length.toLocaleString('en')}, opened and scrolled to its beginning`,
    lacks: () => withoutBrowser || undefined,
    async run(lab) {
      // a group, so that both write and neither is alone in it
      await lab.prepare({
        people: createPeople(3),
        rooms: [createRoom([0, 1, 2], 0, length), createRoom([0, 1], 0, 50)],
      })
      const own = await lab.measure('kintsugi', { kind: 'page' })
      const opening = percentile(own.openings, 0.5)
      const row: Row = {
        ...{ work: this.title, bare: '', naive: '' },
        kintsugi: `${milliseconds(opening)}, ${own.longTasks.length} long tasks`,
        ratio: `${own.elements} elements, heap +${megabytes(own.heapAfter - own.heapBefore)}`,
        required: `< ${maxOpeningMs} ms, < ${maxElements} elements, < +${megabytes(maxGrowthBytes)}, all messages`,
        ok:
          opening < maxOpeningMs &&
          own.elements < maxElements &&
          own.heapAfter - own.heapBefore < maxGrowthBytes &&
          own.messages === length,
        notes: [noteOf(own)],
      }
      return { row, raw: own }
    },
  },
]

function noteOf({ openings, coldOpenings, longTasks, ...result }: PageResult): string {
  const each = (times: number[]) => times.map(milliseconds).join(', ')
  return (
    `opened from the list in ${each(openings)}; with a fresh page, from the answer on, in ${each(coldOpenings)}; scrolled past ${result.messages} ` +
    `messages in ${result.seconds.toFixed(1)} s, frames p50 ${milliseconds(result.frameP50)}, p99 ` +
    `${milliseconds(result.frameP99)}; tasks over 50 ms: ${longTasks.length}, the longest ` +
    `${milliseconds(Math.max(0, ...longTasks))}; scripts had ${megabytes(result.heapBefore)} before and ` +
    `${megabytes(result.heapAfter)} after`
  )
}
