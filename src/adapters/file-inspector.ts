import { stat } from 'node:fs/promises'
import { AppError } from '../kernel/errors.ts'
import type { FileInspector } from '../kernel/ports.ts'
import type { Inspected } from './file-inspector.process.ts'
import { createOwnProcess } from './own-process.ts'

/** So many bytes are read in a millisecond even from a slow disk. */
const slowestBytesPerMs = 10_000

/**
 * Looks into files in a process of its own, one after the other.
 * @param patienceMs how long it may take beside the reading
 */
export function createFileInspector(patienceMs = 30_000): FileInspector {
  const process = createOwnProcess<string, Inspected>(new URL('./file-inspector.process.ts', import.meta.url))
  return {
    async inspect(file) {
      const { size } = await stat(file)
      const inspected = await process.run(file, patienceMs + size / slowestBytesPerMs)
      if (!inspected) throw new AppError('unsupported_media', 'It cannot be told what is in the file.')
      if ('failed' in inspected) throw new Error(`A file could not be looked at: ${inspected.failed}`)
      if ('refused' in inspected) throw new AppError('unsupported_media', inspected.refused)
      return inspected.facts
    },
    close: process.close,
  }
}
