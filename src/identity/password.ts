import { randomBytes } from 'node:crypto'
import { hash, parseOptions, verify } from '@node-rs/argon2'

export interface PasswordCost {
  /** KiB of memory for one hash. */
  memoryKib: number
  /** Passes over that memory. */
  iterations: number
}

export type Hashing = ReturnType<typeof createHashing>

const base64 = (bytes: number): string => randomBytes(bytes).toString('base64').replaceAll('=', '')

/**
 * Hashes of passwords: argon2id (the package's algorithm unless told otherwise) with one lane, at the configured cost. At the
 * standard one, 19 MiB and 2 passes, the first choice of the OWASP Password Storage Cheat Sheet, that is about 15 ms on
 * libuv's threads, of which there are four: at most four hashes at a time take memory, and none takes the event loop.
 */
export function createHashing({ memoryKib, iterations }: PasswordCost) {
  const parameters = { memoryCost: memoryKib, timeCost: iterations, parallelism: 1 }
  /** A hash that no password matches, as costly to verify as a new one. */
  const nobodysHash = `$argon2id$v=19$m=${memoryKib},t=${iterations},p=1$${base64(16)}$${base64(32)}`

  return {
    /** The password's hash with a fresh salt, in PHC format. */
    hash: (password: string): Promise<string> => hash(password, parameters),

    /**
     * Whether the password belongs to the hash, which says its own cost. Without a hash (no such account, or one without a
     * password) the answer is no after the same work, so that its time does not tell which accounts exist.
     */
    verify: (passwordHash: string | null | undefined, password: string): Promise<boolean> =>
      verify(passwordHash ?? nobodysHash, password),

    /** Whether a hash was made under another cost: it is as good as that cost, and takes as long. */
    isOutdated(passwordHash: string): boolean {
      const { memoryCost, timeCost, parallelism } = parseOptions(passwordHash)
      return memoryCost !== memoryKib || timeCost !== iterations || parallelism !== 1
    },
  }
}

/** Whether the password belongs to the hash, of an account that is known to have one. */
export const verifyPassword = (passwordHash: string, password: string): Promise<boolean> =>
  verify(passwordHash, password)
