import { type ReadonlySignal, useSignal } from '@preact/signals'
import type { RefObject } from 'preact'
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import type { VirtualizerHandle } from 'virtua'
import { t } from '../i18n.ts'
import { navigate } from '../router.ts'
import { say } from '../state/toasts.ts'
import type { Opening } from './opening.ts'
import type { Paging } from './paging.ts'
import { type MessageRow, type Row, rowIndexOf } from './rows.ts'
import type { Scene } from './scene.ts'

/** This near to the end counts as at it, in pixels. */
const endPx = 48
/** Older messages are loaded when the first one is this near to what is in view, in pixels. */
const olderPx = 1200
/** A message that was jumped to stands out for this long, in milliseconds. */
const highlightMs = 2_500
/** Rows that come into view at a jump are measured by then; before, the end may seem to be near. In milliseconds. */
const settleMs = 300

interface Target {
  seq: number
  /** `start`: it and what follows is to be read; `center`: it itself, and it stands out. */
  align: 'start' | 'center'
}

interface ListPosition {
  list: RefObject<VirtualizerHandle | null>
  scroller: RefObject<HTMLDivElement | null>
  /** Whether this rendering has rows more in front. */
  isShift: boolean
  isAtEnd: ReadonlySignal<boolean>
  onScroll(offset: number): void
  onResize(): void
  toEnd(): void
}

/**
 * Where a list of messages stands. What always holds: who is at the end stays at the end while rows come and grow, who is
 * not there is not moved; rows that come in front move nothing.
 */
export function useListPosition(options: {
  rows: readonly Row[]
  stored: readonly MessageRow[]
  scene: Scene
  paging: Paging
  opening: Opening
  pendingCount: number
  /** The seq of the lowest message in view. */
  onSeen(seq: number): void
}): ListPosition {
  const { rows, stored, scene, paging, opening, pendingCount, onSeen } = options
  const list = useRef<VirtualizerHandle>(null)
  const scroller = useRef<HTMLDivElement>(null)
  const { firstUnreadSeq } = opening
  const isFollowing = useRef(firstUnreadSeq === undefined && !scene.jump.peek())
  const lastOffset = useRef(0)
  const isAtEnd = useSignal(isFollowing.current)
  const [target, setTarget] = useState<Target | undefined>(
    firstUnreadSeq === undefined ? undefined : { seq: firstUnreadSeq, align: 'start' },
  )
  const isSettled = useRef(target === undefined)
  const isShift = useShift(rows)
  const jump = scene.jump.value

  /** By the element: `scrollToIndex` holds on to the end while a row grows, against whoever scrolls up. */
  function toEnd(): void {
    isFollowing.current = true
    const box = scroller.current
    if (box) box.scrollTop = box.scrollHeight
  }

  function look(): void {
    const handle = list.current
    if (!handle || handle.viewportSize === 0) return
    const { scrollOffset, viewportSize, scrollSize } = handle
    isAtEnd.value = scrollSize - scrollOffset - viewportSize <= endPx
    if (isAtEnd.value && isSettled.current) isFollowing.current = true
    const lowest = rows[handle.findItemIndex(scrollOffset + viewportSize - 4)]
    const seen = lowest?.kind === 'messages' ? lowest : stored.at(-1)
    const seq = seen?.messages.at(-1)?.seq
    if (seq !== undefined) onSeen(seq)
    if (scrollOffset < olderPx && !paging.hasFailed.peek()) void paging.older()
  }

  function onScroll(offset: number): void {
    // only somebody who scrolls goes up: growing rows leave the offset or raise it
    if (offset < lastOffset.current - 1) isFollowing.current = false
    lastOffset.current = offset
    look()
  }

  function onResize(): void {
    look()
    // the list is as high as its rows once it is drawn, which is next
    queueMicrotask(() => {
      if (isFollowing.current) toEnd()
    })
  }

  const onSettled = useRef(look)
  onSettled.current = look

  // one's own message is what one wants to see
  const lastPending = useRef(pendingCount)
  useLayoutEffect(() => {
    if (pendingCount > lastPending.current) isFollowing.current = true
    lastPending.current = pendingCount
  }, [pendingCount])

  useLayoutEffect(() => {
    if (isFollowing.current) toEnd()
    else look()
  }, [rows])

  useLayoutEffect(() => {
    if (!target) return
    const index = rowIndexOf(stored, target.seq)
    if (index < 0) {
      // it could not be loaded: what is there is shown
      isSettled.current = true
      return
    }
    isFollowing.current = false
    isSettled.current = false
    list.current?.scrollToIndex(index, { align: target.align })
    const settling = setTimeout(() => {
      isSettled.current = true
      onSettled.current()
    }, settleMs)
    if (target.align === 'start') return () => clearTimeout(settling)
    scene.highlighted.value = target.seq
    const focusing = setTimeout(() => {
      const found = scroller.current?.querySelector<HTMLElement>(`[data-seq="${target.seq}"]`)
      found?.focus({ preventScroll: true })
    }, 100)
    const ending = setTimeout(() => {
      scene.highlighted.value = undefined
    }, highlightMs)
    return () => {
      clearTimeout(settling)
      clearTimeout(focusing)
      clearTimeout(ending)
    }
  }, [target])

  useEffect(() => {
    if (!jump) return
    let isCurrent = true
    isFollowing.current = false
    void paging.reach(jump.seq).then((isThere) => {
      if (!isCurrent) return
      if (isThere) setTarget({ seq: jump.seq, align: 'center' })
      else say(t('messages:notReached'), true)
    })
    // the address is for getting there, and the same one is to lead there again
    navigate(`/c/${scene.conversationId}`, { replace: true })
    return () => {
      isCurrent = false
    }
  }, [jump])

  return { list, scroller, isShift, isAtEnd, onScroll, onResize, toEnd }
}

/** Whether there are rows in front which the rendering before did not have. */
function useShift(rows: readonly Row[]): boolean {
  const before = useRef<{ first: string | undefined; length: number }>({ first: undefined, length: 0 })
  const { first, length } = before.current
  const isShift = first !== undefined && rows.length > length && rows[0]?.key !== first
  useLayoutEffect(() => {
    before.current = { first: rows[0]?.key, length: rows.length }
  }, [rows])
  return isShift
}
