import type { Lab } from './lab.ts'
import { memoryWorks } from './memory-works.ts'
import { queryWorks } from './query-works.ts'
import type { Row } from './report.ts'
import { trafficWorks, twoNodes } from './traffic-works.ts'

/** A thing to measure: a line of the table. */
export type Work = {
  /** What `--only` calls it. */
  name: string
  title: string
  /** What is missing for it here, if something is: then it is left out. */
  lacks?: (lab: Lab) => string | undefined
  /** `raw` goes to the JSON file as it is. */
  run(lab: Lab): Promise<{ row: Row; raw: unknown }>
}

/** Everything that the speed table of `docs/performance.md` shows, in its order. */
export const works: Work[] = [...trafficWorks, twoNodes, ...memoryWorks, ...queryWorks]
