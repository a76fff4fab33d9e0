import type { Message } from '../../../src/client/index.ts'

/** What a reply quotes. */
export type ReplyTarget = NonNullable<Message['replyTo']>

/** What somebody has begun to write in a conversation. */
export interface Draft {
  text: string
  replyTo?: ReplyTarget | undefined
}

const prefix = 'kintsugi.draft.'
const keyOf = (userId: string, conversationId: string): string => `${prefix}${userId}.${conversationId}`
const isEmpty = ({ text, replyTo }: Draft): boolean => text.trim() === '' && !replyTo

export interface Drafts {
  read(userId: string, conversationId: string): Draft | undefined
  /** An empty one is forgotten. */
  write(userId: string, conversationId: string, draft: Draft): void
  /** Forgets those of everybody: nothing of what was written stays behind a login. */
  forgetAll(): void
}

/** Drafts by person and conversation; a storage that is full or withheld costs the draft, never the page. */
export function createDrafts(storage: Storage): Drafts {
  return {
    read(userId, conversationId) {
      try {
        return JSON.parse(storage.getItem(keyOf(userId, conversationId)) ?? 'null') ?? undefined
      } catch {
        return undefined
      }
    },
    write(userId, conversationId, draft) {
      const key = keyOf(userId, conversationId)
      try {
        if (isEmpty(draft)) storage.removeItem(key)
        else storage.setItem(key, JSON.stringify(draft))
      } catch {}
    },
    forgetAll() {
      const keys = Array.from({ length: storage.length }, (_, index) => storage.key(index) ?? '')
      for (const key of keys) if (key.startsWith(prefix)) storage.removeItem(key)
    },
  }
}
