import type { Message } from '../../../src/client/index.ts'
import { t } from '../i18n.ts'
import { client, myId } from '../state/session.ts'
import { attempt } from '../state/toasts.ts'
import { nameAmong } from './names.ts'
import type { People } from './scene.ts'

/** More names do not fit into a hint. */
const maxNames = 12

/** Adds one's reaction, or takes it back; what goes wrong is said. */
export function toggleReaction(message: Message, emoji: string): Promise<boolean> {
  const isMine = message.reactions?.find((one) => one.emoji === emoji)?.userIds.includes(myId()) ?? false
  const input = { conversationId: message.conversationId, messageId: message.id, emoji }
  return attempt(() => client.command(isMine ? 'reaction:remove' : 'reaction:add', input))
}

/** How people reacted; a press joins in or takes one's own back. */
export function Reactions({ message, people }: { message: Message; people: People }) {
  const { reactions = [] } = message
  if (reactions.length === 0) return null
  return (
    <ul class="reactions" aria-label={t('messages:reactions')}>
      {reactions.map(({ emoji, userIds }) => {
        const names = namesOf(userIds, people)
        return (
          <li key={emoji}>
            <button
              type="button"
              class="reaction"
              aria-pressed={userIds.includes(myId())}
              title={names}
              onClick={() => void toggleReaction(message, emoji)}
            >
              <span>{emoji}</span>
              <span class="reaction-count">{userIds.length}</span>
              <span class="unseen">{names}</span>
            </button>
          </li>
        )
      })}
    </ul>
  )
}

function namesOf(userIds: readonly string[], people: People): string {
  const nameFor = (userId: string) => (userId === myId() ? t('common:you') : nameAmong(people, userId))
  const names = userIds.slice(0, maxNames).map(nameFor).join(', ')
  return userIds.length > maxNames ? `${names} +${userIds.length - maxNames}` : names
}
