import type { z } from 'zod'
import type { LimitName } from './limits.ts'

/** Who asks. Comes from a verified access token, never from the request's body. */
export interface Actor {
  userId: string
  /** The login (refresh token family) that the access token belongs to. */
  sessionId: string
  role: Role
}

export type Role = 'user' | 'viewer' | 'operator' | 'moderator' | 'admin' | 'super_admin'

/** What an operation knows of the request around it. */
export interface Context {
  requestId: string
  /** The caller's address, as far as the proxy settings let us trust it. */
  ip: string
  userAgent: string | undefined
  /** The socket that sent the command; its user's other sockets still hear the events. */
  socketId?: string
}

export interface UserContext extends Context {
  actor: Actor
}

/** Name, meaning and shapes of an operation: the part that clients see. */
export interface Contract<I extends z.ZodType = z.ZodType, O extends z.ZodType = z.ZodType> {
  summary: string
  input: I
  output: O
}

/**
 * One thing that a caller can ask for, declared once and mounted on sockets, REST or both. Parsing, access, rate limit,
 * error mapping, metrics and the two API documents come from the declaration; `run` holds no try/catch.
 *
 * `access`: 'user' needs a verified actor, 'public' takes anyone. Who may touch *which* conversation is decided in the
 * service, inside the transaction, by the feature's policy.
 */
export type Operation = (
  | { access: 'public'; run(input: never, context: Context): Promise<unknown> }
  | { access: 'user'; run(input: never, context: UserContext): Promise<unknown> }
) & {
  /** `domain:verb`: the socket command and the OpenAPI operation id. */
  name: string
  contract: Contract
  limit: LimitName | undefined
}

/** Declares an operation for signed-in callers; `run`'s types follow from the contract. */
export function operation<I extends z.ZodType, O extends z.ZodType>(
  name: string,
  contract: Contract<I, O>,
  run: (input: z.output<I>, context: UserContext) => Promise<z.input<O>>,
  limit?: LimitName,
): Operation {
  return { name, contract, limit, access: 'user', run }
}

/** Declares an operation for callers without an account, such as `auth:login`. */
export function publicOperation<I extends z.ZodType, O extends z.ZodType>(
  name: string,
  contract: Contract<I, O>,
  run: (input: z.output<I>, context: Context) => Promise<z.input<O>>,
  limit: LimitName,
): Operation {
  return { name, contract, limit, access: 'public', run }
}

/** An operation on a REST address. Path parameters, query and body together make its input. */
export interface Route {
  method: 'get' | 'post' | 'patch' | 'delete'
  /** Express path below `/v1`, such as `/conversations/:conversationId/messages`. */
  path: string
  operation: Operation
  /** The status of success; 200 unless said otherwise. 204 sends no body. */
  status?: 200 | 201 | 204
  /** The section of the API document. */
  tag: string
}
