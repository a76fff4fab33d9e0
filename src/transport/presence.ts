import type { Logger } from 'pino'
import type { NodeLink, Presence } from '../kernel/ports.ts'
import type { Cluster } from './cluster.ts'
import type { NodeFanout } from './fanout.ts'

/**
 * Who has a socket, on this node and on the others. Each node keeps the set of its users in Redis, where it outlives the
 * node by half a minute; a user is online who is in the set of a live node.
 */
export function createPresence(deps: {
  fanout: Pick<NodeFanout, 'announcePresence' | 'toWatchers'>
  touchLastSeen(userId: string): Promise<void>
  /** Absent where this node is the only one. */
  nodes: { cluster: Cluster; link: NodeLink } | undefined
  log: Logger
}) {
  const { fanout, touchLastSeen, nodes, log } = deps
  /** Sockets on this node, by user. */
  const here = new Map<string, number>()

  /** While Redis is away each node knows of its own users alone. */
  async function elsewhere(userIds: string[]): Promise<Set<string>> {
    if (!nodes?.cluster.isUp()) return new Set()
    return nodes.link.presence.among(nodes.cluster.peers(), userIds).catch(() => new Set<string>())
  }

  const underWay = new Set<Promise<unknown>>()
  const inBackground = (what: string, work: Promise<unknown>): void => {
    const done = work
      .catch((error: unknown) => log.warn({ err: error }, `${what} failed`))
      .finally(() => underWay.delete(done))
    underWay.add(done)
  }

  async function came(userId: string): Promise<void> {
    if (nodes?.cluster.isUp()) await nodes.link.presence.add([userId])
    const other = await elsewhere([userId])
    if (here.has(userId) && other.size === 0) fanout.announcePresence(userId, { userId, status: 'online' })
  }

  async function went(userId: string): Promise<void> {
    if (nodes?.cluster.isUp()) await nodes.link.presence.remove(userId)
    await touchLastSeen(userId)
    // back within the time that this took: nobody needs to hear of it
    if (here.has(userId) || (await elsewhere([userId])).size > 0) return
    fanout.announcePresence(userId, { userId, status: 'offline', lastSeenAt: new Date().toISOString() })
  }

  /** Whom a dead node took along; every node tells its own watchers. */
  async function lost(nodeId: string, { cluster, link }: { cluster: Cluster; link: NodeLink }): Promise<void> {
    const userIds = (await link.presence.of(nodeId)).filter((id) => !here.has(id))
    const stillThere = await link.presence.among(
      cluster.peers().filter((peer) => peer !== nodeId),
      userIds,
    )
    const lastSeenAt = new Date().toISOString()
    for (const userId of userIds) {
      if (!stillThere.has(userId))
        fanout.toWatchers(userId, 'presence:changed', { userId, status: 'offline', lastSeenAt })
    }
  }

  nodes?.cluster.onPeerDied((nodeId) => inBackground('telling who went with a dead node', lost(nodeId, nodes)))
  nodes?.cluster.onRestored(() => inBackground('restoring presence', nodes.link.presence.add([...here.keys()])))

  const presence: Presence = {
    async onlineAmong(userIds) {
      const online = await elsewhere(userIds)
      for (const id of userIds) if (here.has(id)) online.add(id)
      return online
    },
  }

  return {
    ...presence,
    arrived(userId: string): void {
      const sockets = (here.get(userId) ?? 0) + 1
      here.set(userId, sockets)
      if (sockets === 1) inBackground('announcing presence', came(userId))
    },
    /** Settles when what arrivals and departures set off is done. */
    settled: () => Promise.all(underWay),
    departed(userId: string): void {
      const sockets = (here.get(userId) ?? 1) - 1
      if (sockets > 0) here.set(userId, sockets)
      else {
        here.delete(userId)
        inBackground('announcing absence', went(userId))
      }
    },
  }
}

export type PresenceTracker = ReturnType<typeof createPresence>
