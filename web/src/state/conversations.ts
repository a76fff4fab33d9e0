import { computed, type Signal, signal } from '@preact/signals'
import type { Conversation, ConversationCopy, PendingMessage } from '../../../src/client/index.ts'
import { client, isOnline, stage } from './session.ts'

const versions = new Map<string, Signal<number>>()
const listVersion = signal(0)
let isListDue = false

function versionOf(id: string): Signal<number> {
  const known = versions.get(id) ?? signal(0)
  versions.set(id, known)
  return known
}

/** Under load each conversation changes many times in this, in milliseconds. */
const restMs = 50
let isResting = false

/** At once, and then no sooner than after a rest. By a timer: in a tab behind others there are no frames. */
function touchList(): void {
  if (isResting) {
    isListDue = true
    return
  }
  isResting = true
  isListDue = false
  listVersion.value++
  setTimeout(() => {
    isResting = false
    if (isListDue) touchList()
  }, restMs)
}

client.on('changed', (id) => {
  versionOf(id).value++
  touchList()
})
client.on('conversation:removed', touchList)
client.on('connected', touchList)
client.on('disconnected', touchList)

/** The copy of a conversation; whoever reads it follows its changes. Undefined where one is not in it. */
export function conversationOf(id: string): ConversationCopy | undefined {
  versionOf(id).value
  return client.store.get(id)
}

/** One's own messages there that are not stored yet, the failed ones too. */
export function pendingOf(id: string): PendingMessage[] {
  versionOf(id).value
  return client.pending(id)
}

/** All, pinned first, then by newest activity. */
export const conversations = computed<Conversation[]>(() => {
  // with `ready` all are here at once: nobody is shown an empty list until the rest is over
  stage.value
  listVersion.value
  return client.store.conversations().map((copy) => copy.conversation)
})

/** How many messages wait for a connection. */
export const waitingCount = computed<number>(() => {
  if (isOnline.value) return 0
  return conversations.value.reduce((sum, { id }) => sum + client.pending(id).filter((one) => !one.failure).length, 0)
})

/** Unread messages, those of muted conversations left out: for the title of the page. */
export const unreadTotal = computed<number>(() =>
  conversations.value
    .filter(({ settings }) => !settings.isMuted && !settings.isArchived)
    .reduce((sum, { unreadCount }) => sum + unreadCount, 0),
)
