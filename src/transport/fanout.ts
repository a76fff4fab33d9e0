import type { Logger } from 'pino'
import type { Server } from 'socket.io'
import type { Metrics } from '../kernel/metrics.ts'
import type { Fanout, MembershipChange } from '../kernel/ports.ts'
import type { Cluster } from './cluster.ts'
import { type EncodedEvent, encodedEvent, packed, unpacked } from './encoding.ts'
import { framed } from './frames.ts'
import { type Rooms, room } from './rooms.ts'
import type { SocketData } from './socket-data.ts'

/** What one node asks of all. Each applies it to its own sockets; one that is repeated or late does no harm. */
type Order =
  | { kind: 'users'; userIds: string[]; event: string; json: string; exceptSocket?: string | undefined }
  | { kind: 'peers'; conversationIds: string[]; event: string; json: string }
  | { kind: 'signal'; conversationId: string; event: string; json: string; exceptUser: string }
  | { kind: 'presence'; userId: string; json: string }
  | { kind: 'unwatch'; pair: [string, string] }
  | { kind: 'join' | 'leave'; change: MembershipChange }
  | { kind: 'dissolve'; conversationId: string }
  | { kind: 'close-sessions'; sessionIds: string[] }
  | { kind: 'close-users'; userIds: string[]; event: string; json: string }
  | { kind: 'resync'; cause: string }

/** A removal waits this long for the other nodes; one that does not answer finds out by `membersChange`. */
const confirmationMs = 1_500

export type NodeFanout = Fanout & {
  /** Tells the watchers of a user on every node that the user came or went. */
  announcePresence(userId: string, payload: unknown): void
  /** Tells the sockets of every node that events may have been missed. */
  resync(cause: string): void
  /** Tells the sockets of this node. */
  resyncHere(cause: string): void
}

/**
 * Brings news to sockets: on this node at once, on the others by a server-side emit of the Redis adapter, or, what
 * conversations are told, which is nearly all there is, by a text of its own. Both go over one connection, which keeps
 * the order of what one node sends.
 */
export function createFanout(deps: {
  io: Server
  rooms: Rooms
  /** Absent where this node is the only one. */
  cluster: Cluster | undefined
  metrics: Metrics
  log: Logger
}): NodeFanout {
  const { io, rooms, cluster, metrics, log } = deps
  const namespace = io.of('/')
  const handed = { local: metrics.fanout.labels('local'), remote: metrics.fanout.labels('remote') }

  /**
   * Sends a packet to the sockets of this node that are in any of the rooms, framed once for all of them.
   * @param except the name of a room, or the id of a socket
   * @param isVolatile those who are slow to read go without it
   */
  function send(names: string[], text: string, except?: string, isVolatile = false): void {
    const left = except === undefined ? undefined : namespace.adapter.rooms.get(except)
    // with one room nobody can be met twice
    const reached = names.length > 1 ? new Set<string>() : undefined
    let options: ReturnType<typeof framed> | undefined
    for (const name of names) {
      for (const id of namespace.adapter.rooms.get(name) ?? []) {
        if (left?.has(id) || reached?.has(id)) continue
        reached?.add(id)
        const connection = namespace.sockets.get(id)?.conn
        if (!connection || (isVolatile && !connection.transport.writable)) continue
        options ??= framed(text)
        connection.write(text, options)
      }
    }
  }

  const emit = (names: string[], event: string, json: string, except?: string): void =>
    send(names, encodedEvent(event, json), except)

  /** @param exceptSockets for each event the socket that goes without it, if any */
  function hear(events: EncodedEvent[], exceptSockets: (string | undefined)[] = []): Promise<unknown> | undefined {
    const waits: Promise<void>[] = []
    for (const [n, { conversationId, membersChange, text }] of events.entries()) {
      if (!rooms.isHeard(conversationId)) continue
      const tell = () => send([room.conversation(conversationId)], text, exceptSockets[n])
      const stale = rooms.bringUpTo(conversationId, membersChange)
      if (stale) waits.push(stale.then(tell))
      else tell()
    }
    return waits.length > 0 ? Promise.all(waits) : undefined
  }

  function apply(order: Order): void {
    switch (order.kind) {
      case 'users':
        emit(order.userIds.map(room.user), order.event, order.json, order.exceptSocket)
        return
      case 'peers':
        emit(order.conversationIds.map(room.conversation), order.event, order.json)
        return
      case 'signal':
        send(
          [room.conversation(order.conversationId)],
          encodedEvent(order.event, order.json),
          room.user(order.exceptUser),
          true,
        )
        return
      case 'presence':
        emit([room.watchers(order.userId)], 'presence:changed', order.json)
        return
      case 'unwatch': {
        const [one, other] = order.pair
        io.local.in(room.user(one)).socketsLeave(room.watchers(other))
        io.local.in(room.user(other)).socketsLeave(room.watchers(one))
        return
      }
      case 'join':
        rooms.join(order.change)
        return
      case 'leave':
        rooms.leave(order.change)
        return
      case 'dissolve':
        rooms.dissolve(order.conversationId)
        return
      case 'close-sessions':
        for (const id of order.sessionIds) rooms.close(room.session(id))
        return
      case 'close-users':
        emit(order.userIds.map(room.user), order.event, order.json)
        for (const id of order.userIds) rooms.close(room.user(id))
        return
      case 'resync':
        metrics.resyncs.labels(order.cause).inc()
        io.local.emit('resync', {})
        return
    }
  }

  function everywhere(order: Order): void {
    apply(order)
    if (cluster?.isUp()) io.serverSideEmit('order', order)
  }

  /** As `everywhere`, and settles when the other nodes have said that it is done. */
  async function confirmed(order: Order): Promise<void> {
    apply(order)
    if (!cluster?.isUp()) return
    await Promise.race([
      io.serverSideEmitWithAck('order', order),
      new Promise((_, reject) => setTimeout(reject, confirmationMs, new Error('no answer in time')).unref()),
    ]).catch((error: unknown) => log.warn({ err: error, order: order.kind }, 'not every node has confirmed'))
  }

  io.on('order', (order: Order, confirm?: (done: true) => void) => {
    try {
      apply(order)
    } catch (error) {
      log.error({ err: error, order: order.kind }, 'an order of another node failed')
    }
    confirm?.(true)
  })

  cluster?.onTold((text) => {
    passOn(text).catch((error: unknown) => log.error({ err: error }, 'events of another node were not passed on'))
  })

  async function passOn(text: string): Promise<void> {
    const events = unpacked(text)
    handed.remote.inc(events.length)
    await hear(events)
  }

  return {
    async toConversations(events) {
      const encoded = events.map(({ conversationId, membersChange, event, payload }) => ({
        conversationId,
        membersChange,
        text: encodedEvent(event, JSON.stringify(payload)),
      }))
      handed.local.inc(events.length)
      const heard = hear(
        encoded,
        events.map(({ exceptSocket }) => exceptSocket),
      )
      if (cluster?.isUp()) cluster.tell(packed(encoded))
      await heard
    },
    signal(conversationId, event, payload, exceptUser) {
      // while the link is down a room may hold someone who was removed elsewhere, and no row is read that would tell
      if (cluster && !cluster.isUp()) return
      everywhere({ kind: 'signal', conversationId, event, json: JSON.stringify(payload), exceptUser })
    },
    toUsers(userIds, event, payload, exceptSocket) {
      if (userIds.length > 0) everywhere({ kind: 'users', userIds, event, json: JSON.stringify(payload), exceptSocket })
    },
    toPeers(conversationIds, event, payload) {
      if (conversationIds.length > 0)
        everywhere({ kind: 'peers', conversationIds, event, json: JSON.stringify(payload) })
    },
    toWatchers: (userId, event, payload) => emit([room.watchers(userId)], event, JSON.stringify(payload)),
    resync: (cause) => everywhere({ kind: 'resync', cause }),
    resyncHere: (cause) => apply({ kind: 'resync', cause }),
    announcePresence: (userId, payload) => everywhere({ kind: 'presence', userId, json: JSON.stringify(payload) }),
    join: (change) => everywhere({ kind: 'join', change }),
    leave: (change) => confirmed({ kind: 'leave', change }),
    dissolve: (conversationId) => confirmed({ kind: 'dissolve', conversationId }),
    watch(socketId, userIds) {
      const socket = namespace.sockets.get(socketId)
      if (!socket) return
      const data = socket.data as SocketData
      for (const id of data.watching) void socket.leave(room.watchers(id))
      data.watching = userIds
      void socket.join(userIds.map(room.watchers))
    },
    unwatch: (pair) => everywhere({ kind: 'unwatch', pair }),
    isInRoom: (userId, conversationId) => rooms.isIn(userId, conversationId),
    closeSessions: (sessionIds) => everywhere({ kind: 'close-sessions', sessionIds }),
    closeUsers(userIds, { event, payload }) {
      if (userIds.length > 0) everywhere({ kind: 'close-users', userIds, event, json: JSON.stringify(payload) })
    },
  }
}
