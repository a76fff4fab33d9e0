import { AppError } from './errors.ts'

/**
 * Cursors are opaque to clients: the sort key of the last row, so that a page costs the same wherever it lies and rows
 * that come meanwhile shift nothing.
 */
export const encodeCursor = (key: (string | number | boolean)[]): string =>
  Buffer.from(JSON.stringify(key)).toString('base64url')

/**
 * Reads a cursor of `length` parts.
 * @throws AppError invalid_request for what is no cursor of this list
 */
export function decodeCursor(cursor: string, length: number): string[] {
  try {
    const key: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    if (Array.isArray(key) && key.length === length && key.every((part) => typeof part !== 'object')) return key.map(String)
  } catch {
    // falls through: what does not parse is no cursor
  }
  throw invalidCursor()
}

export const invalidCursor = (): AppError =>
  new AppError('invalid_request', 'cursor: is not from this list', {
    errors: [{ path: 'cursor', message: 'is not from this list' }],
  })
