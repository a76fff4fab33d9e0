import { CircleAlert, Square } from 'lucide'
import type { Message } from '../../../src/client/index.ts'
import { tokenWindow } from '../billing/wallet.ts'
import { explain, formatShort, t } from '../i18n.ts'
import { followLink } from '../router.ts'
import { client, myId } from '../state/session.ts'
import { Button } from '../ui/button.tsx'
import { Icon } from '../ui/icon.tsx'

/** What became of a text that grows, or grew: it can be stopped, was stopped, or could not be ended. */
export function Outcome({ message }: { message: Message }) {
  const { status, error, conversationId, id: messageId, deletedAt, senderId } = message
  if (deletedAt || status === 'sent') return null
  if (status === 'cancelled') return <p class="msg-outcome quiet">{t('messages:stopped')}</p>
  if (status === 'failed')
    return (
      <p class="msg-outcome danger">
        <Icon of={CircleAlert} size={16} />
        <span>
          {t('messages:answerFailed', { reason: explain({ code: error }) })}
          {error === 'quota_exceeded' && <Reset />}
        </span>
      </p>
    )
  if (senderId === myId()) return null
  return (
    <div class="msg-outcome">
      <Button icon={Square} class="msg-stop" onPress={() => client.command('run:stop', { conversationId, messageId })}>
        {t('messages:stop')}
      </Button>
    </div>
  )
}

/** When there are tokens again, and what else can be done. */
function Reset() {
  const resetAt = tokenWindow()?.resetAt
  return (
    <>
      {resetAt && ` ${t('billing:resetsAt', { when: formatShort(resetAt) })}`}{' '}
      <a href="/settings/usage" onClick={followLink}>
        {t('account:section_usage')}
      </a>
    </>
  )
}
