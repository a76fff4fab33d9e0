import { sql } from 'kysely'
import { z } from 'zod'
import { AppError } from './errors.ts'

/**
 * Cursors are opaque to clients: the sort key of the last row, so that a page costs the same wherever it lies and rows
 * that come meanwhile shift nothing.
 */
export const encodeCursor = (key: (string | number | boolean)[]): string =>
  Buffer.from(JSON.stringify(key)).toString('base64url')

/** Parts of keys: only what the database can read, whoever made the cursor. */
export const keyId = z.uuid()
export const keyTime = z.iso.datetime().refine((value) => /^20/.test(value))

/** A column of time as part of a key, to the microsecond that the database orders by. */
export const keyTimeOf = (column: string) =>
  sql`to_char(${sql.ref(column)} at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`

/**
 * Reads a cursor of the given key.
 * @throws AppError invalid_request for what is no cursor of this list
 */
export function decodeCursor<T>(cursor: string, key: z.ZodType<T>): T {
  try {
    return key.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString()))
  } catch {
    const message = 'is not from this list'
    throw new AppError('invalid_request', `cursor: ${message}`, { errors: [{ path: 'cursor', message }] })
  }
}
