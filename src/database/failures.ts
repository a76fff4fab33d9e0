/**
 * What an error of the database means, by SQLSTATE (PostgreSQL manual, appendix A) or by the socket's error code. Drivers
 * wrap errors, so the causes are looked through as well.
 */
const unavailableStates = [
  /^08/, // connection exceptions
  /^53/, // insufficient resources
  /^57/, // operator intervention: shutdown, statement timeout
  /^40/, // serialization failure, deadlock
  /^55P03$/, // lock not available
  /^25P03$/, // idle in transaction for too long
  /^E(CONN|PIPE|TIMEDOUT|HOST|NET|AI_AGAIN|NOTFOUND)/,
]

const lostConnection =
  /connection terminated|timeout exceeded when trying to connect|client has encountered a connection error|not queryable/i

function* chain(error: unknown): Generator<{ code?: unknown; message?: unknown; constraint?: unknown }> {
  let link = error
  for (let depth = 0; depth < 5 && typeof link === 'object' && link !== null; depth++) {
    yield link
    link = (link as { cause?: unknown }).cause
  }
}

/** Whether the same statement may succeed later: the database is away, restarting, overloaded or held up by a lock. */
export function isUnavailable(error: unknown): boolean {
  for (const { code, message } of chain(error)) {
    if (typeof code === 'string' && unavailableStates.some((state) => state.test(code))) return true
    if (typeof message === 'string' && lostConnection.test(message)) return true
  }
  return false
}

/** The name of the unique constraint or index that a statement broke, if that is what happened. */
export function brokenUnique(error: unknown): string | undefined {
  for (const { code, constraint } of chain(error)) {
    if (code === '23505') return typeof constraint === 'string' ? constraint : ''
  }
  return undefined
}
