import type { ErrorCode } from '../kernel/errors.ts'
import type { Attachment } from '../media/media.contract.ts'
import type { Sent } from '../messenger/messenger.contract.ts'
import { type Backoff, backoffMs } from './backoff.ts'
import { CommandFailed, unavailable } from './socket.ts'
import { type KeyValueStorage, type StoredValue, storedValue } from './storage.ts'
import type { SendInput } from './store.ts'

/** A message of one's own that the server has not acknowledged. */
export interface PendingMessage extends SendInput {
  /** What its `attachmentIds` name, where that is known here. */
  attachments?: Attachment[]
  /** By this device's clock. */
  createdAt: string
  /** Present once the server has refused it for good; it then waits for `retry` or `discard`. */
  failure?: { code: ErrorCode; message: string }
}

export interface Sending {
  clientId: string
  /** Rejects with {@link CommandFailed} when the server refuses the message, or the client is closed before. */
  acknowledged: Promise<Sent>
}

export interface Outbox {
  /** Takes up what the storage holds of this user. */
  open(userId: string): Promise<void>
  send(input: Omit<PendingMessage, 'createdAt' | 'failure'>): Sending
  online(): void
  offline(): void
  /** In the order of sending. */
  list(conversationId: string): PendingMessage[]
  retry(clientId: string): void
  discard(clientId: string): void
  /** Whether every message is acknowledged or has failed. */
  isEmpty(): boolean
  /** Stops; the storage keeps what was not acknowledged, or nothing where `isForgotten`. */
  close(isForgotten?: boolean): Promise<void>
}

interface Entry {
  message: PendingMessage
  lane: Lane
  isInFlight: boolean
  acknowledged: Promise<Sent>
  resolve(sent: Sent): void
  reject(error: unknown): void
}

/** The messages of one conversation, in the order of sending. */
interface Lane {
  entries: Entry[]
  inFlight: number
  /** Something failed that may succeed later: what came after it waits, so that the order stays. */
  isBlocked: boolean
  attempt: number
  timer: ReturnType<typeof setTimeout> | undefined
}

interface Box {
  lanes: Map<string, Lane>
  /** By client id. */
  entries: Map<string, Entry>
  inFlight: number
  stored: StoredValue<PendingMessage[]>
}

/**
 * Sends messages until the server has each of them once. What always holds: a message goes out under one client id,
 * however often; within a conversation messages go out in the order of `send`, several at a time, since one socket keeps
 * their order; after a failure nothing more goes out there until the failed one does. One client at a time may use a
 * user's outbox in a storage.
 */
export function createOutbox(deps: {
  storage: KeyValueStorage
  transmit(input: SendInput): Promise<Sent>
  onSent(message: PendingMessage, sent: Sent): void
  onFailed(message: PendingMessage): void
  onChanged(conversationId: string): void
  onEmpty(): void
  /** How many messages may wait for their acknowledgment at once. */
  maxInFlight: number
  backoff: Backoff
}): Outbox {
  let box: Box | undefined
  let isOnline = false
  let isSaveDue = false
  let saveTimer: ReturnType<typeof setTimeout> | undefined

  function save(): Promise<void> {
    clearTimeout(saveTimer)
    saveTimer = undefined
    isSaveDue = false
    if (!box) return Promise.resolve()
    const messages = [...box.entries.values()].map((entry) => entry.message)
    return box.stored.write(messages.length > 0 ? messages : undefined)
  }

  /** What is new is stored at once, a burst together. */
  function saveNow(): void {
    if (!isSaveDue) queueMicrotask(save)
    isSaveDue = true
  }

  /** What is done may be stored late: sent again after a restart, it gets its first answer again. */
  function saveSoon(): void {
    saveTimer ??= setTimeout(save, 100)
  }

  function add(to: Box, message: PendingMessage): Entry {
    const lane = to.lanes.get(message.conversationId) ?? newLane()
    let resolve: Entry['resolve'] = () => {}
    let reject: Entry['reject'] = () => {}
    const acknowledged = new Promise<Sent>((onResolve, onReject) => {
      resolve = onResolve
      reject = onReject
    })
    // Failures are told by `onFailed` too: who does not wait for the promise must not be brought down by it.
    acknowledged.catch(() => {})
    const entry: Entry = { message, lane, isInFlight: false, acknowledged, resolve, reject }
    lane.entries.push(entry)
    to.lanes.set(message.conversationId, lane)
    to.entries.set(message.clientId, entry)
    return entry
  }

  function remove(from: Box, { message, lane }: Entry): void {
    lane.entries.splice(
      lane.entries.findIndex((entry) => entry.message.clientId === message.clientId),
      1,
    )
    if (lane.entries.length === 0) from.lanes.delete(message.conversationId)
    from.entries.delete(message.clientId)
  }

  function pump(): void {
    if (!box || !isOnline) return
    for (const lane of box.lanes.values()) {
      if (lane.isBlocked) continue
      for (const entry of lane.entries) {
        if (box.inFlight >= deps.maxInFlight) return
        if (!entry.isInFlight && !entry.message.failure) void transmit(box, entry)
      }
    }
  }

  async function transmit(own: Box, entry: Entry): Promise<void> {
    const { lane } = entry
    const { attachments: _, createdAt: __, failure: ___, ...input } = entry.message
    entry.isInFlight = true
    lane.inFlight++
    own.inFlight++
    let retryAfterMs = 0
    try {
      const sent = await deps.transmit(input)
      lane.attempt = 0
      acknowledge(own, entry, sent)
    } catch (error) {
      if (error instanceof CommandFailed && !error.retryable) fail(entry, error)
      else lane.isBlocked = true
      if (error instanceof CommandFailed) retryAfterMs = Number(error.details?.retryAfterSeconds ?? 0) * 1000
    }
    entry.isInFlight = false
    lane.inFlight--
    own.inFlight--
    if (own !== box) return
    // Only once all answers are in is it known which messages have to go out again, the earliest first.
    if (lane.isBlocked && lane.inFlight === 0) unblockLater(lane, retryAfterMs)
    pump()
    if (isEmpty()) deps.onEmpty()
  }

  function unblockLater(lane: Lane, atLeastMs: number): void {
    lane.timer = setTimeout(() => unblock(lane), Math.max(atLeastMs, backoffMs(lane.attempt++, deps.backoff)))
  }

  function unblock(lane: Lane): void {
    clearTimeout(lane.timer)
    lane.isBlocked = false
    pump()
  }

  function acknowledge(own: Box, entry: Entry, sent: Sent): void {
    remove(own, entry)
    entry.resolve(sent)
    if (own !== box) return
    saveSoon()
    deps.onSent(entry.message, sent)
  }

  function fail(entry: Entry, { code, message }: CommandFailed): void {
    entry.message = { ...entry.message, failure: { code, message } }
    entry.reject(new CommandFailed({ code, message, retryable: false }))
    saveNow()
    deps.onChanged(entry.message.conversationId)
    deps.onFailed(entry.message)
  }

  function isEmpty(): boolean {
    for (const { message } of box?.entries.values() ?? []) if (!message.failure) return false
    return true
  }

  function discard(clientId: string): void {
    const entry = box?.entries.get(clientId)
    if (!box || !entry?.message.failure) return
    remove(box, entry)
    saveNow()
    deps.onChanged(entry.message.conversationId)
  }

  return {
    discard,
    isEmpty,
    async open(userId) {
      const stored = storedValue<PendingMessage[]>(deps.storage, `kintsugi.outbox.${userId}`)
      const opened: Box = { lanes: new Map(), entries: new Map(), inFlight: 0, stored }
      for (const message of (await stored.read()) ?? []) add(opened, message)
      box = opened
      pump()
    },
    send(input) {
      if (!box) throw new CommandFailed({ code: 'unauthenticated', message: 'Sign in first.', retryable: false })
      const known = box.entries.get(input.clientId)
      const entry = known ?? add(box, { ...input, createdAt: new Date().toISOString() })
      if (!known) {
        saveNow()
        deps.onChanged(input.conversationId)
        pump()
      }
      return { clientId: input.clientId, acknowledged: entry.acknowledged }
    },
    online() {
      isOnline = true
      for (const lane of box?.lanes.values() ?? []) {
        lane.attempt = 0
        if (lane.inFlight === 0) unblock(lane)
      }
      pump()
    },
    offline() {
      isOnline = false
    },
    list: (conversationId) => box?.lanes.get(conversationId)?.entries.map((entry) => entry.message) ?? [],
    retry(clientId) {
      const message = box?.entries.get(clientId)?.message
      if (!box || !message?.failure) return
      const { failure: _, ...again } = message
      discard(clientId)
      add(box, again)
      saveNow()
      pump()
    },
    async close(isForgotten = false) {
      const own = box
      const saved = isForgotten ? own?.stored.write(undefined) : save()
      box = undefined
      isOnline = false
      clearTimeout(saveTimer)
      for (const lane of own?.lanes.values() ?? []) clearTimeout(lane.timer)
      for (const entry of own?.entries.values() ?? []) {
        entry.reject(unavailable(isForgotten ? 'You have signed out.' : 'The client was closed before an answer came.'))
      }
      await saved
    },
  }
}

const newLane = (): Lane => ({ entries: [], inFlight: 0, isBlocked: false, attempt: 0, timer: undefined })
