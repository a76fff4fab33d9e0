import type { RunCommand } from '../agents/agents.contract.ts'
import type { Session, Tokens } from '../identity/identity.contract.ts'
import type { MessengerCommand } from '../messenger/messenger.contract.ts'
import type { SessionReady } from '../transport/session.contract.ts'
import type { Emitter } from './emitter.ts'
import { ApiError, callRest, withRefreshCookie } from './http.ts'
import { createMediaUrls, type MediaUrlOf } from './media.urls.ts'
import { createMessaging, type Messaging, type MessagingEvents, type MessagingOptions } from './messaging.ts'
import type { PendingMessage } from './outbox.ts'
import { createTokenRenewal } from './renewal.ts'
import { createRest, type Rest } from './rest.ts'
import { createServerClock } from './server.clock.ts'
import { CommandFailed, type SocketInput, type SocketOutput, unavailable } from './socket.ts'
import { memoryStorage } from './storage.ts'
import type { Store } from './store.ts'
import { createTokens } from './tokens.ts'

export interface ClientOptions extends MessagingOptions {
  fetch?: typeof fetch
  /**
   * Whether the refresh token is kept in a cookie that scripts cannot read, for pages of the server's origin and of those
   * in CORS_ORIGINS; `continueLogin` takes it up where the storage does not outlive the page.
   */
  refreshCookie?: boolean
}

export type ClientEvents = MessagingEvents

/** What people may ask for over the socket. */
export type ClientCommand = MessengerCommand | Extract<RunCommand, `run:${string}`>

export interface Client extends Pick<Emitter<ClientEvents>, 'on'> {
  readonly rest: Rest
  readonly store: Store
  register: Rest['register']
  login: Rest['login']
  guest: Rest['guest']
  continueLogin: Rest['continueLogin']
  /** Ends the login; what the outbox held is forgotten. */
  logout(): Promise<void>
  /**
   * Opens the socket; resolves once the store is at the server's state. From then on the client reconnects and catches
   * up by itself. Rejects with {@link CommandFailed} or {@link ApiError} when signed out or refused.
   */
  connect(): Promise<SessionReady>
  /** Tries at once where the next try is due later, such as when the device has a network again. */
  reconnect(): void
  upload: Rest['upload']
  /**
   * An absolute address that can be loaded now, for any that messages, people or stories have: the same while it is
   * good, else a new one. Throws {@link ApiError}; `not_found` where one may not see it any more.
   */
  mediaUrl: MediaUrlOf
  /** Sends through the outbox: at once, or as soon as there is a connection. */
  send: Messaging['send']
  /** One's own messages that the store does not have yet, the failed ones too. */
  pending(conversationId: string): PendingMessage[]
  /** Sends a failed message again, or gives it up. */
  retry(clientId: string): void
  discard(clientId: string): void
  /** Sends any command once, without the outbox. Rejects with {@link CommandFailed}. */
  command<K extends ClientCommand>(name: K, input: SocketInput<K>): Promise<SocketOutput<K>>
  /** Loads the page before the loaded messages into the store; says whether older ones remain. */
  loadHistory(conversationId: string, limit?: number): Promise<boolean>
  /** Resolves when connected with nothing held back, no sync under way and every message acknowledged or failed. */
  synced(): Promise<void>
  /** Ends all activity; the storage keeps login and outbox for the next client. */
  close(): Promise<void>
}

/** The client: REST, socket, a store that stays right by itself, and an outbox that loses nothing. */
export function createClient(options: ClientOptions): Client {
  const { url, storage = memoryStorage() } = options
  const clock = createServerClock()
  const learningFetch: typeof fetch = async (...args) => {
    const response = await (options.fetch ?? fetch)(...args)
    // to be read by pages of the server's own origin
    clock.learn(response.headers.get('date'))
    return response
  }
  const fetchFn = options.refreshCookie ? withRefreshCookie(url, learningFetch) : learningFetch
  const tokens = createTokens({
    storage,
    refresh: (refreshToken) =>
      callRest(url, fetchFn, { method: 'POST', path: '/v1/auth/refresh', body: { refreshToken } }) as Promise<Tokens>,
  })
  const rest = createRest({ url, tokens, fetch: fetchFn })
  const mediaUrl = createMediaUrls({ url, clock, get: (id) => rest.request('GET', `/v1/attachments/${id}`) })
  const renewal = createTokenRenewal(tokens, (token) => {
    // Where this fails the server closes the socket at the expiry, and the next handshake tells why.
    messaging.command('session:refresh', { token }).catch(() => {})
  })
  const messaging = createMessaging({
    ...options,
    storage,
    auth: renewal.auth,
    async identify() {
      const id = await tokens.userId()
      if (id === undefined) throw new ApiError(401, { code: 'unauthenticated', detail: 'You are not signed in.' })
      return id
    },
    onRefused: (reason) => void tokens.end(reason),
  })
  messaging.on('connected', ({ serverTime }) => {
    clock.learn(serverTime)
    renewal.start()
  })
  messaging.on('disconnected', renewal.stop)
  tokens.on('signedOut', (reason) => {
    void messaging.leave(new CommandFailed({ ...reason, retryable: false }))
    messaging.emit('signedOut', reason)
  })

  const begin = async (session: Promise<Session>): Promise<Session> => {
    const begun = await session
    await messaging.adopt(begun.user.id)
    return begun
  }

  return {
    rest,
    mediaUrl,
    upload: rest.upload,
    store: messaging.store,
    on: messaging.on,
    command: messaging.command,
    retry: messaging.retry,
    discard: messaging.discard,
    connect: messaging.connect,
    reconnect: messaging.reconnect,
    send: messaging.send,
    pending: messaging.pending,
    loadHistory: messaging.loadHistory,
    synced: messaging.synced,
    register: (input) => begin(rest.register(input)),
    login: (input) => begin(rest.login(input)),
    guest: (input) => begin(rest.guest(input)),
    continueLogin: () => begin(rest.continueLogin()),
    async logout() {
      await messaging.forgetUnsent()
      await rest.logout()
    },
    close: () => messaging.leave(unavailable('The client was closed.')),
  }
}
