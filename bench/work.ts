import type { Lab } from './lab.ts'
import type { Row } from './report.ts'

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
