import { serveJobs } from '../../src/adapters/own-process.ts'

/** Does what it is told, odd as it may be. */
serveJobs(async (job: 'environment' | 'crash' | 'hang' | 'throw') => {
  if (job === 'crash') process.kill(process.pid, 'SIGSEGV')
  if (job === 'hang') for (;;);
  if (job === 'throw') throw new Error('odd')
  return { pid: process.pid, names: Object.keys(process.env) }
})
