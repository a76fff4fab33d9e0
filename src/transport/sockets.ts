import type { Server as HttpServer } from 'node:http'
import type { Logger } from 'pino'
import { Server, type ServerOptions, type Socket } from 'socket.io'
import { AppError, type CommandError, toCommandError } from '../kernel/errors.ts'
import type { Metrics } from '../kernel/metrics.ts'
import { networkOf } from '../kernel/networks.ts'
import { type Actor, type Operation, operation } from '../kernel/operation.ts'
import type { Authenticator, KeyAuthenticator } from '../kernel/ports.ts'
import { Reply } from '../kernel/reply.ts'
import { textParser } from './encoding.ts'
import type { Executor } from './executor.ts'
import { frameAllMessages } from './frames.ts'
import type { PresenceTracker } from './presence.ts'
import type { RateLimits } from './rate-limits.ts'
import { type Rooms, room } from './rooms.ts'
import { sessionContract } from './session.contract.ts'
import type { SocketData } from './socket-data.ts'

/** A command is at most this large; the longest text fits with room for escapes. */
const maxCommandBytes = 256 * 1024
/** Commands of one socket being answered at once. */
const maxPending = 1_000
/** What may wait for a socket that does not read, in bytes as sent. */
const maxUnreadBytes = 4 * 1024 * 1024
const unreadCheckMs = 250
const disconnectBatch = 500

/** The Socket.IO server, as yet without anyone to answer. */
export function createSocketServer(deps: {
  http: HttpServer
  /** Passes events between nodes; absent where this node is the only one. */
  adapter: ServerOptions['adapter'] | undefined
  isAllowedOrigin(origin: string | undefined, host: string | undefined): boolean
}): Server {
  const io = new Server(deps.http, {
    path: '/socket.io',
    serveClient: false,
    // polling would need sticky sessions at the load balancer
    transports: ['websocket'],
    allowEIO3: false,
    maxHttpBufferSize: maxCommandBytes,
    parser: textParser,
    pingInterval: 25_000,
    pingTimeout: 20_000,
    connectTimeout: 10_000,
    // the Origin of a WebSocket is not subject to CORS
    allowRequest: (req, done) => done(null, deps.isAllowedOrigin(req.headers.origin, req.headers.host)),
    ...(deps.adapter && { adapter: deps.adapter }),
  })
  frameAllMessages(io)
  return io
}

type Answer = (answer: { ok: true; data: unknown } | { ok: false; error: CommandError }) => void

/**
 * Sockets from handshake to end: who they are, what they may ask, and when they are closed. No listener can throw: every
 * command goes through one place that answers with data or a typed error.
 */
export function serveSockets(deps: {
  io: Server
  commands: Operation[]
  authenticator: Authenticator
  keyAuthenticator: KeyAuthenticator
  executor: Executor
  rateLimits: RateLimits
  rooms: Rooms
  presence: PresenceTracker
  metrics: Metrics
  log: Logger
  addressOf(headers: Record<string, string | string[] | undefined>, peer: string): string
}) {
  const { io, authenticator, keyAuthenticator, executor, rateLimits, rooms, presence, metrics, log } = deps
  const commands = new Map(deps.commands.map((command) => [command.name, command]))
  commands.set('session:refresh', refreshOperation())
  let draining = false
  let answering = 0

  io.use((socket, next) => {
    greet(socket).then(
      () => next(),
      (error: unknown) => {
        const { code, message, details } =
          error instanceof AppError ? error : new AppError('internal', 'Something went wrong on the server.')
        if (!(error instanceof AppError)) log.error({ err: error }, 'a handshake failed unexpectedly')
        next(Object.assign(new Error(message), { data: { code, message, ...(details && { details }) } }))
      },
    )
  })

  async function greet(socket: Socket): Promise<void> {
    if (draining) throw new AppError('draining', 'This node is shutting down; connect again.')
    const ip = deps.addressOf(socket.handshake.headers, socket.handshake.address)
    await rateLimits.consume('connect', networkOf(ip))
    const authenticatedAt = performance.now()
    const { actor, expiresAt } = await authenticate(socket.handshake.auth)
    const context = {
      actor,
      ip,
      socketId: socket.id,
      requestId: socket.id,
      userAgent: socket.handshake.headers['user-agent'],
    }
    socket.data = {
      actor,
      authenticatedAt,
      context,
      // a key lasts until it is revoked
      expiresAt: expiresAt?.getTime() ?? Number.POSITIVE_INFINITY,
      pending: 0,
      watching: [],
    } satisfies SocketData
  }

  /** By an access token or an agent's key: by both it would be unclear who speaks. */
  function authenticate({ token, agentKey }: Socket['handshake']['auth']): Promise<{ actor: Actor; expiresAt?: Date }> {
    if (typeof token === 'string' && agentKey === undefined) return authenticator.authenticate(token)
    if (typeof agentKey === 'string' && token === undefined) return keyAuthenticator.authenticate(agentKey)
    throw new AppError('unauthenticated', 'The handshake needs auth: { token }, or { agentKey } of an agent.')
  }

  io.on('connection', (socket) => {
    const { actor } = socket.data as SocketData
    metrics.sockets.inc()
    presence.arrived(actor.userId)
    // every packet ends here: an event named `error` or `disconnect` would otherwise reach listeners meant for the engine's
    socket.use(([name, ...args]) => void answer(socket, name, args))
    socket.on('error', (error?: Error) => log.debug({ reason: error?.message, socketId: socket.id }, 'a socket failed'))
    socket.on('disconnect', () => {
      metrics.sockets.dec()
      presence.departed(actor.userId)
    })
    rooms.enter(socket).then(
      () => {
        const { userId, sessionId } = actor
        socket.emit('session:ready', { userId, sessionId, protocol: 1, serverTime: new Date().toISOString() })
      },
      (error: unknown) => {
        // the client's reconnection tries again
        log.warn({ err: error, userId: actor.userId }, 'a socket could not be put into its rooms')
        socket.conn.close()
      },
    )
    // the upgrade request is kept by the engine for as long as the socket lives; nobody asks for it again
    ;(socket.conn as { request?: unknown }).request = undefined
  })

  async function answer(socket: Socket, name: string, args: unknown[]): Promise<void> {
    const acknowledge = typeof args.at(-1) === 'function' ? (args.pop() as Answer) : undefined
    const data = socket.data as SocketData
    data.pending += 1
    answering += 1
    try {
      const command = commands.get(name)
      if (!command) throw new AppError('invalid_request', 'There is no such command.')
      if (args.length > 1) throw new AppError('invalid_request', 'A command takes one argument.')
      if (data.pending > maxPending) throw new AppError('rate_limited', 'Too many commands at once: wait for answers.')
      const result = await executor.execute(command, args[0] ?? {}, data.context)
      acknowledge?.({ ok: true, data: result.data instanceof Reply ? result.data.data : result.data })
    } catch (error) {
      const expected =
        error instanceof AppError ? error : new AppError('internal', 'Something went wrong on the server.')
      if (!(error instanceof AppError))
        log.error({ err: error, command: commands.has(name) ? name : undefined }, 'a command failed')
      acknowledge?.({ ok: false, error: toCommandError(expected) })
    } finally {
      data.pending -= 1
      answering -= 1
    }
  }

  /** A newer token of the same user; where it belongs to another login, the socket does from now on, too. */
  function refreshOperation(): Operation {
    return operation(
      'session:refresh',
      sessionContract['session:refresh'],
      async ({ token }, { actor, socketId }) => {
        const authenticatedAt = performance.now()
        const fresh = await authenticator.authenticate(token)
        if (fresh.actor.userId !== actor.userId) throw new AppError('forbidden', 'This token belongs to someone else.')
        const socket = io.of('/').sockets.get(socketId ?? '')
        if (socket) {
          const data = socket.data as SocketData
          void socket.leave(room.session(data.actor.sessionId))
          data.actor = fresh.actor
          data.authenticatedAt = authenticatedAt
          data.context = { ...data.context, actor: fresh.actor }
          data.expiresAt = fresh.expiresAt.getTime()
          rooms.admit(socket)
        }
        return { expiresAt: fresh.expiresAt.toISOString() }
      },
      'account',
    )
  }

  /** Closes sockets whose token has expired, and those that do not read what is sent to them. */
  function sweep(): void {
    const now = Date.now()
    for (const socket of io.of('/').sockets.values()) {
      const { expiresAt } = socket.data as SocketData
      if (expiresAt <= now) socket.disconnect(true)
      else if (unreadBytes(socket) > maxUnreadBytes) {
        metrics.evictions.inc()
        log.warn({ socketId: socket.id }, 'a socket that does not read was closed')
        terminate(socket)
      }
    }
  }
  const sweeper = setInterval(sweep, unreadCheckMs)

  return {
    /** Every command that a socket can send. */
    commands: [...commands.values()],

    /** Ends the sockets of logins and agent keys that were revoked while this node could not hear of it. */
    async recheckSessions(): Promise<void> {
      const ids = { human: new Set<string>(), agent: new Set<string>() }
      for (const socket of io.of('/').sockets.values()) {
        const { kind, sessionId } = (socket.data as SocketData).actor
        ids[kind].add(sessionId)
      }
      const live = new Set([
        ...(await authenticator.liveSessions([...ids.human])),
        ...(await keyAuthenticator.liveSessions([...ids.agent])),
      ])
      for (const id of [...ids.human, ...ids.agent])
        if (!live.has(id)) for (const socket of rooms.socketsIn(room.session(id))) socket.disconnect(true)
    },

    drain(): void {
      draining = true
    },

    isAnswering: () => answering > 0,

    /** Closes all sockets, some at a time; clients see a closed connection and connect to another node by themselves. */
    async close(): Promise<void> {
      clearInterval(sweeper)
      const sockets = [...io.of('/').sockets.values()]
      for (let i = 0; i < sockets.length; i += disconnectBatch) {
        for (const socket of sockets.slice(i, i + disconnectBatch)) socket.conn.close()
        await new Promise((resolve) => setImmediate(resolve))
      }
    },
  }
}

/** Ends the connection without the farewell of WebSocket, which a client that does not read would not answer. */
function terminate(socket: Socket): void {
  const { transport } = socket.conn as unknown as { transport: { socket?: { terminate?(): void } } }
  transport.socket?.terminate?.()
  socket.conn.close(true)
}

/** Bytes that wait for a socket, in the engine and in the connection under it. */
function unreadBytes(socket: Socket): number {
  const conn = socket.conn as unknown as {
    writeBuffer: { data?: string | Buffer }[]
    transport: { socket?: { bufferedAmount?: number } }
  }
  let bytes = conn.transport.socket?.bufferedAmount ?? 0
  for (const { data } of conn.writeBuffer) bytes += data?.length ?? 0
  return bytes
}
