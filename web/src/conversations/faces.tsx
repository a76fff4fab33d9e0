import './find.css'
import { Bot } from 'lucide'
import type { Conversation, User } from '../../../src/client/index.ts'
import { t } from '../i18n.ts'
import { peerOf, titleOf } from '../state/people.ts'
import { Avatar } from '../ui/avatar.tsx'
import { Icon } from '../ui/icon.tsx'

/** The picture of a conversation: of a direct one that of the other, with whether they are there. */
export function ConversationAvatar({ conversation, size = 46 }: { conversation: Conversation; size?: number }) {
  const peer = peerOf(conversation)
  if (peer)
    return <Avatar name={peer.displayName} url={peer.avatarUrl} kind={peer.kind} userId={peer.userId} size={size} />
  const kind = conversation.type === 'assistant' ? 'agent' : 'group'
  return <Avatar name={titleOf(conversation)} url={conversation.avatarUrl} kind={kind} size={size} />
}

export function AgentMark() {
  return (
    <span class="conv-agent">
      <Icon of={Bot} size={13} />
      {t('common:agent')}
    </span>
  )
}

/** A person to be chosen. */
export function PersonButton({ user, onPick }: { user: User; onPick(user: User): void }) {
  return (
    <button type="button" class="conv-person" data-stop onClick={() => onPick(user)}>
      <Avatar name={user.displayName} url={user.avatarUrl} kind={user.kind} size={38} />
      <span class="conv-person-names">
        <bdi>{user.displayName}</bdi>
        <span class="quiet">@{user.username}</span>
      </span>
      {user.kind === 'agent' && <AgentMark />}
    </button>
  )
}
