import { copyFile, link, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { AppError, notFound } from '../kernel/errors.ts'
import { newId } from '../kernel/ids.ts'
import type { ObjectStore } from '../kernel/ports.ts'

/** Objects as files below a folder, by their keys. What stands under a key is whole and does not change. */
export function createDiskStore(folder: string): ObjectStore {
  const pathOf = (key: string): string => join(folder, key)

  return {
    put: (key, file) =>
      answering(async () => {
        const path = pathOf(key)
        await mkdir(dirname(path), { recursive: true, mode: 0o700 })
        await flush(file)
        // under its name it is there at once and whole
        await link(file, path).catch((error: unknown) => {
          if (codeOf(error) !== 'EEXIST') return copy(file, path)
        })
        await flushFolder(dirname(path))
      }),

    open: (key, range) =>
      answering(async () => {
        const handle = await open(pathOf(key)).catch(unlessAbsent)
        if (!handle) throw notFound('object')
        return handle.createReadStream(range)
      }),

    remove: (key) =>
      answering(async () => {
        const path = pathOf(key)
        await rm(path, { force: true })
        // of a process that died while it copied
        const names = (await readdir(dirname(path)).catch(unlessAbsent)) ?? []
        const parts = names.filter((name) => name.startsWith(`${basename(path)}.`))
        for (const part of parts) await rm(join(dirname(path), part), { force: true })
      }),

    close() {},
  }
}

/** For files on another disk, and file systems without links. */
async function copy(file: string, path: string): Promise<void> {
  const part = `${path}.${newId()}`
  try {
    await copyFile(file, part)
    await flush(part)
    await rename(part, path)
  } catch (error) {
    await rm(part, { force: true })
    throw error
  }
}

/** So that a power cut takes nothing which was said to be stored. */
async function flush(file: string): Promise<void> {
  const handle = await open(file, 'r+')
  await handle.sync().finally(() => handle.close())
}

async function flushFolder(folder: string): Promise<void> {
  // there a folder cannot be opened, and need not be
  if (process.platform === 'win32') return
  const handle = await open(folder)
  await handle.sync().finally(() => handle.close())
}

const codeOf = (error: unknown): unknown => (error as NodeJS.ErrnoException).code

function unlessAbsent(error: unknown): undefined {
  if (codeOf(error) !== 'ENOENT') throw error
}

async function answering<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof AppError) throw error
    throw new AppError('unavailable', 'The storage of media does not answer right now.', { cause: error })
  }
}
