import { startModel } from './processes.ts'
import { milliseconds, type Row } from './report.ts'
import type { Work } from './work.ts'
import { createPeople } from './world.ts'

const streams = 500
/** Of the longer half of the answers: ten seconds at 50 a second. */
const tokens = 500
const model = 'bench-model'
/** What a character of a long text may cost on the wire beside one of a short text: the same, but for chance. */
const maxGrowth = 1.1

/** What answers that many people read as they grow cost, on one node. */
export const streamWorks: Work[] = [
  {
    name: 'streams',
    title: `${streams} streams at once, 50 tokens/s each: time from the model to the reader`,
    lacks: ({ options }) => (options.targets.includes('kintsugi') ? undefined : 'measures Kintsugi only'),
    async run(lab) {
      await lab.prepare({ people: createPeople(streams), rooms: [] })
      const provider = await startModel()
      try {
        const environment = {
          AI_PROVIDERS: 'bench',
          AI_BENCH_BASE_URL: `${provider.url}/v1`,
          AI_BENCH_MODELS: `${model}=32000`,
        }
        const result = await lab.measure('kintsugi', { kind: 'streams', model, tokens }, { environment })
        const growth = result.bytesPerCharacter.long / result.bytesPerCharacter.short
        const cpu = result.serverCpu / result.seconds
        const row: Row = {
          ...{ work: this.title, bare: '', naive: '' },
          kintsugi: `p50 ${milliseconds(result.p50)}, p99 ${milliseconds(result.p99)}`,
          ratio: `${growth.toFixed(2)} × the bytes a character in texts twice as long`,
          required: `all whole, ≤ ${maxGrowth} ×`,
          ok: result.whole === streams && growth <= maxGrowth,
          notes: [
            ...result.failures,
            `${result.whole} of ${streams} texts were read exactly as stored; ${result.tokens} tokens in ` +
              `${result.deltas} events; ${Math.round(cpu * 100)} % of a core, ` +
              `${((result.serverCpu / result.tokens) * 1e6).toFixed(0)} µs a token`,
          ],
        }
        return { row, raw: result }
      } finally {
        await provider.stop()
      }
    },
  },
]
