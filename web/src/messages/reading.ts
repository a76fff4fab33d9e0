import { client } from '../state/session.ts'

/** Reading is told at most this often, in milliseconds. */
const pauseMs = 500

export interface ReadMarker {
  /** Everything up to this seq is in view. */
  see(seq: number): void
  stop(): void
}

const isLookedAt = (): boolean => document.visibilityState === 'visible' && document.hasFocus()

/**
 * Tells the server how far one has read, while the page is looked at: what comes into view meanwhile counts when it is
 * looked at again. Never goes back.
 */
export function createReadMarker(conversationId: string): ReadMarker {
  let seen = 0
  let told = 0
  let timer: ReturnType<typeof setTimeout> | undefined

  const known = () => client.store.get(conversationId)?.conversation.lastReadSeq ?? 0

  function tell(): void {
    timer = undefined
    if (!isLookedAt() || seen <= Math.max(told, known())) return
    const seq = seen
    told = seq
    client.command('receipt:read', { conversationId, seq }).catch(() => {
      // told again with what is seen next, or after the next connection
      told = Math.min(told, seq - 1)
    })
  }

  function tellSoon(): void {
    timer ??= setTimeout(tell, pauseMs)
  }

  const offConnected = client.on('connected', tellSoon)
  addEventListener('focus', tellSoon)
  document.addEventListener('visibilitychange', tellSoon)
  return {
    see(seq) {
      if (seq <= seen) return
      seen = seq
      tellSoon()
    },
    stop() {
      // what was in view for less than a pause was read as well
      if (timer !== undefined) {
        clearTimeout(timer)
        tell()
      }
      offConnected()
      removeEventListener('focus', tellSoon)
      document.removeEventListener('visibilitychange', tellSoon)
    },
  }
}
