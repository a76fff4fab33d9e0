import { memoryWorks } from './memory-works.ts'
import { pageWorks } from './page-works.ts'
import { queryWorks } from './query-works.ts'
import { streamWorks } from './stream-works.ts'
import { trafficWorks, twoNodes } from './traffic-works.ts'
import { uploadWorks } from './upload-works.ts'
import type { Work } from './work.ts'

/** Everything that the speed table of `docs/performance.md` shows, in its order. */
export const works: Work[] = [
  ...[...trafficWorks, twoNodes, ...memoryWorks, ...queryWorks],
  ...[...streamWorks, ...uploadWorks, ...pageWorks],
]
