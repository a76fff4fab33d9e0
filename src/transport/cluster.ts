import type { Logger } from 'pino'
import type { Metrics } from '../kernel/metrics.ts'
import type { NodeLink } from '../kernel/ports.ts'

const beatMs = 500
/** A node that has been silent for this long has died, or might as well have. */
const deadAfterMs = 3_000
const firstBeatMs = 2_000

export interface Cluster {
  /** Whether events pass between this node and the others now. */
  isUp(): boolean
  /** The other nodes that are alive, as of the last heartbeat. */
  peers(): string[]
  /** Sends a text to the other nodes; see {@link NodeLink}. */
  tell: NodeLink['tell']
  onTold: NodeLink['onTold']
  /** The link works again after it did not: anything may have been missed meanwhile. */
  onRestored(listener: () => void): void
  /** A node ended without saying goodbye: it may have committed what it did not get to tell. */
  onPeerDied(listener: (nodeId: string) => void): void
  /** Settles when the link is up, or after two seconds without: the node then serves alone. */
  start(): Promise<void>
  close(): Promise<void>
}

/** Watches the link between the nodes, and the nodes themselves, by heartbeats. */
export function createCluster(deps: { link: NodeLink; nodeId: string; metrics: Metrics; log: Logger }): Cluster {
  const { link, nodeId, metrics, log } = deps
  const restored: (() => void)[] = []
  const died: ((nodeId: string) => void)[] = []
  let up = false
  /** From then on there are sockets that may miss something. */
  let started = false
  let alive = new Set<string>()
  let timer: NodeJS.Timeout | undefined
  let closed = false

  function setUp(now: boolean, why: string): void {
    if (now === up || closed) return
    up = now
    link.setPublishing(now)
    metrics.linkUp.set(now ? 1 : 0)
    if (!now) log.warn({ why }, 'the link to the other nodes is down; this node goes on alone')
    else if (started) {
      log.info('the link to the other nodes works again')
      for (const listener of restored) listener()
    }
  }

  async function beat(): Promise<void> {
    try {
      const ages = await link.beat()
      setUp(link.isListening(), 'subscriber not connected')
      for (const peer of alive) {
        // one that is missing has said goodbye, or Redis was emptied, which breaks the link as well
        if ((ages.get(peer) ?? 0) <= deadAfterMs) continue
        log.warn({ peer }, 'a node ended without goodbye')
        for (const listener of died) listener(peer)
      }
      alive = new Set([...ages].filter(([id, age]) => id !== nodeId && age <= deadAfterMs).map(([id]) => id))
    } catch (error) {
      setUp(false, (error as Error).message)
    }
  }

  async function run(): Promise<void> {
    await beat()
    if (!closed) timer = setTimeout(run, beatMs)
  }

  link.setPublishing(false)
  link.onBreak(() => setUp(false, 'connection closed'))

  return {
    isUp: () => up,
    peers: () => [...alive],
    tell: link.tell,
    onTold: link.onTold,
    onRestored: (listener) => restored.push(listener),
    onPeerDied: (listener) => died.push(listener),
    async start() {
      const deadline = Date.now() + firstBeatMs
      await run()
      while (!up && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 50))
      started = true
    },
    async close() {
      closed = true
      clearTimeout(timer)
      if (up) await link.goodbye().catch(() => log.warn('Redis did not take the goodbye'))
      link.close()
    },
  }
}
