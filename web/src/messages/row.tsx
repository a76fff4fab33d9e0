import './row.css'
import { memo } from 'preact/compat'
import type { ConversationCopy, Message } from '../../../src/client/index.ts'
import { Comparison } from '../ai/comparison.tsx'
import { isComparison } from '../ai/models.ts'
import { formatDay, t } from '../i18n.ts'
import { myId } from '../state/session.ts'
import { MessageView } from './message.tsx'
import { PendingView } from './pending.tsx'
import { type Reach, type Tick, tickOf } from './receipts.ts'
import type { MessageRow, Row } from './rows.ts'
import type { Scene, Surroundings } from './scene.ts'

interface RowOptions {
  row: Row
  scene: Scene
  around: Surroundings
  copy: ConversationCopy
  tick: Tick | undefined
}

/** What stands below one's own message; undefined for others' and where models alone read it. */
export function tickOfRow(row: Row, type: Surroundings['conversation']['type'], reach: Reach | undefined) {
  const [message] = row.kind === 'messages' ? row.messages : []
  if (!message || message.senderId !== myId() || type === 'assistant') return undefined
  return tickOf(message.seq, reach)
}

/** A row of the list: made anew only where something in it has changed. */
export const RowView = memo(function RowView({ row, ...options }: RowOptions) {
  if (row.kind === 'pending') return <PendingView row={row} copy={options.copy} scene={options.scene} />
  const classes = ['row', row.startsGroup && 'row-start', isCompared(row, options.around) && 'row-wide']
  return (
    <div class={classes.filter(Boolean).join(' ')}>
      {row.day !== undefined && (
        <h2 class="row-day">
          <span>{formatDay(row.day)}</span>
        </h2>
      )}
      {row.isFirstUnread && (
        <p class="row-unread">
          <span>{t('messages:newMessages')}</span>
        </p>
      )}
      <RowMessages row={row} {...options} />
    </div>
  )
})

function RowMessages({ row, scene, around, tick }: RowOptions & { row: MessageRow }) {
  const [message] = row.messages
  const view = (one: Message) => (
    <MessageView message={one} scene={scene} around={around} tick={tick} startsGroup={row.startsGroup} />
  )
  if (isCompared(row, around)) return <Comparison answers={row.messages} render={view} />
  return message ? view(message) : null
}

/** Whether it holds the answers of several models to one question. */
const isCompared = ({ messages }: MessageRow, { conversation }: Surroundings): boolean =>
  isComparison(conversation) && messages[0]?.role === 'assistant'
