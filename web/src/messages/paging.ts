import { type ReadonlySignal, signal } from '@preact/signals'
import { client } from '../state/session.ts'

/** As large as the server gives them: for going far back. */
const largePage = 200

export interface Paging {
  readonly isLoading: ReadonlySignal<boolean>
  readonly hasFailed: ReadonlySignal<boolean>
  /** Loads one page before what is there; not while one is on its way. */
  older(): Promise<void>
  /** Loads until the message of this seq is there; says whether it is. */
  reach(seq: number): Promise<boolean>
}

/** Brings older messages of a conversation into the store, one page at a time. */
export function createPaging(conversationId: string): Paging {
  const isLoading = signal(false)
  const hasFailed = signal(false)
  let running: Promise<boolean> | undefined

  /** Says whether more remain; false too where it failed. */
  function load(limit?: number): Promise<boolean> {
    running ??= (async () => {
      isLoading.value = true
      hasFailed.value = false
      try {
        return await client.loadHistory(conversationId, limit)
      } catch {
        hasFailed.value = true
        return false
      } finally {
        running = undefined
        isLoading.value = false
      }
    })()
    return running
  }

  const hasReached = (seq: number) => (client.store.get(conversationId)?.from ?? 1) <= seq

  return {
    isLoading,
    hasFailed,
    async older() {
      if (!hasReached(1)) await load()
    },
    async reach(seq) {
      const wanted = Math.max(1, seq)
      while (!hasReached(wanted) && (await load(largePage)));
      return hasReached(wanted)
    },
  }
}
