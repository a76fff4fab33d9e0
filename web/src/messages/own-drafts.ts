import { signal } from '@preact/signals'
import { client, myId } from '../state/session.ts'
import { scope } from '../state/storage.ts'
import { createDrafts, type Draft } from './drafts.ts'

const drafts = createDrafts(scope === 'tab' ? sessionStorage : localStorage)
const version = signal(0)

client.on('signedOut', drafts.forgetAll)

/** What one has begun to write there; whoever reads it follows its changes. */
export function draftOf(conversationId: string): Draft | undefined {
  version.value
  return drafts.read(myId(), conversationId)
}

export function keepDraft(conversationId: string, draft: Draft): void {
  drafts.write(myId(), conversationId, draft)
  version.value++
}
