import { Pencil, Reply, X } from 'lucide'
import type { ConversationCopy, Message } from '../../../src/client/index.ts'
import { t } from '../i18n.ts'
import { nameOf } from '../state/people.ts'
import { IconButton } from '../ui/button.tsx'
import { Icon } from '../ui/icon.tsx'
import type { ReplyTarget } from './drafts.ts'
import { excerptOf, plainOf } from './excerpt.ts'

/** What the message that is being written answers. */
export function ReplyBar(options: { target: ReplyTarget; copy: ConversationCopy; onCancel(): void }) {
  const { target, copy, onCancel } = options
  const name = nameOf(target.senderId, copy.conversation.participants)
  return (
    <div class="composer-bar">
      <Icon of={Reply} size={18} />
      <p class="composer-bar-text">
        <bdi class="composer-bar-of">{target.senderId ? name : t('messages:answer')}</bdi>{' '}
        <bdi class="quiet">{plainOf(target.excerpt) || t('messages:noText')}</bdi>
      </p>
      <IconButton icon={X} size={18} label={t('messages:cancelReply')} onPress={onCancel} />
    </div>
  )
}

/** Which message is being changed. */
export function EditBar({ message, onCancel }: { message: Message; onCancel(): void }) {
  return (
    <div class="composer-bar">
      <Icon of={Pencil} size={18} />
      <p class="composer-bar-text">
        <span class="composer-bar-of">{t('messages:editing')}</span> <bdi class="quiet">{excerptOf(message)}</bdi>
      </p>
      <IconButton icon={X} size={18} label={t('messages:cancelEdit')} onPress={onCancel} />
    </div>
  )
}
