import type { ComponentChildren } from 'preact'
import { useLayoutEffect, useRef } from 'preact/hooks'

/** Between the popup and what it belongs to, and to the edges of the window, in pixels. */
const gap = 6

/**
 * Something small beside what opened it, above all else. The browser closes it by Escape or a press elsewhere and gives
 * the focus back. Arrow keys move among its buttons; `columns`: how many stand in a line.
 */
export function Popup(options: {
  anchor: Element
  label: string
  role: 'menu' | 'dialog'
  columns?: number
  onClose(): void
  children: ComponentChildren
}) {
  const { anchor, label, role, columns = 1, onClose, children } = options
  const box = useRef<HTMLDivElement>(null)
  useLayoutEffect(() => {
    const popup = box.current
    if (!popup) return
    popup.showPopover()
    place(popup, anchor)
    popup.querySelector('button')?.focus()
    // A press on the button that opened it closes it then, and does not open it again. The press that opens it is not over
    // yet: it would close it at once.
    const opener = anchor instanceof HTMLButtonElement ? anchor : undefined
    const joining = setTimeout(() => {
      if (opener) opener.popoverTargetElement = popup
    })
    return () => {
      clearTimeout(joining)
      if (opener) opener.popoverTargetElement = null
      if (popup.contains(document.activeElement) && anchor instanceof HTMLElement) anchor.focus()
    }
  }, [anchor])
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: it hears the keys of what is in it
    // biome-ignore lint/a11y/useAriaPropsSupportedByRole: its role is a menu's or a dialog's
    <div
      ref={box}
      class="popup"
      popover="auto"
      role={role}
      aria-label={label}
      onToggle={(event) => event.newState === 'closed' && onClose()}
      onKeyDown={(event) => moveFocus(event, columns)}
    >
      {children}
    </div>
  )
}

/** Below the anchor where there is room, else above; always within the window. */
function place(popup: HTMLElement, anchor: Element): void {
  const from = anchor.getBoundingClientRect()
  const { offsetWidth: width, offsetHeight: height } = popup
  const isRoomBelow = from.bottom + gap + height < innerHeight
  const top = isRoomBelow ? from.bottom + gap : from.top - gap - height
  const left = document.dir === 'rtl' ? from.left : from.right - width
  popup.style.top = `${Math.max(gap, Math.min(top, innerHeight - height - gap))}px`
  popup.style.left = `${Math.max(gap, Math.min(left, innerWidth - width - gap))}px`
}

function moveFocus(event: KeyboardEvent, columns: number): void {
  const { key, currentTarget } = event
  const buttons = [...(currentTarget as Element).querySelectorAll('button')]
  const at = buttons.indexOf(document.activeElement as HTMLButtonElement)
  const targets: Record<string, number> = {
    ArrowDown: at + columns,
    ArrowUp: at - columns,
    ArrowRight: at + 1,
    ArrowLeft: at - 1,
    Home: 0,
    End: buttons.length - 1,
  }
  const target = targets[key]
  if (target === undefined) return
  event.preventDefault()
  const isWithin = target >= 0 && target < buttons.length
  const around = target < 0 ? buttons.length - 1 : 0
  buttons[isWithin ? target : around]?.focus()
}
