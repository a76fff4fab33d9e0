import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
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

/**
 * Takes the data folder for this process: two processes on one embedded database would lose each other's rows in
 * silence. The lock file holds its owner's pid; one left by a process that is gone is taken over.
 * @returns gives the folder back
 * @throws FolderInUseError
 */
export function lockFolder(folder: string): () => void {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const file = join(folder, 'lock')
  for (let attempt = 0; attempt < 10; attempt++) {
    try {
      writeFileSync(file, `${process.pid}\n`, { flag: 'wx' })
      return () => rmSync(file, { force: true })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    const owner = readOwner(file)
    if (owner === undefined) continue
    if (isRunning(owner)) throw new FolderInUseError(folder, owner)
    removeStale(file, owner)
  }
  throw new Error(`The lock file ${file} changes all the time: too many processes start on this folder.`)
}

function readOwner(file: string): number | undefined {
  try {
    return Number.parseInt(readFileSync(file, 'utf8'), 10) || 0
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** A container's process is often pid 1 again after a crash, so our own pid in a file that we did not write is stale. */
function isRunning(pid: number): boolean {
  if (pid === 0 || pid === process.pid) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Renaming is atomic: of two processes that find the same stale file one wins, and notices if it caught a fresh one. */
function removeStale(file: string, owner: number): void {
  const aside = `${file}.${process.pid}`
  try {
    renameSync(file, aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  if (readOwner(aside) === owner) rmSync(aside, { force: true })
  else renameSync(aside, file)
}
