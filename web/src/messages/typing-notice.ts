/** Said again this often while somebody types: others forget it after 6 s. In milliseconds. */
const repeatMs = 3_000
/** Without a key for this long, somebody has stopped. */
const pauseMs = 5_000

export interface TypingNotice {
  /** A key was pressed. */
  touch(): void
  stop(): void
}

/** Tells others that one types, and that one has stopped. */
export function createTypingNotice(tell: (isTyping: boolean) => void): TypingNotice {
  let toldAt: number | undefined
  let pause: ReturnType<typeof setTimeout> | undefined

  function stop(): void {
    clearTimeout(pause)
    if (toldAt === undefined) return
    toldAt = undefined
    tell(false)
  }

  return {
    stop,
    touch() {
      clearTimeout(pause)
      pause = setTimeout(stop, pauseMs)
      const now = Date.now()
      if (toldAt !== undefined && now - toldAt < repeatMs) return
      toldAt = now
      tell(true)
    },
  }
}
