import type { Session, Tokens } from '../identity/identity.contract.ts'
import type {
  CommandInput,
  CommandOutput,
  EventPayload,
  MessengerCommand,
  MessengerEvent,
} from '../messenger/messenger.contract.ts'
import type { SessionReady } from '../transport/session.contract.ts'
import type { Backoff } from './backoff.ts'
import { createEmitter, type Emitter } from './emitter.ts'
import { ApiError, callRest } from './http.ts'
import { newsOf, storedEvents } from './news.ts'
import { createOutbox, type PendingMessage, type Sending } from './outbox.ts'
import { createReconciler } from './reconciler.ts'
import { createTokenRenewal } from './renewal.ts'
import { createRest, type Rest } from './rest.ts'
import { CommandFailed, type KintsugiSocket, openSocket, unavailable } from './socket.ts'
import { type KeyValueStorage, memoryStorage } from './storage.ts'
import { createStore, type News, type SendInput, type Store } from './store.ts'
import { createTokens, type SignedOut } from './tokens.ts'
import { createTypingWatch } from './typing.ts'

export interface ClientOptions {
  /** The server's absolute address. */
  url: string
  /** Keeps login and outbox; in memory unless given. Not to be shared by two clients at a time. */
  storage?: KeyValueStorage
  fetch?: typeof fetch
  socket?: { path?: string; reconnect?: Partial<Backoff> }
  /** How long a command waits for its acknowledgment, in milliseconds; 10 s unless given. */
  timeoutMs?: number
  /** How many sent messages may wait for their acknowledgment at once; 20 unless given. */
  maxInFlight?: number
}

/** Server events come as they are on the wire, maybe before the store could take them; `changed` says when it has. */
export type ClientEvents = { [K in MessengerEvent]: EventPayload<K> } & {
  connected: SessionReady
  disconnected: { reason: string }
  /** The login has ended: by `logout`, because it was revoked or has expired, or with a ban. */
  signedOut: SignedOut
  /** The id of a conversation of which the copy or the pending messages changed. */
  changed: string
  /** A message that the server refused for good. */
  sendFailed: PendingMessage
}

export type SendOptions = Omit<SendInput, 'conversationId' | 'content' | 'clientId'> & { clientId?: string }

export interface Client extends Pick<Emitter<ClientEvents>, 'on'> {
  readonly rest: Rest
  readonly store: Store
  register: Rest['register']
  login: Rest['login']
  /** Ends the login; what the outbox held is forgotten. */
  logout(): Promise<void>
  /**
   * Opens the socket; resolves once the store is at the server's state. From then on the client reconnects and catches
   * up by itself. Rejects with {@link CommandFailed} or {@link ApiError} when signed out or refused.
   */
  connect(): Promise<SessionReady>
  /** Sends through the outbox: at once, or as soon as there is a connection. */
  send(conversationId: string, content: string, options?: SendOptions): Sending
  /** One's own messages that the store does not have yet, the failed ones too. */
  pending(conversationId: string): PendingMessage[]
  /** Sends a failed message again, or gives it up. */
  retry(clientId: string): void
  discard(clientId: string): void
  /** Sends any command of the messenger once, without the outbox. Rejects with {@link CommandFailed}. */
  command<K extends MessengerCommand>(name: K, input: CommandInput<K>): Promise<CommandOutput<K>>
  /** Loads the page before the loaded messages into the store; says whether older ones remain. */
  loadHistory(conversationId: string, limit?: number): Promise<boolean>
  /** Resolves when connected with nothing held back, no sync under way and every message acknowledged or failed. */
  synced(): Promise<void>
  /** Ends all activity; the storage keeps login and outbox for the next client. */
  close(): Promise<void>
}

/** A page of history that news outdates on its way is loaded again, this often. */
const maxHistoryTries = 5

/** The client: REST, socket, a store that stays right by itself, and an outbox that loses nothing. */
export function createClient(options: ClientOptions): Client {
  const { url, storage = memoryStorage(), timeoutMs = 10_000 } = options
  const fetchFn: typeof fetch = options.fetch ?? ((...args) => fetch(...args))
  const events = createEmitter<ClientEvents>()
  const onChanged = (conversationId: string): void => events.emit('changed', conversationId)
  const store = createStore()
  const tokens = createTokens({
    storage,
    refresh: (refreshToken) =>
      callRest(url, fetchFn, { method: 'POST', path: '/v1/auth/refresh', body: { refreshToken } }) as Promise<Tokens>,
  })
  const rest = createRest({ url, tokens, fetch: fetchFn })
  const renewal = createTokenRenewal(tokens, (token) => {
    // Where this fails the server closes the socket at the expiry, and the next handshake tells why.
    socket?.command('session:refresh', { token }).catch(() => {})
  })
  const typing = createTypingWatch((stopped) => events.emit('typing', stopped))
  const reconciler = createReconciler({
    store,
    sync: (input) => openedSocket().command('sync', input),
    onChanged,
    onIdle: settleWaiting,
  })
  const outbox = createOutbox({
    storage,
    transmit: (input) => openedSocket().command('message:send', input),
    onSent: ({ createdAt: _, ...input }, sent) => takeAnswer('message:send', input, sent),
    onFailed: (message) => events.emit('sendFailed', message),
    onChanged,
    onEmpty: settleWaiting,
    maxInFlight: options.maxInFlight ?? 20,
    backoff: { minMs: 500, maxMs: 15_000 },
  })
  let userId: string | undefined
  let socket: KintsugiSocket | undefined
  let isReady = false
  let connecting: Promise<SessionReady> | undefined
  let failConnecting: ((error: Error) => void) | undefined
  const waiting: { resolve(): void; reject(error: Error): void }[] = []

  tokens.on('signedOut', (reason) => {
    disconnect(new CommandFailed({ ...reason, retryable: false }))
    void outbox.close()
    userId = undefined
    events.emit('signedOut', reason)
  })

  function openedSocket(): KintsugiSocket {
    if (!socket) throw unavailable('Not connected: call connect().')
    return socket
  }

  async function adopt(id: string): Promise<void> {
    if (id === userId) return
    if (userId !== undefined) {
      disconnect(unavailable('Another user has signed in.'))
      await outbox.close()
    }
    userId = id
    store.reset(id)
    await outbox.open(id)
  }

  async function open(): Promise<SessionReady> {
    const id = await tokens.userId()
    if (id === undefined) throw new ApiError(401, { code: 'unauthenticated', detail: 'You are not signed in.' })
    await adopt(id)
    return new Promise<SessionReady>((resolve, reject) => {
      failConnecting = reject
      socket = openSocket({ url, timeoutMs, ...options.socket, auth: renewal.auth })
      wire(socket, resolve)
    })
  }

  function wire(opened: KintsugiSocket, onSynced: (session: SessionReady) => void): void {
    opened.on('session:ready', (session) => {
      isReady = true
      outbox.online()
      renewal.start()
      events.emit('connected', session)
      // A sync that the connection does not outlive is begun anew at the next session.
      reconciler.start().then(
        () => onSynced(session),
        () => {},
      )
    })
    opened.on('disconnected', (lost) => {
      isReady = false
      outbox.offline()
      reconciler.stop()
      typing.clear()
      renewal.stop()
      events.emit('disconnected', lost)
    })
    opened.on('refused', (reason) => void tokens.end(reason))
    opened.on('resync', reconciler.resyncSoon)
    opened.on('typing', typing.take)
    for (const name of storedEvents) opened.on(name, (payload) => reconciler.take({ name, payload } as News))
    for (const name of [...storedEvents, 'typing', 'presence:changed'] as const) {
      opened.on(name, (payload) => events.emit(name, payload as never))
    }
  }

  /** Ends the connection for good; `reason` is what those hear who wait for it. */
  function disconnect(reason: Error): void {
    failConnecting?.(reason)
    failConnecting = undefined
    connecting = undefined
    const opened = socket
    socket = undefined
    opened?.close()
    for (const { reject } of waiting.splice(0)) reject(reason)
  }

  function takeAnswer<K extends MessengerCommand>(name: K, input: CommandInput<K>, output: CommandOutput<K>): void {
    const news = newsOf(name, input, output, userId ?? '')
    // Only what one creates is new here: an answer must not bring back a conversation that ended meanwhile.
    const isUnknown = news?.name === 'conversation:created' && !store.get(news.payload.id)
    if (news && (!isUnknown || name === 'conversation:create')) reconciler.take(news)
  }

  function settleWaiting(): void {
    if (!isReady || !reconciler.isIdle() || !outbox.isEmpty()) return
    for (const { resolve } of waiting.splice(0)) resolve()
  }

  async function command<K extends MessengerCommand>(name: K, input: CommandInput<K>): Promise<CommandOutput<K>> {
    const output = (await openedSocket().command(name, input as never)) as CommandOutput<K>
    takeAnswer(name, input, output)
    return output
  }

  const begin = async (session: Promise<Session>): Promise<Session> => {
    const begun = await session
    await adopt(begun.user.id)
    return begun
  }

  return {
    rest,
    store,
    on: events.on,
    command,
    retry: outbox.retry,
    discard: outbox.discard,
    register: (input) => begin(rest.register(input)),
    login: (input) => begin(rest.login(input)),
    async logout() {
      await outbox.close(true)
      await rest.logout()
    },
    connect() {
      connecting ??= open().catch((error) => {
        disconnect(error)
        throw error
      })
      return connecting
    },
    send(conversationId, content, { clientId = newClientId(), ...others } = {}) {
      return outbox.send({ conversationId, clientId, content, ...others })
    },
    pending(conversationId) {
      const held = reconciler
        .held()
        .filter((news) => news.name === 'sent')
        .map(({ payload }) => payload)
      const acknowledged = held
        .filter(({ input }) => input.conversationId === conversationId)
        .map(({ input, sent }) => ({ ...input, createdAt: sent.createdAt }))
      const all = [...acknowledged, ...outbox.list(conversationId)]
      if (all.length === 0) return all
      const rows = store.get(conversationId)?.messages.filter((row) => row.senderId === userId) ?? []
      const stored = new Set(rows.map((row) => row.clientId))
      return all.filter((message) => !stored.has(message.clientId))
    },
    async loadHistory(conversationId, limit = 50) {
      for (let tries = 0; tries < maxHistoryTries; tries++) {
        const before = store.get(conversationId)?.from ?? 1
        if (before <= 1) return false
        const page = await openedSocket().command('message:history', { conversationId, before, limit })
        const copy = store.get(conversationId)
        if (copy?.takeHistory(before, page.messages, page.hasBefore)) {
          onChanged(conversationId)
          return copy.hasBefore
        }
      }
      throw unavailable('The conversation changes too fast to load its history.')
    },
    synced() {
      const settled = new Promise<void>((resolve, reject) => waiting.push({ resolve, reject }))
      settleWaiting()
      return settled
    },
    async close() {
      disconnect(unavailable('The client was closed.'))
      userId = undefined
      await outbox.close()
    },
  }
}

/** Not `randomUUID`, which browsers withhold on plain http, where a self-hosted server may well be. */
function newClientId(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}
