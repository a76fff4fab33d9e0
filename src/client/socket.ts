import { io } from 'socket.io-client'
import type { z } from 'zod'
import type { AgentsEvent, AgentsEventPayload, runsContract } from '../agents/agents.contract.ts'
import type { BillingEvent, billingEvents } from '../billing/billing.contract.ts'
import type { IdentityEvent, identityEvents } from '../identity/events.contract.ts'
import type { CommandError, ErrorCode } from '../kernel/errors.ts'
import type { EventPayload, MessengerEvent, messengerContract } from '../messenger/messenger.contract.ts'
import type { StoryEvent, storiesEvents } from '../stories/stories.contract.ts'
import type { SessionReady, sessionContract, sessionEvents } from '../transport/session.contract.ts'
import { type Backoff, backoffMs } from './backoff.ts'
import { createEmitter } from './emitter.ts'

type Commands = typeof messengerContract & typeof runsContract & typeof sessionContract
export type SocketCommand = keyof Commands
export type SocketInput<K extends SocketCommand> = z.input<Commands[K]['input']>
export type SocketOutput<K extends SocketCommand> = z.infer<Commands[K]['output']>

/** What features say over the socket. */
export type FeatureEvents = { [K in MessengerEvent]: EventPayload<K> } & {
  [K in AgentsEvent]: AgentsEventPayload<K>
} & { [K in keyof typeof storiesEvents]: StoryEvent<K> } & { [K in keyof typeof billingEvents]: BillingEvent<K> } & {
  [K in keyof typeof identityEvents]: IdentityEvent<K>
}

type ServerEvents = FeatureEvents & {
  [K in keyof typeof sessionEvents]: z.infer<(typeof sessionEvents)[K]['payload']>
}

/** What the socket itself reports. */
interface Lifecycle {
  connected: undefined
  /** The connection is lost; the socket goes on trying, unless it was closed or refused. */
  disconnected: { reason: string }
  /** The next try to connect comes by itself after so many milliseconds. */
  retrying: { inMs: number }
  /** The server will not have this login any more; the socket has given up. */
  refused: { code: ErrorCode; message: string }
}

export type SocketEvents = ServerEvents & Lifecycle

/** A command that the server refused, or that got no answer (`unavailable`; it may or may not have been done). */
export class CommandFailed extends Error {
  readonly code: ErrorCode
  /** Whether the same command, unchanged, may succeed later. */
  readonly retryable: boolean
  readonly details: Record<string, unknown> | undefined

  constructor({ code, message, retryable, details }: CommandError) {
    super(message)
    this.name = 'CommandFailed'
    this.code = code
    this.retryable = retryable
    this.details = details
  }
}

export const unavailable = (message: string): CommandFailed =>
  new CommandFailed({ code: 'unavailable', message, retryable: true })

export type SocketAuth = { token: string } | { agentKey: string }

export interface SocketOptions {
  /** The server's absolute address; a path in it is taken as the prefix of a proxy. */
  url: string
  /**
   * Asked at each connection. `isTokenExpired`: the server has just refused the last one as expired. A rejection with
   * code `unauthenticated` or `banned` ends the attempts, any other is tried again.
   */
  auth: SocketAuth | ((isTokenExpired: boolean) => SocketAuth | Promise<SocketAuth>)
  /** Socket.IO path; `/socket.io` below the address unless given. */
  path?: string
  reconnect?: Partial<Backoff>
  /** How long commands wait for their acknowledgment unless they say otherwise, in milliseconds; 0 = as long as connected. */
  timeoutMs?: number
}

export interface KintsugiSocket {
  readonly isConnected: boolean
  /** The first session; rejects where the server refuses the login or the socket is closed before. */
  readonly ready: Promise<SessionReady>
  /** Sends a command and waits for its acknowledgment. Rejects with {@link CommandFailed}. */
  command<K extends SocketCommand>(
    name: K,
    input: SocketInput<K>,
    options?: { timeoutMs?: number },
  ): Promise<SocketOutput<K>>
  on<K extends keyof SocketEvents>(name: K, handler: (payload: SocketEvents[K]) => void): () => void
  /** Makes the next try now, where one is waited for. */
  retryNow(): void
  close(): void
}

type Ack = { ok: true; data: unknown } | { ok: false; error: CommandError }

const lifecycleNames: ReadonlySet<string> = new Set<keyof Lifecycle>([
  'connected',
  'disconnected',
  'retrying',
  'refused',
])

/**
 * Opens a socket and keeps it open. All reconnecting is done here and Socket.IO's own is off: it would not come back
 * after a refused handshake or after the server closed the socket, and two loops would get in each other's way. Commands
 * are never queued while there is no connection, since sends must go out in the order that the outbox decides.
 */
export function openSocket(options: SocketOptions): KintsugiSocket {
  const { origin, pathname } = new URL(options.url)
  const pause: Backoff = { minMs: 1000, maxMs: 20_000, ...options.reconnect }
  const lifecycle = createEmitter<Lifecycle>()
  const socket = io(origin, {
    path: options.path ?? `${pathname.replace(/\/$/, '')}/socket.io`,
    transports: ['websocket'],
    forceNew: true,
    autoConnect: false,
    reconnection: false,
  })
  let isClosed = false
  let wasConnected = false
  let isTokenExpired = false
  let attempt = 0
  let timer: ReturnType<typeof setTimeout> | undefined

  const ready = new Promise<SessionReady>((resolve, reject) => {
    socket.once('session:ready', resolve)
    lifecycle.on('refused', ({ code, message }) => reject(new CommandFailed({ code, message, retryable: false })))
    lifecycle.on('disconnected', () => isClosed && reject(unavailable('The socket was closed.')))
  })
  ready.catch(() => {})

  async function dial(): Promise<void> {
    timer = undefined
    try {
      socket.auth = typeof options.auth === 'function' ? await options.auth(isTokenExpired) : options.auth
    } catch (error) {
      return failed(error as Partial<Lifecycle['refused']>)
    }
    if (!isClosed) socket.connect()
  }

  function failed({ code, message = '' }: Partial<Lifecycle['refused']>): void {
    if (isClosed) return
    if (code === 'unauthenticated' || code === 'banned') {
      isClosed = true
      lifecycle.emit('refused', { code, message })
      return
    }
    isTokenExpired = code === 'token_expired'
    clearTimeout(timer)
    // An expired token is nobody's overload: a newer one may come at once, the first time.
    const inMs = isTokenExpired && attempt === 0 ? 0 : backoffMs(attempt, pause)
    timer = setTimeout(dial, inMs)
    attempt++
    lifecycle.emit('retrying', { inMs })
  }

  function lost(reason: string): void {
    // What Socket.IO kept back (it does so once pings are overdue) must not overtake the outbox after reconnecting.
    socket.sendBuffer = []
    if (wasConnected || isClosed) lifecycle.emit('disconnected', { reason })
    wasConnected = false
    failed({})
  }

  socket.on('connect', () => {
    wasConnected = true
    isTokenExpired = false
    lifecycle.emit('connected', undefined)
  })
  socket.on('session:ready', () => {
    attempt = 0
  })
  socket.on('disconnect', lost)
  socket.on('connect_error', (error: Error & { data?: Lifecycle['refused'] }) => failed(error.data ?? {}))
  void dial()

  return {
    ready,
    get isConnected() {
      return socket.connected
    },
    command(name, input, { timeoutMs = options.timeoutMs } = {}) {
      if (!socket.connected) return Promise.reject(unavailable('There is no connection.'))
      const acked: Promise<Ack> = (timeoutMs ? socket.timeout(timeoutMs) : socket).emitWithAck(name, input)
      return acked.then(settle, unanswered) as Promise<never>
    },
    on(name, handler) {
      if (lifecycleNames.has(name)) return lifecycle.on(name as keyof Lifecycle, handler as never)
      socket.on(name as string, handler)
      return () => socket.off(name as string, handler)
    },
    retryNow() {
      if (timer === undefined) return
      clearTimeout(timer)
      void dial()
    },
    close() {
      if (isClosed && !socket.active) return
      isClosed = true
      clearTimeout(timer)
      timer = undefined
      const isSilent = !socket.connected
      socket.disconnect()
      if (isSilent) lost('io client disconnect')
    },
  }
}

function settle(ack: Ack): unknown {
  if (ack.ok) return ack.data
  throw new CommandFailed(ack.error)
}

function unanswered(): never {
  throw unavailable('No acknowledgment came.')
}
