import { Archive, ArchiveRestore, Bell, BellOff, CheckCheck, LogOut, Pin, PinOff, Trash2 } from 'lucide'
import type { Conversation, ConversationSettings } from '../../../src/client/index.ts'
import { t } from '../i18n.ts'
import { navigate } from '../router.ts'
import { client, myId } from '../state/session.ts'
import type { MenuItem } from '../ui/menu.tsx'
import { ownRole, rightsOf } from './rights.ts'

/** How a conversation ends for oneself. */
export type Ending = 'leave' | 'delete'

export const set = (conversationId: string, settings: Partial<ConversationSettings>): Promise<unknown> =>
  client.command('conversation:settings', { conversationId, ...settings })

/** What can be done with a conversation from the list. `onEnd` is to ask first. */
export function actionsOn(conversation: Conversation, onEnd: (ending: Ending) => void): MenuItem[] {
  const { id, type, settings, lastSeq, unreadCount, participants } = conversation
  const { isPinned, isMuted, isArchived } = settings
  const { mayLeave, mayDelete } = rightsOf(type, ownRole(participants, myId()))
  const items: (MenuItem | false)[] = [
    unreadCount > 0 && {
      label: t('conversations:markRead'),
      icon: CheckCheck,
      onPress: () => client.command('receipt:read', { conversationId: id, seq: lastSeq }),
    },
    {
      label: t(isPinned ? 'conversations:unpin' : 'conversations:pin'),
      icon: isPinned ? PinOff : Pin,
      onPress: () => set(id, { isPinned: !isPinned }),
    },
    {
      label: t(isMuted ? 'conversations:unmute' : 'conversations:mute'),
      icon: isMuted ? Bell : BellOff,
      onPress: () => set(id, { isMuted: !isMuted }),
    },
    {
      label: t(isArchived ? 'conversations:unarchive' : 'conversations:archive'),
      icon: isArchived ? ArchiveRestore : Archive,
      onPress: () => set(id, { isArchived: !isArchived }),
    },
    mayLeave && {
      label: t('conversations:leave'),
      icon: LogOut,
      isDanger: true,
      onPress: () => onEnd('leave'),
    },
    mayDelete && {
      label: t('conversations:delete'),
      icon: Trash2,
      isDanger: true,
      onPress: () => onEnd('delete'),
    },
  ]
  return items.filter((item) => item !== false)
}

/** Opens the direct conversation with a person or an agent, and begins it where there is none yet. */
export async function writeTo(userId: string): Promise<void> {
  const { id } = await client.command('conversation:create', { type: 'direct', participantIds: [userId] })
  navigate(`/c/${id}`)
}

/** @param clientId of the form that is filled in: pressed twice it begins one group */
export async function beginGroup(title: string, participantIds: string[], clientId: string): Promise<void> {
  const { id } = await client.command('conversation:create', { type: 'group', clientId, title, participantIds })
  navigate(`/c/${id}`)
}
