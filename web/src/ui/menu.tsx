import type { IconNode } from 'lucide'
import { useEffect, useRef, useState } from 'preact/hooks'
import { attempt } from '../state/toasts.ts'
import { IconButton } from './button.tsx'
import { Icon } from './icon.tsx'

export interface MenuItem {
  label: string
  icon?: IconNode
  isDanger?: boolean
  onPress(): unknown
}

/** A button with a list of things to do: arrows move in it, Escape and a click elsewhere close it. */
export function Menu({ icon, label, items }: { icon: IconNode; label: string; items: readonly MenuItem[] }) {
  const [isOpen, setOpen] = useState(false)
  const box = useRef<HTMLDivElement>(null)
  useEffect(() => {
    if (!isOpen) return
    box.current?.querySelector<HTMLElement>('[role=menuitem]')?.focus()
    const close = (event: Event) => {
      if (!box.current?.contains(event.target as Node)) setOpen(false)
    }
    document.addEventListener('pointerdown', close)
    return () => document.removeEventListener('pointerdown', close)
  }, [isOpen])

  function move(event: KeyboardEvent): void {
    const entries = [...(box.current?.querySelectorAll<HTMLElement>('[role=menuitem]') ?? [])]
    const at = entries.indexOf(document.activeElement as HTMLElement)
    const target = { ArrowDown: at + 1, ArrowUp: at - 1 + entries.length, Home: 0, End: entries.length - 1 }[event.key]
    if (event.key === 'Escape') {
      // in a dialog it would end that too
      event.preventDefault()
      event.stopPropagation()
      setOpen(false)
      box.current?.querySelector('button')?.focus()
    }
    if (target === undefined) return
    event.preventDefault()
    entries[target % entries.length]?.focus()
  }

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: it hears the keys of what is in it
    <div class="menu" ref={box} onKeyDown={isOpen ? move : undefined}>
      <IconButton
        icon={icon}
        label={label}
        aria-haspopup="menu"
        aria-expanded={isOpen}
        onPress={() => setOpen(!isOpen)}
      />
      {isOpen && (
        <div class="menu-list" role="menu" aria-label={label}>
          {items.map((item) => (
            <button
              key={item.label}
              type="button"
              role="menuitem"
              class={item.isDanger ? 'danger' : ''}
              onClick={() => {
                setOpen(false)
                void attempt(async () => item.onPress())
              }}
            >
              {item.icon && <Icon of={item.icon} size={18} />}
              {item.label}
            </button>
          ))}
        </div>
      )}
    </div>
  )
}
