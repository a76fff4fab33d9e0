import type { Logger } from 'pino'
import type { z } from 'zod'
import { AppError, type ErrorCode, type FieldError, forbidden } from '../kernel/errors.ts'
import type { Metrics } from '../kernel/metrics.ts'
import { networkOf } from '../kernel/networks.ts'
import type { Actor, Context, Operation, UserContext } from '../kernel/operation.ts'
import { isAtLeast } from '../kernel/roles.ts'
import type { LimitState, RateLimits } from './rate-limits.ts'

export interface Executor {
  /**
   * Runs an operation for a caller: access, rate limit, parsing, work. The same for sockets and REST.
   * @throws AppError and nothing else: what was not expected is logged and becomes `internal`
   */
  execute(
    operation: Operation,
    input: unknown,
    context: Context & { actor?: Actor },
  ): Promise<{ data: unknown; limit: LimitState | undefined }>
}

export function createExecutor(deps: { rateLimits: RateLimits; metrics: Metrics; log: Logger }): Executor {
  const { rateLimits, metrics, log } = deps

  return {
    async execute(operation, input, context) {
      const started = performance.now()
      let outcome: ErrorCode | 'ok' = 'ok'
      try {
        const { actor } = context
        if (operation.access === 'user') admit(actor, operation)
        const limit =
          operation.limit && (await rateLimits.consume(operation.limit, actor?.userId ?? networkOf(context.ip)))
        const parsed = operation.contract.input.safeParse(input)
        if (!parsed.success) throw invalidRequest(parsed.error)
        // the actor was checked above; the declaration ties input and context to the contract
        const data = await operation.run(parsed.data as never, context as UserContext)
        return { data, limit }
      } catch (error) {
        const expected = error instanceof AppError ? error : unexpected(error, operation.name, context)
        outcome = expected.code
        if (expected === error && expected.cause !== undefined) {
          const { code, cause } = expected
          log.warn({ err: cause, operation: operation.name, requestId: context.requestId, code }, expected.message)
        }
        throw expected
      } finally {
        metrics.operations.labels(operation.name, outcome).observe((performance.now() - started) / 1000)
      }
    },
  }

  function unexpected(error: unknown, operation: string, { requestId, actor }: Context & { actor?: Actor }): AppError {
    log.error({ err: error, operation, requestId, userId: actor?.userId }, 'an operation failed unexpectedly')
    return new AppError('internal', 'Something went wrong on the server. The request id leads to its log.')
  }
}

/**
 * Signed in, of a kind that may ask for it, and of at least that role.
 * @throws AppError unauthenticated, forbidden
 */
function admit(actor: Actor | undefined, { callers, role }: Operation & { access: 'user' }): void {
  if (!actor) {
    throw new AppError('unauthenticated', `This needs ${callers === 'agents' ? "an agent's key" : 'an access token'}.`)
  }
  if (callers === 'people' && actor.kind !== 'human')
    throw forbidden('This is for people; agents take part in the conversations that people take them into.')
  if (callers === 'agents' && actor.kind !== 'agent') throw forbidden('This is for agents, which connect with a key.')
  if (!isAtLeast(actor.role, role)) throw forbidden(`This needs the role ${role}.`)
}

/** The first few of what is wrong: enough to mend it, bounded however large the input. */
const maxFieldErrors = 10

function invalidRequest(error: z.ZodError): AppError {
  const errors: FieldError[] = error.issues.slice(0, maxFieldErrors).map((issue) => ({
    path: [...issue.path, ...(issue.code === 'unrecognized_keys' ? issue.keys.slice(0, 1) : [])].map(String).join('.'),
    message: issue.code === 'unrecognized_keys' ? 'is not known here' : issue.message,
  }))
  const [first] = errors
  const coded = error.issues.find((issue) => issue.code === 'custom' && issue.params?.code)
  const code: ErrorCode =
    coded?.code === 'custom' && coded.params?.code === 'payload_too_large' ? 'payload_too_large' : 'invalid_request'
  return new AppError(
    code,
    first?.path ? `${first.path}: ${first.message}` : (first?.message ?? 'The request is not valid.'),
    { errors },
  )
}
