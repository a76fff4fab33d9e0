import './entry.css'
import { AtSign, BellOff, EllipsisVertical, Pin } from 'lucide'
import { useRef, useState } from 'preact/hooks'
import type { Conversation } from '../../../src/client/index.ts'
import { formatShort, t } from '../i18n.ts'
import { excerptOf } from '../messages/excerpt.ts'
import { draftOf } from '../messages/own-drafts.ts'
import { followLink } from '../router.ts'
import { conversationOf } from '../state/conversations.ts'
import { nameOf, titleOf, typing } from '../state/people.ts'
import { myId } from '../state/session.ts'
import { Icon } from '../ui/icon.tsx'
import { Menu } from '../ui/menu.tsx'
import { actionsOn, type Ending } from './actions.ts'
import { AgentMark, ConversationAvatar } from './faces.tsx'
import { marksOf, speakerOf } from './rows.ts'

interface EntryOptions {
  id: string
  isOpen: boolean
  /** Whether the tab key stops here: of the whole list it does at one entry. */
  isStop: boolean
  onEnd(id: string, ending: Ending): void
}

/** Devices without a pointer that hovers have the menus in sight. */
const hovers = matchMedia('(hover: hover)').matches

/** A conversation in the list. */
export function Entry({ id, isOpen, isStop, onEnd }: EntryOptions) {
  const box = useRef<HTMLDivElement>(null)
  const [isNear, setNear] = useState(!hovers)
  const conversation = conversationOf(id)?.conversation
  if (!conversation) return null
  const title = titleOf(conversation)
  const leave = (target: EventTarget | null) => {
    if (hovers && !box.current?.contains(target as Node | null)) setNear(false)
  }
  return (
    <div
      ref={box}
      class={isOpen ? 'conv-entry conv-entry-open' : 'conv-entry'}
      onPointerEnter={() => setNear(true)}
      onPointerLeave={() => leave(document.activeElement)}
      onFocusIn={() => setNear(true)}
      onFocusOut={(event) => leave(event.relatedTarget)}
    >
      <a
        class="conv-link"
        href={`/c/${id}`}
        data-entry
        tabIndex={isStop ? 0 : -1}
        aria-current={isOpen ? 'page' : undefined}
        onClick={followLink}
      >
        <ConversationAvatar conversation={conversation} />
        <span class="conv-texts">
          <Head conversation={conversation} title={title} />
          <span class="conv-line">
            <LastLine conversation={conversation} isOpen={isOpen} />
            <Badges conversation={conversation} />
          </span>
        </span>
      </a>
      {isNear && (
        <Menu
          icon={EllipsisVertical}
          label={t('conversations:menu', { title })}
          items={actionsOn(conversation, (ending) => onEnd(id, ending))}
        />
      )}
    </div>
  )
}

function Head({ conversation, title }: { conversation: Conversation; title: string }) {
  const { isAgent, isPinned, isMuted } = marksOf(conversation)
  const at = conversation.lastMessage?.createdAt ?? conversation.createdAt
  return (
    <span class="conv-line">
      <bdi class="conv-title">{title}</bdi>
      {isAgent && <AgentMark />}
      {isMuted && <Sign of={BellOff} label={t('conversations:muted')} />}
      {isPinned && <Sign of={Pin} label={t('conversations:pinned')} />}
      <time class="conv-time quiet" dateTime={at}>
        {formatShort(at)}
      </time>
    </span>
  )
}

function Sign({ of, label }: { of: Parameters<typeof Icon>[0]['of']; label: string }) {
  return (
    <span class="conv-sign quiet">
      <Icon of={of} size={13} />
      <span class="unseen">{label}</span>
    </span>
  )
}

/** Who types, else what was begun to be written where one is not now, else what was said last. */
function LastLine({ conversation, isOpen }: { conversation: Conversation; isOpen: boolean }) {
  const { id, lastMessage, participants, type } = conversation
  const [typist] = typing.value.get(id) ?? []
  if (typist) {
    const words = type === 'group' ? t('conversations:typingWho', { name: nameOf(typist, participants) }) : undefined
    return (
      <span class="conv-last conv-typing">
        <span>{words ?? t('conversations:typing')}</span>
      </span>
    )
  }
  const draft = isOpen ? '' : draftOf(id)?.text
  if (draft)
    return (
      <span class="conv-last quiet">
        <span class="conv-draft">{t('conversations:draft')}</span> <bdi class="conv-words">{draft}</bdi>
      </span>
    )
  if (!lastMessage)
    return (
      <span class="conv-last quiet">
        <span>{t('conversations:noMessages')}</span>
      </span>
    )
  const speaker = speakerOf(conversation, myId())
  const name = speaker === 'self' ? t('common:you') : nameOf(lastMessage.senderId, participants)
  return (
    <span class="conv-last quiet">
      {speaker && <bdi class="conv-sender">{t('conversations:says', { name })}</bdi>}{' '}
      <bdi class="conv-words">{excerptOf(lastMessage)}</bdi>
    </span>
  )
}

function Badges({ conversation }: { conversation: Conversation }) {
  const { unread, isMentioned, isMuted } = marksOf(conversation)
  return (
    <>
      {isMentioned && (
        <span class="conv-badge">
          <Icon of={AtSign} size={13} />
          <span class="unseen">{t('conversations:mentioned')}</span>
        </span>
      )}
      {unread && (
        <span class={isMuted ? 'conv-badge conv-badge-quiet' : 'conv-badge'}>
          <span aria-hidden="true">{unread}</span>
          <span class="unseen">{t('conversations:unread', { count: conversation.unreadCount })}</span>
        </span>
      )}
    </>
  )
}
