import { CircleAlert, Clock } from 'lucide'
import type { ConversationCopy } from '../../../src/client/index.ts'
import { explain, formatTime, t } from '../i18n.ts'
import { nameOf } from '../state/people.ts'
import { client } from '../state/session.ts'
import { Button } from '../ui/button.tsx'
import { Icon } from '../ui/icon.tsx'
import { Attachments } from './attachments.tsx'
import { plainOf } from './excerpt.ts'
import { Markdown } from './markdown.tsx'
import type { PendingRow } from './rows.ts'
import type { Scene } from './scene.ts'

/** A message of one's own on its way, or one that the server refused, with the reason. */
export function PendingView({ row, copy, scene }: { row: PendingRow; copy: ConversationCopy; scene: Scene }) {
  const { clientId, content = '', attachments, createdAt, failure, replyToId } = row.pending
  const replied = replyToId === undefined ? undefined : copy.messages.findLast(({ id }) => id === replyToId)
  return (
    <div class={row.startsGroup ? 'row row-start' : 'row'}>
      <article
        class={failure ? 'msg msg-own msg-failed' : 'msg msg-own msg-pending'}
        tabIndex={-1}
        aria-label={t('messages:messageOf', { name: t('common:you'), time: formatTime(createdAt) })}
      >
        <div class="msg-main">
          <div class="msg-bubble">
            {replied && (
              <button
                type="button"
                class="msg-quote"
                onClick={() => {
                  scene.jump.value = { seq: replied.seq }
                }}
              >
                <strong dir="auto">{nameOf(replied.senderId, copy.conversation.participants)}</strong>
                <span class="msg-quote-text" dir="auto">
                  {plainOf(replied.content) || t('messages:noText')}
                </span>
              </button>
            )}
            {attachments && <Attachments attachments={attachments} />}
            {content && <Markdown text={content} />}
            <p class="msg-meta">
              <time dateTime={createdAt}>{formatTime(createdAt)}</time>
              {!failure && (
                <span class="msg-tick" title={t('messages:sending')}>
                  <Icon of={Clock} size={14} />
                  <span class="unseen">{t('messages:sending')}</span>
                </span>
              )}
            </p>
          </div>
          {failure && (
            <div class="msg-outcome danger" role="alert">
              <Icon of={CircleAlert} size={16} />
              <span>{t('messages:notSent', { reason: reasonOf(failure) })}</span>
              <Button onPress={() => client.retry(clientId)}>{t('common:retry')}</Button>
              <Button onPress={() => client.discard(clientId)}>{t('messages:discard')}</Button>
            </div>
          )}
        </div>
      </article>
    </div>
  )
}

/** Of sending, `forbidden` says more than of other things: one of the two has blocked the other, and neither is told who. */
const reasonOf = (failure: NonNullable<PendingRow['pending']['failure']>): string =>
  failure.code === 'forbidden' ? t('messages:mayNotWrite') : explain(failure)
