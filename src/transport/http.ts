import { parseCookie } from 'cookie'
import cors from 'cors'
import express, {
  type ErrorRequestHandler,
  type Express,
  type Request,
  type RequestHandler,
  type Response,
} from 'express'
import helmet from 'helmet'
import type { Logger } from 'pino'
import { z } from 'zod'
import { AppError, type ErrorCode, notFound } from '../kernel/errors.ts'
import { newId } from '../kernel/ids.ts'
import type { Metrics } from '../kernel/metrics.ts'
import type { Operation, RequestFacts, Route } from '../kernel/operation.ts'
import type { Authentication } from '../kernel/ports.ts'
import { CookieRefusal, Reply } from '../kernel/reply.ts'
import type { Executor } from './executor.ts'
import type { LimitState } from './rate-limits.ts'
import { answer, setCookies } from './replies.ts'
import { answerEarly, createUploads, type Receiving } from './uploads.ts'

/** As for socket commands: the longest text fits, with room for escapes. */
const maxBody = '256kb'

/** Whether the node can take requests now, and what says so. */
export interface Readiness {
  ready: boolean
  checks: Record<string, string>
}

type Answering = Receiving & { requestId?: string; authentication?: Pick<Authentication, 'actor'> }

/** The REST side: routes of operations, health, metrics, the API documents and the web client. */
export function createHttp(deps: {
  routes: Route[]
  bearerAuthentication: RequestHandler
  executor: Executor
  docs: RequestHandler
  /** The web client; absent where it is not built. */
  web?: RequestHandler | undefined
  corsOrigins: readonly string[]
  trustProxy: number
  /** Where clients reach the server, as far as the operator has said. */
  publicUrl?: string | undefined
  /** A folder for files that are being received. */
  scratch: string
  readiness(): Promise<Readiness>
  metrics: Metrics
  log: Logger
}): Express {
  const { executor, log } = deps
  const isPublicSecure = deps.publicUrl !== undefined && new URL(deps.publicUrl).protocol === 'https:'
  const isSecure = (req: Request): boolean => isPublicSecure || req.secure
  const app = express()
  app.disable('x-powered-by')
  app.set('trust proxy', deps.trustProxy)
  app.set('query parser', 'simple')
  app.use((req: Answering, res, next) => {
    req.requestId = newId()
    res.set('X-Request-Id', req.requestId)
    next()
  })
  app.use(helmet())
  app.use(
    cors({
      origin: deps.corsOrigins.includes('*') ? '*' : [...deps.corsOrigins],
      // pages of the listed origins may have the refresh token in a cookie; under `*` no browser sends any
      credentials: !deps.corsOrigins.includes('*'),
      exposedHeaders: ['X-Request-Id', 'RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset', 'Retry-After'],
      maxAge: 600,
    }),
  )

  app.get('/healthz', (_req, res) => void res.json({ status: 'ok' }))
  app.get('/readyz', async (_req, res) => {
    const { ready, checks } = await deps.readiness()
    res.status(ready ? 200 : 503).json({ status: ready ? 'ready' : 'not ready', checks })
  })
  app.get('/metrics', async (_req, res) => {
    res.type(deps.metrics.registry.contentType).send(await deps.metrics.registry.metrics())
  })
  app.use(deps.docs)

  const json = express.json({ limit: maxBody, strict: true })
  // unpacked it would not be what was signed
  const raw = express.raw({ limit: maxBody, type: () => true, inflate: false })
  const uploads = createUploads(deps)
  const parsersOf = ({ body }: Route): RequestHandler[] => {
    if (body === undefined) return [json]
    // a file is received when the operation asks for it
    return body === 'raw' ? [raw] : []
  }
  for (const route of deps.routes) {
    const { operation, method, path } = route
    const before = [...(operation.access === 'user' ? [deps.bearerAuthentication] : []), ...parsersOf(route)]
    if (takesFile(route)) before.unshift(markReceiving)
    app[method](`/v1${path}`, ...before, serve(route, operation))
  }

  if (deps.web) app.use(deps.web)
  app.use(() => {
    throw notFound('address')
  })
  app.use(answerProblem(log, isSecure))
  return app

  function factsOf(req: Receiving, res: Response, { body }: Route): RequestFacts {
    return {
      header: (name) => req.get(name),
      cookie: (name) => parseCookie(req.get('cookie') ?? '')[name],
      ...(body === 'raw' && { rawBody: Buffer.isBuffer(req.body) ? req.body : Buffer.alloc(0) }),
      ...(typeof body === 'object' && { file: () => uploads.receive(req, res, body.file.maxBytes) }),
    }
  }

  function serve(route: Route, operation: Operation): RequestHandler {
    const { method } = route
    const readQuery = queryReader(operation)
    return async (req: Answering, res) => {
      // tokens and what only one person may see: not for caches, unless the operation says otherwise
      res.set('Cache-Control', 'no-store')
      const body = route.body === undefined ? bodyOf(req) : {}
      const input = { ...body, ...(method === 'get' && readQuery(req.query)), ...req.params }
      const { data, limit } = await executor
        .execute(operation, input, {
          requestId: req.requestId as string,
          ip: req.ip ?? '',
          userAgent: req.get('user-agent'),
          request: factsOf(req, res, route),
          ...(req.authentication && { actor: req.authentication.actor }),
        })
        .finally(() => req.removeReceived?.())
      if (limit) setLimitHeaders(res, limit)
      const reply = data instanceof Reply ? data : new Reply(data, {})
      await answer(res, route, reply, { secure: isSecure(req), log })
    }
  }
}

const takesFile = ({ body }: Route): boolean => typeof body === 'object'

const markReceiving: RequestHandler = (req: Receiving, _res, next) => {
  req.takesFile = true
  next()
}

function bodyOf(req: Request): Record<string, unknown> {
  const body: unknown = req.body
  if (body === undefined) {
    // a body that the parser passed over must not count as none
    if (Number(req.get('content-length') ?? 0) > 0 || req.get('transfer-encoding')) {
      throw new AppError('unsupported_media', 'The body must be application/json.')
    }
    return {}
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new AppError('invalid_request', 'The body must be a JSON object.')
  }
  for (const name of Object.keys(req.params)) {
    if (name in body) throw new AppError('invalid_request', `${name}: belongs in the path alone`)
  }
  return body as Record<string, unknown>
}

/** A query has only texts: those of integer and boolean fields are read as such; what does not read stays and is refused. */
function queryReader({ contract }: Operation): (query: Request['query']) => Record<string, unknown> {
  const schema = z.toJSONSchema(contract.input, { io: 'input', unrepresentable: 'any' }) as {
    properties?: Record<string, { type?: string }>
  }
  return (query) =>
    Object.fromEntries(
      Object.entries(query).map(([name, value]) => {
        const type = Object.hasOwn(schema.properties ?? {}, name) ? schema.properties?.[name]?.type : undefined
        if (type === 'integer' && typeof value === 'string' && /^-?\d{1,15}$/.test(value)) return [name, Number(value)]
        if (type === 'boolean' && (value === 'true' || value === 'false')) return [name, value === 'true']
        return [name, value]
      }),
    )
}

function setLimitHeaders(res: Response, { limit, remaining, resetSeconds }: LimitState): void {
  res.set({
    'RateLimit-Limit': String(limit),
    'RateLimit-Remaining': String(remaining),
    'RateLimit-Reset': String(resetSeconds),
  })
}

/** Errors of the body parser and the router, by their HTTP status. */
const parserCodes: Record<number, ErrorCode> = { 413: 'payload_too_large', 415: 'unsupported_media' }

function answerProblem(log: Logger, isSecure: (req: Request) => boolean): ErrorRequestHandler {
  return (error: unknown, req: Answering, res, _next) => {
    const problem = asAppError(error)
    // what an operation did not expect the executor has logged, and made an AppError of
    if (problem !== error && problem.code === 'internal')
      log.error({ err: error, requestId: req.requestId }, 'a request failed unexpectedly')
    // nothing true can follow what was sent; the page that Express would make of it shows the stack
    if (res.headersSent) return void res.destroy()
    if (problem instanceof CookieRefusal) setCookies(res, problem.cookies, isSecure(req))
    const { retryAfterSeconds, limit, remaining, ...details } = problem.details ?? {}
    if (typeof retryAfterSeconds === 'number') {
      res.set('Retry-After', String(retryAfterSeconds))
      setLimitHeaders(res, { limit: Number(limit), remaining: Number(remaining), resetSeconds: retryAfterSeconds })
    }
    if (problem.status === 401) res.set('WWW-Authenticate', 'Bearer')
    res.status(problem.status).type('application/problem+json')
    const body = JSON.stringify({
      type: `urn:kintsugi:error:${problem.code}`,
      title: problem.code.replaceAll('_', ' '),
      status: problem.status,
      code: problem.code,
      detail: problem.message,
      ...(problem.errors && { errors: problem.errors }),
      ...details,
      requestId: req.requestId,
    })
    // a file is long: neither is it read to its end for nothing, nor must it keep the answer from arriving
    if (req.takesFile && !req.complete) answerEarly(req, res, body)
    else res.send(body)
  }
}

function asAppError(error: unknown): AppError {
  if (error instanceof AppError) return error
  // http-errors of the parsers and the router (a malformed body, a bad escape in the path) are the caller's
  const { status, expose } = error as { status?: number; expose?: boolean }
  if (typeof status === 'number' && status >= 400 && status < 500 && expose !== false) {
    return new AppError(
      parserCodes[status] ?? 'invalid_request',
      parserCodes[status] ? 'The body cannot be taken.' : 'The request cannot be read.',
    )
  }
  return new AppError('internal', 'Something went wrong on the server. The request id leads to its log.')
}
