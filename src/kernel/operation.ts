import type { z } from 'zod'
import type { ErrorCode } from './errors.ts'
import type { LimitName } from './limits.ts'
import type { Reply } from './reply.ts'
import type { Role } from './roles.ts'

export type { Role } from './roles.ts'

/** Who asks. Comes from a verified access token or agent key, never from the request's body. */
export interface Actor {
  userId: string
  kind: 'human' | 'agent'
  /** What the caller is let in by: a login (refresh token family), or an agent's key. */
  sessionId: string
  role: Role
}

/** What an operation knows of the request around it. */
export interface Context {
  requestId: string
  /** The caller's address, as far as the proxy settings let us trust it. */
  ip: string
  userAgent: string | undefined
  /** The socket that sent the command; its user's other sockets still hear the events. */
  socketId?: string
  /** What only a REST request has. */
  request?: RequestFacts
}

/** The parts of a REST request that few operations need. */
export interface RequestFacts {
  header(name: string): string | undefined
  cookie(name: string): string | undefined
  /** The body as it came, for signatures over it; only on routes with `body: 'raw'`. */
  rawBody?: Buffer
  /**
   * Receives the file of a form; only on routes that take one. Nothing of it is read before. It is removed once the operation
   * has ended.
   * @throws AppError invalid_request, unsupported_media, payload_too_large
   */
  file?(): Promise<ReceivedFile>
}

/** A file as it came with a request, on this node's disk. */
export interface ReceivedFile {
  path: string
  /** What the caller says it is called, and of what type it is. */
  name: string
  mime: string
  bytes: number
}

export interface UserContext extends Context {
  actor: Actor
}

/** Name, meaning and shapes of an operation: the part that clients see. */
export interface Contract<I extends z.ZodType = z.ZodType, O extends z.ZodType = z.ZodType> {
  summary: string
  input: I
  output: O
  /** Codes of this operation's own, beside those that any request may meet. */
  errors?: readonly ErrorCode[]
  /** A request and its answer, for the documents; a test holds them against the shapes. */
  example?: { input?: Immutable<z.input<I>>; output?: Immutable<z.input<O>> }
}

/** As written down under `as const`. */
type Immutable<T> = T extends readonly (infer E)[]
  ? readonly Immutable<E>[]
  : T extends object
    ? { readonly [K in keyof T]: Immutable<T[K]> }
    : T

/**
 * One thing that a caller can ask for, declared once and mounted on sockets, REST or both. Parsing, access, rate limit,
 * error mapping, metrics and the two API documents come from the declaration; `run` holds no try/catch.
 *
 * `access`: 'user' needs a verified actor, 'public' takes anyone. Who may touch *which* conversation is decided in the
 * service, inside the transaction, by the feature's policy.
 */
export type Operation = (
  | { access: 'public'; run(input: never, context: Context): Promise<unknown> }
  | {
      access: 'user'
      /** Who stands lower is refused. */
      role: Role
      /** Which kind of users may ask for it; the other is refused. */
      callers: 'people' | 'agents' | 'all'
      run(input: never, context: UserContext): Promise<unknown>
    }
) & {
  /** `domain:verb`: the socket command and the OpenAPI operation id. */
  name: string
  contract: Contract
  limit: LimitName | undefined
}

/** Declares an operation for people who are signed in, of at least that role; `run`'s types follow from the contract. */
export function operation<I extends z.ZodType, O extends z.ZodType>(
  name: string,
  contract: Contract<I, O>,
  run: (input: z.output<I>, context: UserContext) => Promise<z.input<O> | Reply<z.input<O>>>,
  limit?: LimitName,
  role: Role = 'user',
): Operation {
  return { name, contract: contract as Contract, limit, access: 'user', role, callers: 'people', run }
}

/** Declares an operation for people and agents alike, such as `message:send`. */
export function sharedOperation<I extends z.ZodType, O extends z.ZodType>(
  ...declared: Parameters<typeof operation<I, O>>
): Operation {
  return { ...operation(...declared), callers: 'all' } as Operation
}

/** Declares an operation for agents alone, such as `stream:start`. */
export function agentOperation<I extends z.ZodType, O extends z.ZodType>(
  ...declared: Parameters<typeof operation<I, O>>
): Operation {
  return { ...operation(...declared), callers: 'agents' } as Operation
}

/** Declares an operation for callers without an account, such as `auth:login`. */
export function publicOperation<I extends z.ZodType, O extends z.ZodType>(
  name: string,
  contract: Contract<I, O>,
  run: (input: z.output<I>, context: Context) => Promise<z.input<O> | Reply<z.input<O>>>,
  limit: LimitName,
): Operation {
  return { name, contract: contract as Contract, limit, access: 'public', run }
}

/** What callers of an operation may show, by the names that the API documents have for it. */
export function credentialsOf(operation: Operation): ('accessToken' | 'agentKey')[] {
  if (operation.access === 'public') return []
  return [
    ...(operation.callers === 'agents' ? [] : (['accessToken'] as const)),
    ...(operation.callers === 'people' ? [] : (['agentKey'] as const)),
  ]
}

/** An operation on a REST address. Path parameters, query and body together make its input. */
export interface Route {
  method: 'get' | 'post' | 'patch' | 'delete'
  /** Express path below `/v1`, such as `/conversations/:conversationId/messages`. */
  path: string
  operation: Operation
  /** The status of success; 200 unless said otherwise. 204 sends no body, 302 a `Location` from the operation's Reply. */
  status?: 200 | 201 | 202 | 204 | 302
  /** The content type of success where it is not JSON. */
  produces?: string
  /**
   * 'raw': the operation reads `request.rawBody`, and its input is empty; `file`: likewise `request.file()`, which is
   * the field `file` of a multipart form.
   */
  body?: 'raw' | { file: { maxBytes: number } }
  /** It moves money or credits, and takes the header `Idempotency-Key`. */
  idempotent?: true
  /** Other headers that it reads, each with what it means. */
  headers?: Readonly<Record<string, string>>
  /** It may also lead the browser on: 302, with a `Location` from the operation's Reply. */
  redirects?: true
  /** The section of the API document. */
  tag: string
}
