import { setImmediate } from 'node:timers/promises'

/**
 * Rows page by page, for what may be too much to hold at once: `read` gives the rows that follow the one that it is
 * given, by their key, and none at the end. Between pages others have their turn, also on the embedded database, whose
 * statements run on this thread.
 */
export async function* inPages<Row>(read: (after: Row | undefined) => Promise<Row[]>): AsyncGenerator<Row> {
  for (let rows = await read(undefined); rows.length > 0; rows = await read(rows.at(-1))) {
    yield* rows
    await setImmediate()
  }
}
