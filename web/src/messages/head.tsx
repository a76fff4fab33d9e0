import './head.css'
import { ArrowLeft, Info, Search } from 'lucide'
import { useState } from 'preact/hooks'
import type { Conversation } from '../../../src/client/index.ts'
import { ConversationModels } from '../ai/conversation-models.tsx'
import { ConversationInfo } from '../conversations/info.tsx'
import { SearchDialog } from '../conversations/search.tsx'
import { formatShort, t } from '../i18n.ts'
import { followLink } from '../router.ts'
import { nameOf, peerOf, presences, titleOf, typing } from '../state/people.ts'
import { myId } from '../state/session.ts'
import { Avatar } from '../ui/avatar.tsx'
import { IconButton } from '../ui/button.tsx'
import { Icon } from '../ui/icon.tsx'

/** Whose conversation it is, who is there and who types, and what can be looked up. */
export function Head({ conversation }: { conversation: Conversation }) {
  const [open, setOpen] = useState<'info' | 'search'>()
  const peer = peerOf(conversation)
  const title = titleOf(conversation)
  const close = () => setOpen(undefined)
  return (
    <header class="chat-head">
      <a class="icon-button chat-back" href="/" aria-label={t('common:back')} onClick={followLink}>
        <Icon of={ArrowLeft} />
      </a>
      <Avatar
        name={title}
        url={peer?.avatarUrl ?? conversation.avatarUrl}
        kind={kindOf(conversation)}
        userId={peer?.userId}
      />
      <div class="chat-titles">
        <h1 class="chat-title" dir="auto">
          {title}
        </h1>
        {conversation.type === 'assistant' ? (
          <ConversationModels conversation={conversation} />
        ) : (
          <p class="chat-state" role="status">
            {stateOf(conversation)}
          </p>
        )}
      </div>
      <IconButton icon={Search} label={t('messages:searchHere')} onPress={() => setOpen('search')} />
      <IconButton icon={Info} label={t('messages:info')} onPress={() => setOpen('info')} />
      {open === 'info' && <ConversationInfo id={conversation.id} onClose={close} />}
      {open === 'search' && <SearchDialog conversationId={conversation.id} onClose={close} />}
    </header>
  )
}

function kindOf(conversation: Conversation): 'human' | 'agent' | 'group' {
  if (conversation.type === 'assistant') return 'agent'
  return peerOf(conversation)?.kind ?? 'group'
}

/** More names than these say no more than their number. */
const maxTypists = 3

function stateOf(conversation: Conversation): string {
  const typists = [...(typing.value.get(conversation.id) ?? [])].filter((userId) => userId !== myId())
  if (typists.length > maxTypists) return t('messages:manyType', { count: typists.length })
  const names = typists.map((userId) => nameOf(userId, conversation.participants)).join(', ')
  if (typists.length > 0) return t('messages:typing', { count: typists.length, names })
  if (conversation.type === 'group') return t('messages:people', { count: conversation.participantCount })
  const peer = peerOf(conversation)
  if (!peer) return ''
  if (peer.kind === 'agent') return t('common:agent')
  const presence = presences.value.get(peer.userId)
  if (presence?.status === 'online') return t('common:online')
  return presence?.lastSeenAt ? t('common:lastSeen', { when: formatShort(presence.lastSeenAt) }) : `@${peer.username}`
}
