import { pino, stdSerializers } from 'pino'

/** PostgreSQL's SQLSTATE, on the driver's errors and on those that the ORM makes of them. */
const sqlState = /^[0-9A-Z]{5}$/

/** Classes whose messages speak of the statement or the server, never of a row's values. */
const saysNoValues = /^(08|42|53|57)/

/**
 * An error for the log. What the database says of a failed statement can hold the values of its rows (details, the
 * statement with its parameters), and so people's messages: of those only the kind, the place and the stack are kept.
 */
function serializeError(error: unknown): unknown {
  if (!(error instanceof Error)) return { type: typeof error }
  const { code, constraint, table, cause } = error as Error & Record<string, unknown>
  if (typeof code !== 'string' || !sqlState.test(code)) return stdSerializers.err(error)
  const frames = error.stack?.split('\n').filter((line) => line.trimStart().startsWith('at '))
  return {
    type: error.name,
    code,
    constraint,
    table,
    // the ORM writes the statement with its values in front of the driver's message
    ...(error.constructor.name === 'DatabaseError' && saysNoValues.test(code) && { message: error.message }),
    stack: frames?.join('\n'),
    ...(cause !== undefined && { cause: serializeError(cause) }),
  }
}

/** The server's log: JSON lines on standard output. */
export const createLog = (level: string, nodeId: string) =>
  pino({
    level,
    base: { nodeId },
    serializers: { err: serializeError },
    // a net below the rule that no secret is logged: these names never pass
    redact: { paths: ['*.password', '*.token', '*.refreshToken', '*.accessToken', '*.authorization'], remove: true },
  })
