/** Every error code of the public contract with its HTTP status. Sockets and REST use the same codes. */
export const errorStatus = {
  invalid_request: 400,
  unauthenticated: 401,
  token_expired: 401,
  payment_required: 402,
  insufficient_credits: 402,
  banned: 403,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  idempotency_conflict: 409,
  gone: 410,
  payload_too_large: 413,
  unsupported_media: 415,
  unprocessable: 422,
  quota_exceeded: 429,
  rate_limited: 429,
  internal: 500,
  upstream_failed: 502,
  unavailable: 503,
  draining: 503,
} as const

export type ErrorCode = keyof typeof errorStatus

/** Codes after which the same request, unchanged, may succeed later. */
const retryableCodes: ReadonlySet<ErrorCode> = new Set(['rate_limited', 'unavailable', 'draining', 'upstream_failed'])

export interface FieldError {
  /** Where in the input, such as `participantIds.0`; empty for the input as a whole. */
  path: string
  message: string
}

export interface AppErrorOptions {
  /** Which fields are wrong; for `invalid_request`. */
  errors?: FieldError[]
  /** Further facts for the caller, such as `resetAt` or `retryAfterSeconds`. */
  details?: Record<string, unknown>
  /** What lies behind it; for the log alone, never for the caller. */
  cause?: unknown
}

/** An expected failure: a code of the contract and a message written for the caller. Anything else that is thrown is a bug. */
export class AppError extends Error {
  readonly code: ErrorCode
  readonly errors: FieldError[] | undefined
  readonly details: Record<string, unknown> | undefined

  constructor(code: ErrorCode, message: string, options: AppErrorOptions = {}) {
    super(message, { cause: options.cause })
    this.name = 'AppError'
    this.code = code
    this.errors = options.errors
    this.details = options.details
  }

  get status(): number {
    return errorStatus[this.code]
  }

  get retryable(): boolean {
    return retryableCodes.has(this.code)
  }
}

/** What a stranger hears of a thing that exists and of one that does not: the same. */
export const notFound = (what: string): AppError => new AppError('not_found', `No such ${what}.`)

export const forbidden = (message: string): AppError => new AppError('forbidden', message)

export const unprocessable = (message: string): AppError => new AppError('unprocessable', message)

/** The failure as the contract states it in the acknowledgment of a socket command. */
export interface CommandError {
  code: ErrorCode
  message: string
  /** Whether the same command, unchanged, may succeed later. */
  retryable: boolean
  details?: Record<string, unknown>
}

export function toCommandError(error: AppError): CommandError {
  const details = error.errors ? { ...error.details, errors: error.errors } : error.details
  return { code: error.code, message: error.message, retryable: error.retryable, ...(details && { details }) }
}
