import { Check, CheckCheck } from 'lucide'
import type { Message } from '../../../src/client/index.ts'
import { formatDateTime, formatTime, t } from '../i18n.ts'
import { Icon } from '../ui/icon.tsx'
import type { Tick } from './receipts.ts'
import type { Scene } from './scene.ts'

const ticks = {
  sent: { icon: Check, label: 'messages:sent' },
  delivered: { icon: CheckCheck, label: 'messages:delivered' },
  read: { icon: CheckCheck, label: 'messages:read' },
} as const

/** When a message was sent, whether it was changed, and how far it has come. */
export function MessageMeta({ message, scene, tick }: { message: Message; scene: Scene; tick: Tick | undefined }) {
  const { editedAt, deletedAt, createdAt } = message
  return (
    <p class="msg-meta">
      {editedAt && !deletedAt && (
        <button
          type="button"
          class="msg-edited"
          title={formatDateTime(editedAt)}
          onClick={() => {
            scene.dialog.value = { kind: 'revisions', message }
          }}
        >
          {t('messages:edited')}
        </button>
      )}
      <time dateTime={createdAt} title={formatDateTime(createdAt)}>
        {formatTime(createdAt)}
      </time>
      {tick && !deletedAt && (
        <span class={`msg-tick msg-tick-${tick}`} title={t(ticks[tick].label)}>
          <Icon of={ticks[tick].icon} size={15} />
          <span class="unseen">{t(ticks[tick].label)}</span>
        </span>
      )}
    </p>
  )
}
