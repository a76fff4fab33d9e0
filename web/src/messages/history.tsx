import './history.css'
import { useEffect, useMemo } from 'preact/hooks'
import { Virtualizer } from 'virtua'
import type { ConversationCopy } from '../../../src/client/index.ts'
import { isComparison } from '../ai/models.ts'
import { Suggestions } from '../ai/suggestions.tsx'
import { t } from '../i18n.ts'
import { pendingOf } from '../state/conversations.ts'
import { myId } from '../state/session.ts'
import { Button } from '../ui/button.tsx'
import { News } from './news.tsx'
import { type Opening, useOpening } from './opening.ts'
import { createPaging, type Paging } from './paging.ts'
import { createReadMarker } from './reading.ts'
import { reachOf } from './receipts.ts'
import { RowView, tickOfRow } from './row.tsx'
import { createRows, pendingRows, type Row } from './rows.ts'
import type { Scene, Surroundings } from './scene.ts'
import { ToNewest } from './to-newest.tsx'
import { useListPosition } from './use-list-position.ts'

interface HistoryOptions {
  copy: ConversationCopy
  scene: Scene
  around: Surroundings
}

/** The messages of a conversation. */
export function History({ copy, scene, around }: HistoryOptions) {
  const paging = useMemo(() => createPaging(scene.conversationId), [scene])
  const opening = useOpening(copy, paging, scene)
  const pending = pendingOf(scene.conversationId)
  if (copy.conversation.lastSeq === 0 && pending.length === 0) return <Nothing copy={copy} />
  if (!opening.isReady) return <p class="empty history-room">{t('common:loading')}</p>
  return <HistoryList copy={copy} scene={scene} around={around} paging={paging} opening={opening} />
}

function Nothing({ copy: { conversation } }: { copy: ConversationCopy }) {
  if (conversation.type === 'assistant')
    return (
      <div class="history-room">
        <Suggestions conversationId={conversation.id} />
      </div>
    )
  return <p class="empty history-room">{t('messages:nothingYet')}</p>
}

function HistoryList(options: HistoryOptions & { paging: Paging; opening: Opening }) {
  const { copy, scene, around, paging, opening } = options
  const { conversationId } = scene
  const { conversation } = copy
  const pending = pendingOf(conversationId)
  const isCompared = isComparison(conversation)
  const rowsOf = useMemo(() => {
    const { firstUnreadSeq } = opening
    return createRows({ userId: myId(), firstUnreadSeq, isComparison: isCompared })
  }, [opening.firstUnreadSeq, isCompared, copy])
  const stored = rowsOf(copy.messages)
  const rows: readonly Row[] =
    pending.length > 0 ? [...stored, ...pendingRows(pending, copy.messages.at(-1), myId())] : stored
  const reading = useMemo(() => createReadMarker(conversationId), [conversationId])
  useEffect(() => reading.stop, [reading])
  const position = useListPosition({
    rows,
    stored,
    scene,
    paging,
    opening,
    pendingCount: pending.length,
    onSeen: reading.see,
  })
  const press = (event: KeyboardEvent & { currentTarget: Element }) => {
    // a picture that is open is closed by it
    const isInDialog = event.target instanceof Element && event.target.closest('dialog') !== null
    if (event.key !== 'Escape') moveFocus(event)
    else if (!isInDialog) scene.focused.value++
  }
  const reach = reachOf(conversation.participants, conversation.participantCount, myId())
  return (
    <div class="history-room">
      <Loading paging={paging} />
      <div
        class="history"
        ref={position.scroller}
        role="log"
        // what comes into view by scrolling is no news: those are told apart
        aria-live="off"
        aria-label={t('messages:history')}
        aria-describedby="history-hint"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
        tabIndex={0}
        onKeyDown={press}
      >
        <p id="history-hint" class="unseen">
          {t('messages:historyHint')}
        </p>
        <div class="history-spacer" />
        <Virtualizer
          ref={position.list}
          data={rows}
          shift={position.isShift}
          onScroll={position.onScroll}
          onResize={position.onResize}
        >
          {(row: Row) => (
            <RowView
              key={row.key}
              row={row}
              scene={scene}
              around={around}
              copy={copy}
              tick={tickOfRow(row, conversation.type, reach)}
            />
          )}
        </Virtualizer>
      </div>
      {!position.isAtEnd.value && <ToNewest count={conversation.unreadCount} onPress={position.toEnd} />}
      <News conversationId={conversationId} people={around.people} />
    </div>
  )
}

function Loading({ paging }: { paging: Paging }) {
  return (
    <div class="history-loading" role="status">
      {paging.isLoading.value && <span class="history-pill">{t('common:loading')}</span>}
      {paging.hasFailed.value && (
        <span class="history-pill">
          {t('messages:olderFailed')} <Button onPress={() => paging.older()}>{t('common:retry')}</Button>
        </span>
      )}
    </div>
  )
}

/** Arrow keys go from message to message; from the list itself Arrow-Up goes to the newest in view. */
function moveFocus(event: KeyboardEvent & { currentTarget: Element }): void {
  const { key, target, currentTarget } = event
  if (key !== 'ArrowUp' && key !== 'ArrowDown') return
  const shown = [...currentTarget.querySelectorAll<HTMLElement>('.msg')]
  const at = shown.indexOf(target as HTMLElement)
  if (at < 0 && (target !== currentTarget || key === 'ArrowDown')) return
  const next = at < 0 ? newestInView(shown, currentTarget) : shown[at + (key === 'ArrowUp' ? -1 : 1)]
  if (!next) return
  event.preventDefault()
  next.focus()
}

function newestInView(shown: readonly HTMLElement[], list: Element): HTMLElement | undefined {
  const { bottom } = list.getBoundingClientRect()
  return shown.findLast((message) => message.getBoundingClientRect().top < bottom)
}
