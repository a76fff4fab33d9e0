import { useEffect, useState } from 'preact/hooks'
import type { Message } from '../../../src/client/index.ts'
import { labelOf } from '../ai/models.ts'
import { client, myId } from '../state/session.ts'
import { excerptOf } from './excerpt.ts'
import { nameAmong } from './names.ts'
import type { People } from './scene.ts'

/** Tells screen readers what others write: a message when it comes, an answer that grows when it is whole. */
export function News({ conversationId, people }: { conversationId: string; people: People }) {
  const [news, setNews] = useState<{ messageId: string; text: string }>()
  useEffect(() => {
    const tell = (message: Message | undefined) => {
      if (!message || message.senderId === myId() || message.deletedAt || message.status === 'streaming') return
      const isModel = message.senderId === undefined && message.modelId !== undefined
      const name = isModel ? labelOf(message.modelId ?? '') : nameAmong(people, message.senderId)
      setNews({ messageId: message.id, text: `${name}: ${excerptOf(message)}` })
    }
    const offCreated = client.on('messages:created', (event) => {
      if (event.conversationId === conversationId) tell(event.messages.at(-1))
    })
    const offUpdated = client.on('messages:updated', (event) => {
      const isAnswer = ({ role, editedAt }: Message) => role === 'assistant' && !editedAt
      if (event.conversationId !== conversationId) return
      // no word of it is left anywhere
      const isDeleted = (id: string) => event.messages.some((one) => one.id === id && one.deletedAt)
      setNews((told) => (told && isDeleted(told.messageId) ? undefined : told))
      tell(event.messages.findLast(isAnswer))
    })
    return () => {
      offCreated()
      offUpdated()
    }
  }, [conversationId, people])
  return (
    <p class="unseen" role="status" aria-live="polite">
      {news?.text}
    </p>
  )
}
