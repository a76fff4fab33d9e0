import type { Server, Socket } from 'socket.io'
import type { MembershipChange, Memberships } from '../kernel/ports.ts'
import type { SocketData } from './socket-data.ts'

/** Names of Socket.IO rooms. */
export const room = {
  conversation: (id: string) => `c:${id}`,
  user: (id: string) => `u:${id}`,
  session: (id: string) => `s:${id}`,
  /** Sockets that watch a user's presence. */
  watchers: (id: string) => `w:${id}`,
}

/** Longer than any handshake takes from its look at the login to its place in the rooms. */
const closingsKeptMs = 60_000

/**
 * The rooms of this node's sockets. Rooms are the authorisation cache: a socket is in a conversation's room exactly while
 * its user participates.
 *
 * For each room the node knows as of which join or leave (`membersChange`) it is right. An event that was written under a
 * newer one says so, and the room is read anew before the event is heard. So a node that missed a removal, for whatever
 * reason, tells the removed user nothing all the same.
 */
export function createRooms(io: Server, memberships: Memberships) {
  const adapter = io.of('/').adapter
  const current = new Map<string, number>()
  /** Rooms being read anew; `again` when a join or leave came meanwhile, which the answer may not contain. */
  const reloading = new Map<string, { again: boolean; done: Promise<void> }>()

  adapter.on('delete-room', (name: string) => {
    if (name.startsWith('c:')) current.delete(name.slice(2))
  })

  const socketsIn = (name: string): Socket[] => {
    const sockets: Socket[] = []
    for (const id of adapter.rooms.get(name) ?? []) {
      const socket = io.of('/').sockets.get(id)
      if (socket) sockets.push(socket)
    }
    return sockets
  }
  /** When the sockets of a user or login were last closed, by room; `performance.now()`, oldest first. */
  const closings = new Map<string, number>()
  const userOf = (socket: Socket): string => (socket.data as SocketData).actor.userId

  /** What was read may be older than what the room knows: then it is no ground to join, and the room is read anew. */
  function joinRoom(socket: Socket, conversationId: string, membersChange: number): Promise<void> | undefined {
    // joining a socket that has gone would leave it in the room for ever
    if (!socket.connected) return undefined
    if ((current.get(conversationId) ?? -1) > membersChange) return refresh(conversationId)
    const name = room.conversation(conversationId)
    const isNew = !adapter.rooms.has(name)
    void socket.join(name)
    if (isNew) current.set(conversationId, membersChange)
    return undefined
  }

  /** Settles when the room is as it was at this moment, or later. */
  function refresh(conversationId: string): Promise<void> {
    const entry = reloading.get(conversationId)
    if (entry) {
      entry.again = true
      return entry.done
    }
    const started = { again: false, done: Promise.resolve() }
    started.done = reload(conversationId, started).finally(() => reloading.delete(conversationId))
    reloading.set(conversationId, started)
    return started.done
  }

  async function reload(conversationId: string, entry: { again: boolean }): Promise<void> {
    const name = room.conversation(conversationId)
    do {
      entry.again = false
      const members = await memberships.membersOf(conversationId)
      if (entry.again) continue
      const userIds = new Set(members?.userIds)
      for (const socket of socketsIn(name)) if (!userIds.has(userOf(socket))) void socket.leave(name)
      for (const userId of userIds) for (const socket of socketsIn(room.user(userId))) void socket.join(name)
      if (members && adapter.rooms.has(name)) current.set(conversationId, members.membersChange)
    } while (entry.again)
  }

  /** What has been applied in order moves the room on; after a gap its number stays, and the next event has it read anew. */
  function moveOn({ conversationId, prevMembersChange, membersChange }: MembershipChange): void {
    const entry = reloading.get(conversationId)
    if (entry) entry.again = true
    if (current.get(conversationId) === prevMembersChange) current.set(conversationId, membersChange)
  }

  /** The rooms by which a socket is found when its user or login ends. */
  const ownRooms = ({ actor }: SocketData): string[] => [room.user(actor.userId), room.session(actor.sessionId)]

  /**
   * Puts a socket into the rooms of its user and login. Where either was ended after the login was looked at, and
   * before the socket could be found here, the socket is ended now; says whether it goes on.
   */
  function admit(socket: Socket): boolean {
    const data = socket.data as SocketData
    const names = ownRooms(data)
    void socket.join(names)
    if (names.every((name) => (closings.get(name) ?? -1) < data.authenticatedAt)) return true
    socket.disconnect(true)
    return false
  }

  return {
    socketsIn,

    /** Ends the sockets of a user or login, also those that are only about to enter. */
    close(name: string): void {
      const now = performance.now()
      closings.delete(name)
      closings.set(name, now)
      for (const [earlier, at] of closings) {
        if (now - at < closingsKeptMs) break
        closings.delete(earlier)
      }
      for (const socket of socketsIn(name)) socket.disconnect(true)
    },

    admit,

    /** Whether this node has anyone in the conversation. */
    isHeard: (conversationId: string) => adapter.rooms.has(room.conversation(conversationId)),

    isIn(userId: string, conversationId: string): boolean {
      const inside = adapter.rooms.get(room.conversation(conversationId))
      if (!inside) return false
      for (const id of adapter.rooms.get(room.user(userId)) ?? []) if (inside.has(id)) return true
      return false
    },

    /** Undefined where the room is right as of `membersChange`; else a promise of that. */
    bringUpTo(conversationId: string, membersChange: number): Promise<void> | undefined {
      if ((current.get(conversationId) ?? -1) >= membersChange) return undefined
      return reloading.get(conversationId)?.done ?? refresh(conversationId)
    },

    /** Puts a socket into the rooms of its user. Settles when it will hear all that happens from then on. */
    async enter(socket: Socket): Promise<void> {
      if (!admit(socket)) return
      const { actor } = socket.data as SocketData
      // joins and leaves that are committed while we read reach a socket only once it is in its user's room, and a leave
      // only once it is in the conversation's: so we read again until nothing is new
      const joined = new Set<string>()
      for (;;) {
        const conversations = await memberships.conversationsOf(actor.userId)
        if (!socket.connected) return
        const listed = new Set(conversations.map(({ conversationId }) => conversationId))
        for (const id of joined) if (!listed.has(id)) await refresh(id)
        const added = conversations.filter(({ conversationId }) => !joined.has(conversationId))
        for (const { conversationId, membersChange } of added) {
          joined.add(conversationId)
          await joinRoom(socket, conversationId, membersChange)
        }
        if (added.length === 0) return
      }
    },

    join(change: MembershipChange): void {
      for (const userId of change.userIds) {
        for (const socket of socketsIn(room.user(userId))) {
          // where the room cannot be read now, the next event finds it stale and has it read
          joinRoom(socket, change.conversationId, change.membersChange)?.catch(() => {})
        }
      }
      moveOn(change)
    },

    leave(change: MembershipChange): void {
      const name = room.conversation(change.conversationId)
      for (const userId of change.userIds) for (const socket of socketsIn(room.user(userId))) void socket.leave(name)
      moveOn(change)
    },

    dissolve(conversationId: string): void {
      io.local.socketsLeave(room.conversation(conversationId))
    },

    /** Reads the rooms of all sockets anew, a user at a time; for when joins and leaves may have been missed. */
    async rederive(): Promise<void> {
      const users = new Map<string, Socket[]>()
      for (const socket of io.of('/').sockets.values()) {
        const sockets = users.get(userOf(socket))
        if (sockets) sockets.push(socket)
        else users.set(userOf(socket), [socket])
      }
      for (const [userId, sockets] of users) {
        const conversations = await memberships.conversationsOf(userId)
        const listed = new Set(conversations.map(({ conversationId }) => room.conversation(conversationId)))
        for (const socket of sockets) {
          for (const name of socket.rooms) if (name.startsWith('c:') && !listed.has(name)) await refresh(name.slice(2))
          for (const { conversationId, membersChange } of conversations)
            await joinRoom(socket, conversationId, membersChange)
        }
      }
    },
  }
}

export type Rooms = ReturnType<typeof createRooms>
