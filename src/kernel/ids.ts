import { randomFillSync } from 'node:crypto'
import { v7 } from 'uuid'

const length = 16
/** Filled many ids at a time: to ask the system for each would cost more than all the rest of an id. */
const pool = new Uint8Array(256 * length)
let used = pool.length
let at = 0
let count = 0

/** A new id: UUIDv7, so that ids made later sort later; of one process also those of one millisecond. */
export function newId(): string {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const random = pool.subarray(used, used + length)
  used += length
  const now = Date.now()
  if (now > at) {
    at = now
    // from the lower half, so that it does not run over within the millisecond
    count = new DataView(random.buffer, random.byteOffset).getUint32(0) >>> 1
  } else count += 1
  return v7({ msecs: at, seq: count, random })
}
