import type { Logger } from 'pino'
import type { Database } from '../database/database.ts'
import type { Metrics } from '../kernel/metrics.ts'
import type { Messenger } from '../messenger/index.ts'
import { lockSaved, type Run, renew, standingsOf } from './run-rows.ts'

/** Deltas of one text are at least so far apart: 20 a second. */
const tickMs = 50
const checkpointMs = 1_000
const warnEachMs = 5_000

/**
 * Why a text may not grow any further: somebody stopped it; the conversation, the message or the agent in it is gone;
 * another node has taken it over; this node shuts down; nothing came for too long.
 */
export type Halt = 'stopped' | 'gone' | 'lost' | 'shutdown' | 'idle'

/** The end of a text, from an offset on. */
export interface Rest {
  from: number
  text: string
  /**
   * Sends what others have not seen because the database was away; before the run ends, since nobody can be asked afterwards
   * who may still see it. Absent where they have seen all.
   */
  tell?: (() => Promise<void>) | undefined
}

/** A text that grows on this node. */
export interface Growing {
  readonly run: Run
  /** UTF-16 units of the text so far. */
  readonly length: number
  /** UTF-16 units that are stored. */
  readonly saved: number
  /** Aborted with a `Halt` as its reason. */
  readonly signal: AbortSignal
  push(text: string): void
  halt(reason: Halt): void
  /** Ends the growing here and sends what others have not seen; gives what may not be stored yet, for who ends the run. */
  close(): Promise<Rest>
}

interface Entry extends Growing {
  membersChange: number
  /** Not told yet, from `told` on. */
  untold: string
  told: number
  /** Not stored yet, from `saved` on. */
  unsaved: string
  saved: number
  growing: AbortController
  grewAt: number
}

/**
 * The texts that grow on this node. Others are told of them at most 20 times a second, the first words at once; they are
 * stored, and the leases renewed, each second.
 *
 * Where there are other nodes, somebody may have been removed there, or have stopped a text there, without this node
 * knowing: so before each telling the database is asked, for all texts in one statement.
 */
export function createPump(deps: {
  database: Database
  streams: Messenger['streams']
  /** Whether there may be other nodes. */
  clustered: boolean
  /** An external agent that sends nothing for so long has given up. */
  externalIdleMs: number
  metrics: Pick<Metrics, 'streams'>
  log: Logger
}) {
  const { database, streams, clustered, externalIdleMs, metrics, log } = deps
  const entries = new Map<string, Entry>()
  let timer: NodeJS.Timeout | undefined
  let isTicking = false
  let storing: Promise<void> | undefined
  let lastStored = 0
  let lastWarned = 0

  function open(run: Run): Growing {
    const growing = new AbortController()
    const entry: Entry = {
      run,
      membersChange: run.membersChange,
      ...{ untold: '', told: run.savedLength, unsaved: '', saved: run.savedLength },
      ...{ growing, grewAt: Date.now() },
      signal: growing.signal,
      get length() {
        return this.saved + this.unsaved.length
      },
      push(text) {
        if (text === '' || growing.signal.aborted) return
        const isFirst = entry.length === 0
        entry.untold += text
        entry.unsaved += text
        entry.grewAt = Date.now()
        if (isFirst) void attempt(() => tell([entry]))
      },
      halt: (reason) => growing.abort(reason),
      close: () => close(entry),
    }
    entries.set(run.messageId, entry)
    metrics.streams.set(entries.size)
    timer ??= setInterval(() => void tick(), tickMs)
    return entry
  }

  async function close(entry: Entry): Promise<Rest> {
    if (entry.signal.reason !== 'lost') await attempt(() => tell([entry]))
    entries.delete(entry.run.messageId)
    metrics.streams.set(entries.size)
    if (entries.size === 0) {
      clearInterval(timer)
      timer = undefined
    }
    await storing
    const isUntold = entry.untold !== '' && entry.signal.reason !== 'lost' && entry.signal.reason !== 'gone'
    return { from: entry.saved, text: entry.unsaved, tell: isUntold ? () => tell([entry]) : undefined }
  }

  async function tick(): Promise<void> {
    if (isTicking) return
    isTicking = true
    const all = [...entries.values()]
    for (const entry of all) {
      if (entry.run.kind === 'external' && Date.now() - entry.grewAt > externalIdleMs) entry.halt('idle')
    }
    if (Date.now() - lastStored >= checkpointMs && !storing) {
      lastStored = Date.now()
      storing = attempt(() => store(all)).finally(() => {
        storing = undefined
      })
    }
    await attempt(() => tell(all))
    isTicking = false
  }

  /** What fails is done by the next tick. */
  const attempt = (work: () => Promise<void>): Promise<void> =>
    work().catch((error: unknown) => {
      if (Date.now() - lastWarned < warnEachMs) return
      lastWarned = Date.now()
      log.warn({ err: error, texts: entries.size }, 'growing texts were not told or stored; it is tried again')
    })

  async function tell(all: Entry[]): Promise<void> {
    if (clustered) await look(all)
    const deltas = all
      .filter(({ untold, signal }) => untold !== '' && signal.reason !== 'gone' && signal.reason !== 'lost')
      .map((entry) => {
        const { untold: text, told: offset, membersChange, run } = entry
        entry.told += text.length
        entry.untold = ''
        return { conversationId: run.conversationId, messageId: run.messageId, offset, text, membersChange }
      })
    if (deltas.length > 0) await streams.tellDeltas(deltas)
  }

  /** What others have done to these meanwhile. */
  async function look(all: Entry[]): Promise<void> {
    if (all.length === 0) return
    const standings = await standingsOf(
      database,
      all.map(({ run }) => run),
    )
    for (const entry of all) {
      const standing = standings.get(entry.run.messageId)
      if (!standing || standing.epoch !== entry.run.epoch || !standing.isRunning) entry.halt('lost')
      else if (standing.isGone) entry.halt('gone')
      else if (standing.isStopped) entry.halt('stopped')
      if (standing) entry.membersChange = standing.membersChange
    }
  }

  /** Stores what has come; of it a part may be stored already, by a commit whose answer was lost. */
  async function store(all: Entry[]): Promise<void> {
    const parts = all.map((entry) => ({ entry, text: entry.unsaved, from: entry.saved }))
    await database.transact(async (em) => {
      const saved = await lockSaved(
        em,
        all.map(({ run }) => run),
      )
      const own = parts.filter(({ entry }) => saved.has(entry.run.messageId))
      const fresh = own
        .map(({ entry, text, from }) => ({
          ...entry.run,
          text: text.slice((saved.get(entry.run.messageId) ?? 0) - from),
        }))
        .filter(({ text }) => text !== '')
      if (fresh.length > 0) await streams.appendIn(em, fresh)
      if (own.length > 0) {
        await renew(
          em,
          own.map(({ entry, text, from }) => ({ ...entry.run, length: from + text.length })),
        )
      }
    })
    for (const { entry, text } of parts) {
      entry.saved += text.length
      entry.unsaved = entry.unsaved.slice(text.length)
    }
    await look(all)
  }

  /** Stores all of a text and lets it go, for who takes it over. */
  async function release(growing: Growing): Promise<void> {
    const entry = entries.get(growing.run.messageId)
    if (!entry) return
    await storing
    await attempt(() => store([entry]))
    await close(entry)
  }

  return {
    open,
    release,
    /** Looks at once whether something has ended what grows here. */
    look: () => attempt(() => look([...entries.values()])),
    of: (messageId: string): Growing | undefined => entries.get(messageId),
    all: (): Growing[] => [...entries.values()],
  }
}

export type Pump = ReturnType<typeof createPump>
