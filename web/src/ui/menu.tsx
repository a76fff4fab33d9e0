import type { IconNode } from 'lucide'
import { useRef, useState } from 'preact/hooks'
import { attempt } from '../state/toasts.ts'
import { IconButton } from './button.tsx'
import { Icon } from './icon.tsx'
import { Popup } from './popup.tsx'

export interface MenuItem {
  label: string
  icon?: IconNode
  isDanger?: boolean
  onPress(): unknown
}

/** A button with a list of things to do. */
export function Menu({ icon, label, items }: { icon: IconNode; label: string; items: readonly MenuItem[] }) {
  const [anchor, setAnchor] = useState<Element>()
  const box = useRef<HTMLSpanElement>(null)
  return (
    <span class="menu" ref={box}>
      <IconButton
        icon={icon}
        label={label}
        aria-haspopup="menu"
        aria-expanded={anchor !== undefined}
        onPress={() => setAnchor(box.current?.querySelector('button') ?? undefined)}
      />
      {anchor && (
        <Popup anchor={anchor} label={label} role="menu" onClose={() => setAnchor(undefined)}>
          {items.map((item) => (
            <button
              key={item.label}
              type="button"
              role="menuitem"
              class={item.isDanger ? 'popup-item danger' : 'popup-item'}
              onClick={() => {
                setAnchor(undefined)
                void attempt(async () => item.onPress())
              }}
            >
              {item.icon && <Icon of={item.icon} size={18} />}
              {item.label}
            </button>
          ))}
        </Popup>
      )}
    </span>
  )
}
