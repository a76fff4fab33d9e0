import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Thrown when another process has the data folder; its message is meant to be printed as it is. */
export class FolderInUseError extends Error {
  constructor(folder: string, owner: number) {
    super(
      `The data folder ${folder} is in use by process ${owner}. Stop that process, set DATA_DIR to another folder, or set DATABASE_URL to run several processes on one PostgreSQL.`,
    )
    this.name = 'FolderInUseError'
  }
}

const attempts = 8
const longestPauseMs = 80

/**
 * Takes the data folder for this process: two processes on one embedded database would lose each other's rows in
 * silence. Each process announces itself by a file `lock.<pid>` and only then looks for others; so of two that start at
 * once at least one sees the other, and gives way. Files of processes that are gone are removed.
 * @returns gives the folder back
 * @throws FolderInUseError
 */
export function lockFolder(folder: string): () => void {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const own = join(folder, `lock.${process.pid}`)
  for (let attempt = 1; ; attempt++) {
    writeFileSync(own, `${process.pid}\n`)
    const owner = otherOwner(folder)
    if (owner === undefined) return () => rmSync(own, { force: true })
    rmSync(own, { force: true })
    // the other may be giving way at this moment too: after a random pause one of them finds the folder free
    if (attempt === attempts) throw new FolderInUseError(folder, owner)
    pause(Math.random() * longestPauseMs)
  }
}

/** A running process, other than this one, that has announced itself. */
function otherOwner(folder: string): number | undefined {
  for (const name of readdirSync(folder)) {
    const pid = Number(/^lock\.(\d+)$/.exec(name)?.[1])
    // a container's process is often pid 1 again after a crash: what bears our own pid is ours now
    if (!pid || pid === process.pid) continue
    if (isRunning(pid)) return pid
    rmSync(join(folder, name), { force: true })
  }
  return undefined
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** The process has nothing else to do yet. */
const pause = (ms: number) => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
