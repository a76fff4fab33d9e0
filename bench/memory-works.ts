import type { IdleResult, TargetName } from './jobs.ts'
import { openFilesLimit } from './measure.ts'
import { kilobytes, type Row } from './report.ts'
import type { Work } from './works.ts'
import { createRooms } from './world.ts'

const idleSockets = 10_000
/** What Kintsugi may need above the bare server for a user who is connected and silent. */
const maxExtraBytes = 15 * 1024
/** Files that a process has open besides its sockets. */
const otherFiles = 200

const needsLinux = () => (process.platform === 'linux' ? undefined : 'reads /proc, which only Linux has')

/** What connected users cost who do nothing. */
export const memoryWorks: Work[] = [
  {
    name: 'idle',
    title: `${idleSockets.toLocaleString('en')} idle sockets, one conversation each: memory`,
    lacks: () =>
      needsLinux() ??
      (openFilesLimit() < idleSockets + otherFiles ? `needs \`ulimit -n\` of ${idleSockets + otherFiles}` : undefined),
    async run(lab) {
      await lab.prepare(createRooms(idleSockets / 2, 2, 0))
      const results: Partial<Record<TargetName, IdleResult>> = {}
      for (const target of lab.options.targets) {
        if (target === 'naive') continue
        results[target] = await lab.measure(target, { kind: 'idle' }, { collectable: true })
      }
      const each = (target: TargetName) => results[target]?.bytesPerSocket
      const shown = (target: TargetName) => (results[target] ? kilobytes(results[target].bytesPerSocket) : '')
      const extra = (each('kintsugi') ?? NaN) - (each('bare') ?? NaN)
      const judged = !Number.isNaN(extra)
      const row: Row = {
        work: this.title,
        bare: shown('bare'),
        naive: '',
        kintsugi: shown('kintsugi'),
        ratio: judged ? `bare ${extra < 0 ? '−' : '+'} ${kilobytes(Math.abs(extra))}` : '',
        required: `≤ bare + ${kilobytes(maxExtraBytes)}`,
        ok: judged ? extra <= maxExtraBytes : undefined,
        notes: [],
      }
      return { row, raw: results }
    },
  },
]
