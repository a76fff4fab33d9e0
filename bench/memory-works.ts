import type { IdleResult, TargetName } from './jobs.ts'
import { hasProc, openFilesLimit } from './measure.ts'
import { kilobytes, type Row } from './report.ts'
import type { Work } from './work.ts'
import { createRooms } from './world.ts'

const idleSockets = 10_000
/** What Kintsugi may need above the bare server for a user who is connected and silent. */
const maxExtraBytes = 15 * 1024
/** Files that a process has open besides its sockets. */
const otherFiles = 200

/** What connected users cost who do nothing. */
export const memoryWorks: Work[] = [
  {
    name: 'idle',
    title: `${idleSockets.toLocaleString('en')} idle sockets, one conversation each: memory of the server per socket`,
    lacks() {
      if (!hasProc) return 'needs /proc'
      return openFilesLimit() < idleSockets + otherFiles ? `needs \`ulimit -n ${idleSockets + otherFiles}\`` : undefined
    },
    async run(lab) {
      await lab.prepare(createRooms(idleSockets / 2, 2, 0))
      const results: Partial<Record<TargetName, IdleResult>> = {}
      for (const target of lab.options.targets) {
        if (target === 'naive') continue
        results[target] = await lab.measure(target, { kind: 'idle' }, { collectable: true })
      }
      // All that the server has, by the socket: what it has before the first is no measure to subtract, since the first
      // thousands of sockets live in what starting the server left free. So the program itself counts against us.
      const each = (target: TargetName) => (results[target]?.bytes ?? NaN) / idleSockets
      const shown = (target: TargetName) => (results[target] ? kilobytes(each(target)) : '')
      const extra = each('kintsugi') - each('bare')
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
