import { useEffect, useRef, useState } from 'preact/hooks'

/** A press that is longer than this holds the story, in milliseconds; a shorter one turns the page. */
const tapMs = 250

/** Left and right turn the pages, but not while something is written or asked. */
export function useArrows(onStep: (step: 1 | -1) => void): void {
  const latest = useRef(onStep)
  latest.current = onStep
  useEffect(() => {
    const turn = ({ key, target }: KeyboardEvent): void => {
      const isWriting = target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement
      if (isWriting || document.querySelectorAll('dialog[open]').length > 1) return
      const forwards = document.dir === 'rtl' ? 'ArrowLeft' : 'ArrowRight'
      if (key === 'ArrowLeft' || key === 'ArrowRight') latest.current(key === forwards ? 1 : -1)
    }
    addEventListener('keydown', turn)
    return () => removeEventListener('keydown', turn)
  }, [])
}

/** What a pointer does on the picture: holding keeps it, a tap turns the page, back in the first third. */
export function useHold(setHeld: (isHeld: boolean) => void, onStep: (step: 1 | -1) => void) {
  const since = useRef<number>(undefined)
  const isElsewhere = (target: EventTarget | null) =>
    target instanceof Element && target.closest('button, video[controls]')
  return {
    onPointerDown(event: PointerEvent) {
      if (isElsewhere(event.target)) return
      since.current = event.timeStamp
      setHeld(true)
    },
    onPointerUp(event: PointerEvent) {
      const begun = since.current
      since.current = undefined
      setHeld(false)
      if (begun === undefined || event.timeStamp - begun > tapMs) return
      const { left, width } = (event.currentTarget as Element).getBoundingClientRect()
      const part = (event.clientX - left) / width
      onStep((document.dir === 'rtl' ? 1 - part : part) < 1 / 3 ? -1 : 1)
    },
    onPointerCancel() {
      since.current = undefined
      setHeld(false)
    },
    onPointerLeave() {
      since.current = undefined
      setHeld(false)
    },
  }
}

/** Whether the page is in the background. */
export function useHidden(): boolean {
  const [isHidden, setHidden] = useState(document.hidden)
  useEffect(() => {
    const look = (): void => setHidden(document.hidden)
    document.addEventListener('visibilitychange', look)
    return () => document.removeEventListener('visibilitychange', look)
  }, [])
  return isHidden
}
