import { useEffect, useState } from 'preact/hooks'
import type { Conversation, Participant } from '../../../src/client/index.ts'
import { client } from '../state/session.ts'
import { attempt } from '../state/toasts.ts'
import { allPeople, hasAllPeople } from './people.ts'

/** As many as the server gives at once. */
const pageSize = 200

/** All people of a conversation: of a large one they are asked for, and again when they change. */
export function usePeople(conversation: Conversation): readonly Participant[] {
  const { id, participants } = conversation
  const isWhole = hasAllPeople(conversation)
  const [asked, setAsked] = useState<readonly Participant[]>()
  useEffect(() => {
    if (isWhole) return
    let isCurrent = true
    const load = () =>
      void attempt(async () => {
        const page = (cursor: string | undefined) =>
          client.command('participant:list', { conversationId: id, limit: pageSize, ...(cursor && { cursor }) })
        const all = await allPeople(page)
        if (isCurrent) setAsked(all)
      })
    load()
    const stop = client.on('participants:changed', ({ conversationId }) => {
      if (conversationId === id) load()
    })
    return () => {
      isCurrent = false
      stop()
    }
  }, [id, isWhole])
  return isWhole ? participants : (asked ?? participants)
}
