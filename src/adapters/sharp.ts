import { availableParallelism } from 'node:os'
import { AppError } from '../kernel/errors.ts'
import type { ImageMaker } from '../kernel/ports.ts'
import { createOwnProcess } from './own-process.ts'
import type { Made, Making } from './sharp.process.ts'

/** No image within the limit of pixels takes so long. */
const longestMs = 75_000
const mostProcesses = 4

/**
 * Images by sharp, in processes of its own, one image at a time in each: an image decoded takes many times the memory of its
 * file. There is one process less than there are cores, and the images that are too many wait.
 */
export function createImageMaker({ maxPixels }: { maxPixels: number }): ImageMaker {
  const count = Math.min(mostProcesses, Math.max(1, availableParallelism() - 1))
  const processes = Array.from({ length: count }, () => ({
    work: createOwnProcess<Making, Made>(new URL('./sharp.process.ts', import.meta.url)),
    waiting: 0,
  }))

  /** The one with the least to do. */
  async function make(making: Making): Promise<Made | undefined> {
    const free = processes.reduce((one, other) => (other.waiting < one.waiting ? other : one))
    free.waiting += 1
    return await free.work.run(making, longestMs).finally(() => {
      free.waiting -= 1
    })
  }

  return {
    types: new Set(['image/jpeg', 'image/png', 'image/webp', 'image/gif', 'image/avif']),
    async make(file, mime, folder) {
      const made = await make({ file, mime, folder, maxPixels })
      if (made && 'image' in made) return made.image
      if (made?.failed === 'too many pixels')
        throw new AppError('payload_too_large', `An image must have at most ${maxPixels} pixels, all frames together.`)
      if (made?.failed === 'no room')
        throw new AppError('unavailable', 'There is no room for the image right now.', { cause: made.why })
      // what the library says is about bytes, and of no use to whoever sent the file
      throw new AppError('unsupported_media', 'The image cannot be read: it is broken, or no image.')
    },
    close: () => {
      for (const { work } of processes) work.close()
    },
  }
}
