import { randomBytes } from 'node:crypto'
import { hash, verify } from '@node-rs/argon2'

/**
 * argon2id (the package's algorithm unless told otherwise) at 19 MiB, 2 iterations, 1 lane: the first choice of the OWASP
 * Password Storage Cheat Sheet. About 15 ms on libuv's threads, of which there are four: at most four hashes at a time
 * take memory, and none takes the event loop.
 */
const parameters = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }

const base64 = (bytes: number): string => randomBytes(bytes).toString('base64').replaceAll('=', '')

/** A hash that no password matches, as costly to verify as a real one. */
const nobodysHash =
  `$argon2id$v=19$m=${parameters.memoryCost},t=${parameters.timeCost},p=${parameters.parallelism}` +
  `$${base64(16)}$${base64(32)}`

/** The password's argon2id hash with a fresh salt, in PHC format. */
export const hashPassword = (password: string): Promise<string> => hash(password, parameters)

/**
 * Whether the password belongs to the hash. Without a hash (no such account, or one without a password) the answer is
 * no after the same work, so that its time does not tell which accounts exist.
 */
export const verifyPassword = (passwordHash: string | null | undefined, password: string): Promise<boolean> =>
  verify(passwordHash ?? nobodysHash, password)
