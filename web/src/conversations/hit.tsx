import './find.css'
import type { Message } from '../../../src/client/index.ts'
import { formatShort, t } from '../i18n.ts'
import { excerptOf } from '../messages/excerpt.ts'
import { followLink } from '../router.ts'
import { conversationOf } from '../state/conversations.ts'
import { nameOf, titleOf } from '../state/people.ts'
import { myId } from '../state/session.ts'
import { ConversationAvatar } from './faces.tsx'
import { marked } from './filter.ts'

/** A message that was looked for: leads to where it stands. */
export function Hit(options: { message: Message; query: string; isTitled?: boolean; onGone?(): void }) {
  const { message, query, isTitled = true, onGone } = options
  const conversation = conversationOf(message.conversationId)?.conversation
  const isNamed = isTitled && (message.senderId === myId() || conversation?.type === 'group')
  const sender = message.senderId === myId() ? t('common:you') : nameOf(message.senderId, conversation?.participants)
  return (
    <a
      class="conv-hit"
      data-stop
      href={`/c/${message.conversationId}?at=${message.seq}`}
      onClick={(event) => {
        followLink(event)
        if (event.defaultPrevented) onGone?.()
      }}
    >
      {conversation && isTitled && <ConversationAvatar conversation={conversation} size={38} />}
      <span class="conv-hit-text">
        <span class="conv-line">
          <bdi class="conv-title">{isTitled && conversation ? titleOf(conversation) : sender}</bdi>
          <time class="quiet" dateTime={message.createdAt}>
            {formatShort(message.createdAt)}
          </time>
        </span>
        <span class="conv-hit-words">
          {isNamed && <bdi class="conv-sender">{t('conversations:says', { name: sender })}</bdi>}{' '}
          <bdi>
            {marked(excerptOf(message), query).map(({ text, isHit }, index) =>
              isHit ? <mark key={index}>{text}</mark> : <span key={index}>{text}</span>,
            )}
          </bdi>
        </span>
      </span>
    </a>
  )
}
