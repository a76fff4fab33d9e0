import './conversation.css'
import { useEffect, useMemo } from 'preact/hooks'
import type { Conversation, ConversationCopy } from '../../../src/client/index.ts'
import { t } from '../i18n.ts'
import { followLink } from '../router.ts'
import { conversationOf } from '../state/conversations.ts'
import { titleOf } from '../state/people.ts'
import { Composer } from './composer.tsx'
import { DropZone } from './drop-zone.tsx'
import { Head } from './head.tsx'
import { History } from './history.tsx'
import { MessageDialog } from './message-dialogs.tsx'
import { MessagePopup } from './message-tools.tsx'
import { createScene, createSurroundings } from './scene.ts'
import { uploadsOf } from './uploads.ts'

/** One conversation: its head, its messages and where to write more. `at`: the seq of the message to go to. */
export function ConversationScreen({ id, at }: { id: string; at?: number | undefined }) {
  const copy = conversationOf(id)
  // the copy stays the same object: what changes is in it
  if (copy) return <Chat copy={copy} conversation={copy.conversation} at={at} />
  return (
    <div class="empty">
      <p>{t('messages:noConversation')}</p>
      <a href="/" onClick={followLink}>
        {t('common:home')}
      </a>
    </div>
  )
}

function Chat(options: { copy: ConversationCopy; conversation: Conversation; at: number | undefined }) {
  const { copy, conversation, at } = options
  const scene = useMemo(() => createScene(conversation.id, at), [conversation.id])
  const surroundingsOf = useMemo(createSurroundings, [conversation.id])
  const around = surroundingsOf(conversation)
  useEffect(() => {
    if (at !== undefined && scene.jump.peek()?.seq !== at) scene.jump.value = { seq: at }
  }, [at])
  return (
    <DropZone class="chat" onFiles={uploadsOf(conversation.id).add}>
      <section class="chat-inside" aria-label={titleOf(conversation)}>
        <Head conversation={conversation} />
        <History key={conversation.id} copy={copy} scene={scene} around={around} />
        <Composer copy={copy} scene={scene} />
      </section>
      <MessagePopup scene={scene} around={around} />
      <MessageDialog scene={scene} around={around} />
    </DropZone>
  )
}
