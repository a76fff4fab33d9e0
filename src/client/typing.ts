import type { EventPayload } from '../messenger/messenger.contract.ts'

type Typing = EventPayload<'typing'>

/** A typing person whose client went silent counts as having stopped, in milliseconds. */
const forgetMs = 6000

/** Says for people who do not say it themselves that they have stopped typing. */
export function createTypingWatch(onStopped: (stopped: Typing) => void): { take(typing: Typing): void; clear(): void } {
  const timers = new Map<string, ReturnType<typeof setTimeout>>()
  return {
    take(typing) {
      const key = `${typing.conversationId} ${typing.userId}`
      clearTimeout(timers.get(key))
      timers.delete(key)
      if (!typing.isTyping) return
      const forget = (): void => {
        timers.delete(key)
        onStopped({ ...typing, isTyping: false })
      }
      timers.set(key, setTimeout(forget, forgetMs))
    },
    clear() {
      for (const timer of timers.values()) clearTimeout(timer)
      timers.clear()
    },
  }
}
