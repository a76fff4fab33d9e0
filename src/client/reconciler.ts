import type { CommandInput, SyncOutput } from '../messenger/messenger.contract.ts'
import { backoffMs } from './backoff.ts'
import type { News, Store } from './store.ts'

/** How long overtaken news may stay away before it counts as lost, in milliseconds; random in between. */
const gapMs = { min: 150, max: 400 }
/** After `resync`, which many clients hear at once. */
const resyncMs = { min: 0, max: 3000 }
const retry = { minMs: 500, maxMs: 10_000 }
/** Covers the clocks of several nodes and what was being committed while the last sync read. */
const sinceMarginMs = 60_000

interface Held {
  news: News
  timer: ReturnType<typeof setTimeout> | undefined
}

export interface Reconciler {
  /** Applies news, or holds it until what is missing before it has come. */
  take(news: News): void
  /** Brings the store to the server's state after a (re)connection; rejects only if the connection is lost meanwhile. */
  start(): Promise<void>
  /** The connection is lost: what is held is forgotten, since `start` will bring it. */
  stop(): void
  /** The server says that events may have been missed. */
  resyncSoon(): void
  /** Nothing is held, and no sync runs or is due. */
  isIdle(): boolean
  held(): News[]
}

/**
 * Keeps the store right over a channel that loses, repeats and reorders. While a sync runs, news is applied as far as it
 * fits and offered once more after it: what bears no change number (states, beginnings and ends of conversations) may be
 * newer than the answer that would otherwise overwrite it.
 */
export function createReconciler(deps: {
  store: Store
  sync(input: CommandInput<'sync'>): Promise<SyncOutput>
  onChanged(conversationId: string): void
  /** The store is at the server's state. */
  onSynced(): void
  onIdle(): void
}): Reconciler {
  const { store } = deps
  let held: Held[] = []
  let running: Promise<void> | undefined
  /** What was held when the running sync began: its answer has it, so that afterwards it can be a gap no more. */
  let covered: News[] = []
  let duringSync: News[] = []
  let isStale = false
  let resyncTimer: ReturnType<typeof setTimeout> | undefined
  let since: string | undefined
  /** Counts connections: what a sync of an earlier one still has under way counts for nothing. */
  let epoch = 0

  function offer(news: News): boolean {
    if (store.apply(news) === 'gap') return false
    for (const id of touchedBy(news)) deps.onChanged(id)
    return true
  }

  function touchedBy(news: News): string[] {
    if (news.name === 'user:changed') return store.showing(news.payload.user.userId)
    return [news.name === 'conversation:created' ? news.payload.id : news.payload.conversationId]
  }

  function take(news: News): void {
    const isApplied = offer(news)
    if (running !== undefined) duringSync.push(news)
    else if (isApplied) retryHeld()
    else hold(news)
  }

  function hold(news: News): void {
    const timer = setTimeout(() => void sync().catch(() => {}), between(gapMs))
    held.push({ news, timer })
  }

  function retryHeld(): void {
    if (held.length === 0) return
    for (let isProgress = true; isProgress; ) {
      isProgress = false
      for (const item of held.filter(({ news }) => offer(news))) {
        clearTimeout(item.timer)
        held.splice(held.indexOf(item), 1)
        isProgress = true
      }
    }
    if (held.length === 0) deps.onIdle()
  }

  /** One sync at a time; who asks while one runs gets another after it, since the running one may have read too early. */
  function sync(): Promise<void> {
    if (running !== undefined) {
      isStale = true
      return running
    }
    const ownEpoch = epoch
    running = syncUntilFresh(ownEpoch).finally(() => {
      if (ownEpoch === epoch) finish()
    })
    return running
  }

  async function syncUntilFresh(ownEpoch: number): Promise<void> {
    for (const { timer } of held) clearTimeout(timer)
    covered = held.map((item) => item.news)
    held = []
    do {
      isStale = false
      let firstTime: string | undefined
      const from = since
      for (let hasMore = true; hasMore; ) {
        const page = await readPage(ownEpoch, from)
        for (const id of store.applySync(page)) deps.onChanged(id)
        firstTime ??= page.serverTime
        // what was taken so far is as of then, also where the rest of the pages never comes
        since ??= before(firstTime)
        hasMore = page.hasMore
      }
      since = before(firstTime ?? '')
    } while (isStale)
  }

  /** Every conversation held is named, even when the gap is in one: those not named would be reset. */
  async function readPage(ownEpoch: number, from: string | undefined): Promise<SyncOutput> {
    for (let attempt = 0; ; attempt++) {
      try {
        const page = await deps.sync({ positions: store.positions(), ...(from !== undefined && { since: from }) })
        if (ownEpoch === epoch) return page
      } catch (error) {
        if (ownEpoch !== epoch) throw error
      }
      await new Promise((resolve) => setTimeout(resolve, backoffMs(attempt, retry)))
      if (ownEpoch !== epoch) throw new Error('The connection was lost during the sync.')
    }
  }

  function finish(): void {
    running = undefined
    const news = duringSync
    duringSync = []
    for (const item of covered.splice(0)) offer(item)
    for (const item of news) take(item)
    deps.onSynced()
    if (isIdle()) deps.onIdle()
  }

  function stop(): void {
    epoch++
    for (const { timer } of held) clearTimeout(timer)
    clearTimeout(resyncTimer)
    held = []
    covered = []
    duringSync = []
    running = undefined
    resyncTimer = undefined
  }

  function isIdle(): boolean {
    return held.length === 0 && running === undefined && !resyncTimer
  }

  return {
    take,
    stop,
    isIdle,
    start() {
      stop()
      return sync()
    },
    resyncSoon() {
      resyncTimer ??= setTimeout(() => {
        resyncTimer = undefined
        void sync().catch(() => {})
      }, between(resyncMs))
    },
    held: () => [...covered, ...held.map((item) => item.news), ...duringSync],
  }
}

const before = (time: string): string => new Date(Date.parse(time) - sinceMarginMs).toISOString()

const between = ({ min, max }: { min: number; max: number }): number => min + Math.random() * (max - min)
