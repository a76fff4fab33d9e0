import { useEffect, useRef } from 'preact/hooks'
import { dismiss, toasts } from '../state/toasts.ts'

/** Always there, so that screen readers follow it; with each toast it comes before whatever dialog is open. */
export function Toasts() {
  const box = useRef<HTMLDivElement>(null)
  const shown = toasts.value
  useEffect(() => {
    box.current?.hidePopover()
    box.current?.showPopover()
  }, [shown])
  return (
    <div ref={box} class="toasts" popover="manual" role="status" aria-live="polite">
      {shown.map(({ id, text, isError }) => (
        <button key={id} type="button" class={isError ? 'toast toast-error' : 'toast'} onClick={() => dismiss(id)}>
          {text}
        </button>
      ))}
    </div>
  )
}
