import { parseArgs } from 'node:util'
import type { TargetName } from './jobs.ts'

export type Options = {
  /** Names of the works to do; all when empty. */
  only: string[]
  /** Servers to measure; Kintsugi is left out where only the peers are looked at. */
  targets: TargetName[]
  rounds: number
  seconds: number
  warmUpSeconds: number
  jsonFile: string
  markdown: boolean
}

export const usage = `npm run bench -- [options] [name ...]

  name, --only <name,...>  do these works only (npm run bench -- --list names them)
  --targets <name,...>  bare, naive, kintsugi (standard: all three)
  --rounds <n>          rounds of which the median is taken (3)
  --seconds <s>         measured seconds of a round (5)
  --warm-up <s>         seconds before that (2)
  --json <file>         where the figures go (bench/results/latest.json)
  --markdown            print the table as Markdown
  --list                name the works and stop

  DATABASE_URL          a PostgreSQL server on which to make the database kintsugi_bench, removed at the end;
                        without it the embedded database is measured
  REDIS_URL             needed for the work with two nodes`

const targetNames: TargetName[] = ['bare', 'naive', 'kintsugi']

/**
 * Reads the command line.
 * @returns the options, or the text to print instead of running
 * @throws TypeError saying which argument is not understood
 */
export function readOptions(args: string[], workNames: string[]): Options | string {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      only: { type: 'string', default: '' },
      targets: { type: 'string', default: targetNames.join() },
      rounds: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '5' },
      'warm-up': { type: 'string', default: '2' },
      json: { type: 'string', default: 'bench/results/latest.json' },
      markdown: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return usage
  if (values.list) return workNames.join('\n')
  return {
    only: namesAmong([values.only, ...positionals].join(), workNames),
    targets: namesAmong(values.targets, targetNames),
    rounds: positive('--rounds', values.rounds),
    seconds: positive('--seconds', values.seconds),
    warmUpSeconds: positive('--warm-up', values['warm-up']),
    jsonFile: values.json,
    markdown: values.markdown,
  }
}

function namesAmong<T extends string>(list: string, known: T[]): T[] {
  const names = list.split(',').filter((name) => name !== '')
  const unknown = names.filter((name) => !(known as string[]).includes(name))
  if (unknown.length > 0) throw new TypeError(`${unknown.join(', ')}: not one of ${known.join(', ')}`)
  return names as T[]
}

function positive(name: string, text: string): number {
  const value = Number(text)
  if (!(value > 0)) throw new TypeError(`${name} must be a number above 0`)
  return value
}
