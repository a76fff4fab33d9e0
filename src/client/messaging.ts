import type { Attachment } from '../media/media.contract.ts'
import type { SessionReady } from '../transport/session.contract.ts'
import type { Backoff } from './backoff.ts'
import { newClientId } from './client.id.ts'
import { createEmitter, type Emitter } from './emitter.ts'
import { newsOf, storedEvents } from './news.ts'
import { createOutbox, type PendingMessage, type Sending } from './outbox.ts'
import { createReconciler } from './reconciler.ts'
import {
  type FeatureEvents,
  type KintsugiSocket,
  openSocket,
  type SocketCommand,
  type SocketInput,
  type SocketOptions,
  type SocketOutput,
  unavailable,
} from './socket.ts'
import { type KeyValueStorage, memoryStorage } from './storage.ts'
import { createStore, type News, type SendInput, type Store } from './store.ts'
import { createStreams } from './streams.ts'
import type { SignedOut } from './tokens.ts'
import { createTypingWatch } from './typing.ts'

export interface MessagingOptions {
  /** The server's absolute address. */
  url: string
  /** Keeps what has to outlive a restart; in memory unless given. Not to be shared by two clients at a time. */
  storage?: KeyValueStorage
  socket?: { path?: string; reconnect?: Partial<Backoff> }
  /** How long a command waits for its acknowledgment, in milliseconds; 10 s unless given. */
  timeoutMs?: number
  /** How many sent messages may wait for their acknowledgment at once; 20 unless given. */
  maxInFlight?: number
}

/** Server events come as they are on the wire, maybe before the store could take them; `changed` says when it has. */
export type MessagingEvents = FeatureEvents & {
  connected: SessionReady
  disconnected: { reason: string }
  /** There is no connection; the next try comes by itself after so many milliseconds. */
  retrying: { inMs: number }
  /** The login has ended: by `logout`, because it was revoked or has expired, or with a ban. */
  signedOut: SignedOut
  /** The id of a conversation of which the copy or the pending messages changed. */
  changed: string
  /** A message that the server refused for good. */
  sendFailed: PendingMessage
}

export type SendOptions = Omit<SendInput, 'conversationId' | 'content' | 'clientId'> & {
  clientId?: string
  /** Uploads of one's own, in order, in place of their `attachmentIds`: the pending message shows them. */
  attachments?: Attachment[]
}

export interface Messaging extends Emitter<MessagingEvents> {
  readonly store: Store
  /** Takes up the store and the outbox of this user, and leaves those of another. */
  adopt(userId: string): Promise<void>
  /** Ends the connection and leaves the user; `reason` is what those hear who wait for it. */
  leave(reason: Error): Promise<void>
  /** What the outbox holds is never sent. */
  forgetUnsent(): Promise<void>
  connect(): Promise<SessionReady>
  reconnect(): void
  command<K extends SocketCommand>(name: K, input: SocketInput<K>): Promise<SocketOutput<K>>
  send(conversationId: string, content: string, options?: SendOptions): Sending
  pending(conversationId: string): PendingMessage[]
  retry(clientId: string): void
  discard(clientId: string): void
  loadHistory(conversationId: string, limit?: number): Promise<boolean>
  synced(): Promise<void>
}

/** A page of history that news outdates on its way is loaded again, this often. */
const maxHistoryTries = 5

const passedOn = [
  'typing',
  'presence:changed',
  'stream:delta',
  'stream:stop',
  'story:created',
  'story:removed',
  'story:viewed',
  'wallet:changed',
  'job:changed',
  'notification',
] as const

/** What one user, a person or an agent, does over a socket: a store that stays right, and an outbox that loses nothing. */
export function createMessaging(
  options: MessagingOptions & {
    auth: SocketOptions['auth']
    /** Who connects, where that is known before the server says it. Rejects where nobody may. */
    identify?(): Promise<string>
    /** The server will not have this login any more. */
    onRefused(reason: SignedOut): void
  },
): Messaging {
  const { url, storage = memoryStorage(), timeoutMs = 10_000 } = options
  const events = createEmitter<MessagingEvents>()
  const store = createStore()
  const typing = createTypingWatch((stopped) => events.emit('typing', stopped))
  const streams = createStreams({
    store,
    resume: async (input) => openedSocket().command('run:resume', input),
    onChanged: (conversationId) => events.emit('changed', conversationId),
    onEndMissed: () => reconciler.resyncSoon(),
  })
  const reconciler = createReconciler({
    store,
    sync: (input) => openedSocket().command('sync', input),
    onChanged,
    onSynced: streams.resume,
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

  function onChanged(conversationId: string): void {
    streams.look(conversationId)
    events.emit('changed', conversationId)
  }

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
    const id = await options.identify?.()
    if (id !== undefined) await adopt(id)
    return new Promise<SessionReady>((resolve, reject) => {
      failConnecting = reject
      socket = openSocket({ url, timeoutMs, ...options.socket, auth: options.auth })
      wire(socket, resolve)
    })
  }

  function wire(opened: KintsugiSocket, onSynced: (session: SessionReady) => void): void {
    opened.on('session:ready', (session) => {
      const adopted = userId === undefined ? adopt(session.userId) : undefined
      isReady = true
      outbox.online()
      streams.start()
      events.emit('connected', session)
      // A sync that the connection does not outlive is begun anew at the next session.
      Promise.all([reconciler.start(), adopted]).then(
        () => onSynced(session),
        () => {},
      )
    })
    opened.on('disconnected', (lost) => {
      isReady = false
      outbox.offline()
      reconciler.stop()
      streams.stop()
      typing.clear()
      events.emit('disconnected', lost)
    })
    opened.on('retrying', (next) => events.emit('retrying', next))
    opened.on('refused', options.onRefused)
    opened.on('resync', reconciler.resyncSoon)
    opened.on('typing', typing.take)
    opened.on('stream:delta', streams.take)
    for (const name of storedEvents) opened.on(name, (payload) => reconciler.take({ name, payload } as News))
    for (const name of [...storedEvents, ...passedOn]) {
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

  function takeAnswer<K extends SocketCommand>(name: K, input: SocketInput<K>, output: SocketOutput<K>): void {
    const news = newsOf(name, input, output, userId ?? '')
    // Only what one creates is new here: an answer must not bring back a conversation that ended meanwhile.
    const isUnknown = news?.name === 'conversation:created' && !store.get(news.payload.id)
    if (news && (!isUnknown || name === 'conversation:create')) reconciler.take(news)
  }

  function settleWaiting(): void {
    if (!isReady || !reconciler.isIdle() || !outbox.isEmpty()) return
    for (const { resolve } of waiting.splice(0)) resolve()
  }

  return {
    store,
    on: events.on,
    emit: events.emit,
    adopt,
    retry: outbox.retry,
    discard: outbox.discard,
    forgetUnsent: () => outbox.close(true),
    async leave(reason) {
      disconnect(reason)
      userId = undefined
      await outbox.close()
    },
    connect() {
      connecting ??= open().catch((error) => {
        disconnect(error)
        throw error
      })
      return connecting
    },
    reconnect: () => socket?.retryNow(),
    async command(name, input) {
      const output = await openedSocket().command(name, input)
      takeAnswer(name, input, output)
      return output
    },
    send(conversationId, content, { clientId = newClientId(), attachments, ...others } = {}) {
      const attached = attachments && { attachments, attachmentIds: attachments.map(({ id }) => id) }
      return outbox.send({ conversationId, clientId, content, ...others, ...attached })
    },
    pending(conversationId) {
      const held = reconciler
        .held()
        .filter((news) => news.name === 'sent')
        .map(({ payload }) => payload)
      const acknowledged = held
        .filter(({ input }) => input.conversationId === conversationId)
        .map(({ input, sent }) => ({ ...input, attachments: sent.message?.attachments, createdAt: sent.createdAt }))
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
  }
}
