import type { Conversation } from '../../../src/client/index.ts'
import { t } from '../i18n.ts'
import { navigate, pathAfter } from '../router.ts'
import { conversationOf } from '../state/conversations.ts'
import { titleOf } from '../state/people.ts'
import { client, myId } from '../state/session.ts'
import { Confirm } from '../ui/confirm.tsx'
import type { Ending } from './actions.ts'

/** Asks whether to leave or delete a conversation, and does it. */
export function EndDialog({ id, ending, onClose }: { id: string; ending: Ending; onClose(): void }) {
  const conversation = conversationOf(id)?.conversation
  if (!conversation) return null
  const title = titleOf(conversation)
  const end = async () => {
    await client.command(`conversation:${ending}`, { conversationId: id })
    if (pathAfter('/c/') === id) navigate('/', { replace: true })
  }
  return (
    <Confirm
      title={t(ending === 'leave' ? 'conversations:leaveTitle' : 'conversations:deleteTitle', { title })}
      text={ending === 'leave' ? leavingText(conversation) : deletingText(conversation)}
      label={t(ending === 'leave' ? 'conversations:leave' : 'conversations:delete')}
      onConfirm={end}
      onClose={onClose}
    />
  )
}

function leavingText({ participants }: Conversation): string {
  const owners = participants.filter(({ role }) => role === 'owner')
  const isLast = owners.length === 1 && owners[0]?.userId === myId()
  return isLast ? `${t('conversations:leaveText')} ${t('conversations:leaveLastOwner')}` : t('conversations:leaveText')
}

const deletingText = ({ type }: Conversation): string =>
  t(type === 'assistant' ? 'conversations:deleteAssistantText' : 'conversations:deleteGroupText')
