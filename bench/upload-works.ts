import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { UploadsResult } from './jobs.ts'
import type { Lab } from './lab.ts'
import { hasProc } from './measure.ts'
import { megabytes, milliseconds, perSecond, type Row } from './report.ts'
import type { Work } from './work.ts'
import { createPeople } from './world.ts'

const uploads = 200
const fileBytes = 5 * 2 ** 20
/** What the server may need above what it had before, and how late its event loop may be, at p99. */
const maxGrowthBytes = 150 * 2 ** 20
const maxLagMs = 50

/** What many files at once cost a node. */
export const uploadWorks: Work[] = [
  {
    name: 'uploads',
    title: `${uploads} uploads of 5 MB at once, half photographs and half videos`,
    lacks: () => (hasProc ? undefined : 'needs /proc'),
    async run(lab) {
      await lab.prepare({ people: createPeople(uploads), rooms: [] })
      const task = { kind: 'uploads', fileBytes } as const
      const { targets } = lab.options
      const peer = targets.includes('bare')
        ? await lab.measure('bare', task, { program: 'bench/peers/uploads.ts' })
        : undefined
      const own = targets.includes('kintsugi') ? await lab.measure('kintsugi', task) : undefined
      const isStored = own ? await stored(lab, own) : undefined
      const row: Row = {
        ...{ work: this.title, bare: peer ? perSecond(peer.uploads / peer.seconds) : '', naive: '' },
        kintsugi: own ? perSecond(own.uploads / own.seconds) : '',
        ratio: own ? `memory +${megabytes(growth(own))}, lag p99 ${milliseconds(own.lagP99)}` : '',
        required: `< +${megabytes(maxGrowthBytes)}, < ${maxLagMs} ms, all stored`,
        ok: own && isStored && own.lagP99 < maxLagMs && growth(own) < maxGrowthBytes && own.failures.length === 0,
        notes: [...(own ? notesOf('kintsugi', own) : []), ...(peer ? notesOf('multer to disk', peer) : [])],
      }
      return { row, raw: { own, peer } }
    },
  },
]

const growth = ({ idleBytes, peakBytes }: UploadsResult): number => peakBytes - idleBytes

/** Every upload has its row, and its file and thumbnail are in the folder, none twice and none else. */
async function stored(lab: Lab, { uploads: taken, intact }: UploadsResult): Promise<boolean> {
  const [counted] = await lab.withRows('kintsugi', (connection) =>
    connection.query<{ rows: number; objects: number }>(
      `select (select count(*) from attachments where status = 'ready')::int as rows,
         (select count(*) from media_objects where stored_at is not null)::int as objects`,
    ),
  )
  const folder = join(lab.storage.environment('kintsugi').DATA_DIR ?? '', 'media')
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).length
  const { rows = 0, objects = 0 } = counted ?? {}
  const isSo = taken === uploads && intact === uploads && rows === uploads && objects === files && files >= uploads
  if (!isSo) lab.faults.push(`${taken} taken, ${intact} read back, ${rows} rows, ${objects} objects, ${files} files`)
  return isSo
}

function notesOf(name: string, { idleBytes, peakBytes, lagP50, lagP99, lagMax, ...result }: UploadsResult): string[] {
  return [
    ...result.failures.map((failure) => `${name}: ${failure}`),
    `${name}: ${result.uploads} in ${result.seconds.toFixed(1)} s; resident ${megabytes(idleBytes)} before, ` +
      `${megabytes(peakBytes)} at the most; event loop lag p50 ${milliseconds(lagP50)}, p99 ${milliseconds(lagP99)}, ` +
      `most ${milliseconds(lagMax)} over the time of the uploads, the 10 ms between two looks included; ` +
      `${((result.serverCpu / result.seconds) * 100).toFixed(0)} % of a core`,
  ]
}
