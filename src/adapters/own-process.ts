import { type ChildProcess, fork, type Serializable } from 'node:child_process'
import { constants, setPriority } from 'node:os'
import { AppError } from '../kernel/errors.ts'

/** A process that has had nothing to do for so long ends, and its memory with it. */
const idleMs = 30_000

export interface OwnProcess<Job, Answer> {
  /**
   * Does a job, after those before it. Undefined where the process crashed over it, or did not come to its end in time and was
   * ended: the next job gets a new one.
   * @throws AppError unavailable after `close`
   */
  run(job: Job, limitMs: number): Promise<Answer | undefined>
  close(): void
}

/**
 * Runs jobs in a process of their own, one after the other: libraries that read what strangers send may crash, hang or
 * swell, and then it is that process which does. It begins when there is something to do, and is told nothing of the
 * server's environment.
 */
export function createOwnProcess<Job extends Serializable, Answer>(program: URL): OwnProcess<Job, Answer> {
  let child: ChildProcess | undefined
  let last: Promise<unknown> = Promise.resolve()
  let idle: NodeJS.Timeout | undefined
  let closed = false

  function begin(): ChildProcess {
    const begun = fork(program, {
      execArgv: ['--max-old-space-size=256'],
      // of several arenas glibc keeps in each what was needed there at its largest
      env: { MALLOC_ARENA_MAX: '1' },
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    })
    // who chats comes first
    if (begun.pid !== undefined) setPriority(begun.pid, constants.priority.PRIORITY_BELOW_NORMAL)
    // the server does not wait for it; it ends by itself when the server is gone
    begun.unref()
    begun.channel?.unref()
    // one that cannot begin is like one that ends
    begun.once('error', () => end(begun))
    begun.once('exit', () => end(begun))
    return begun
  }

  function end(ended: ChildProcess): void {
    if (child === ended) child = undefined
    ended.kill('SIGKILL')
  }

  async function run(job: Job, limitMs: number): Promise<Answer | undefined> {
    if (closed) throw new AppError('unavailable', 'The server is shutting down.')
    clearTimeout(idle)
    child ??= begin()
    const asked = child
    const answer = await answerOf<Answer>(asked, job, limitMs)
    if (answer === undefined) end(asked)
    else idle = setTimeout(end, idleMs, asked).unref()
    if (closed) throw new AppError('unavailable', 'The server is shutting down.')
    return answer
  }

  return {
    run(job, limitMs) {
      const done = last.then(() => run(job, limitMs))
      last = done.catch(() => {})
      return done
    },
    close() {
      closed = true
      clearTimeout(idle)
      if (child) end(child)
    },
  }
}

/** Undefined where the process says nothing in time, or ends. */
function answerOf<Answer>(child: ChildProcess, job: Serializable, limitMs: number): Promise<Answer | undefined> {
  const { promise, resolve } = Promise.withResolvers<Answer | undefined>()
  const timer = setTimeout(resolve, limitMs, undefined)
  const ended = (): void => resolve(undefined)
  const answered = (answer: unknown): void => resolve(answer as Answer)
  child.once('message', answered).once('exit', ended).once('error', ended)
  child.send(job, (error) => error && ended())
  return promise.finally(() => {
    clearTimeout(timer)
    child.off('message', answered).off('exit', ended).off('error', ended)
  })
}

/** In the process: does the jobs. What `work` throws ends the process, as a crash does. */
export function serveJobs<Job, Answer extends Serializable>(work: (job: Job) => Promise<Answer>): void {
  process.on('message', async (job: Job) => {
    const answer = await work(job)
    process.send?.(answer)
  })
  process.once('disconnect', () => process.exit())
}
