import { useEffect, useState } from 'preact/hooks'
import type { ConversationCopy } from '../../../src/client/index.ts'
import type { Paging } from './paging.ts'
import type { Scene } from './scene.ts'

/** Fewer messages may not fill a window. */
const enoughMessages = 30
/** Who has this many unread messages begins at the newest of these: to load all of them would take too long. */
const maxUnread = 2_000

/** Where a conversation is opened. */
export interface Opening {
  /** Where the mark "new messages" stands; it stays there while one reads on. */
  firstUnreadSeq: number | undefined
  isReady: boolean
}

/** Loads what is to be in view first: the message asked for, else the first unread one, else the newest. */
export function useOpening(copy: ConversationCopy, paging: Paging, scene: Scene): Opening {
  const [firstUnreadSeq] = useState(() => firstUnreadOf(copy))
  const [isReady, setReady] = useState(() => {
    const isWhole = !copy.hasBefore || copy.messages.length >= enoughMessages
    return isWhole && (firstUnreadSeq ?? copy.from) >= copy.from
  })
  useEffect(() => {
    if (isReady) return
    // where it fails, what is there is shown
    const loading = firstUnreadSeq === undefined ? paging.older() : paging.reach(firstUnreadSeq)
    void loading.then(() => setReady(true))
  }, [scene])
  return { firstUnreadSeq, isReady }
}

function firstUnreadOf({ conversation }: ConversationCopy): number | undefined {
  const { lastSeq, lastReadSeq } = conversation
  return lastSeq > lastReadSeq ? Math.max(lastReadSeq + 1, lastSeq - maxUnread) : undefined
}
