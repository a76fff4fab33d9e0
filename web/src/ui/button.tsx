import type { IconNode } from 'lucide'
import type { ComponentChildren, JSX } from 'preact'
import { useState } from 'preact/hooks'
import { attempt } from '../state/toasts.ts'
import { Icon } from './icon.tsx'

type Native = Omit<JSX.IntrinsicElements['button'], 'icon' | 'onClick'>

interface ButtonOptions extends Native {
  kind?: 'primary' | 'plain' | 'danger'
  icon?: IconNode
  /** What it does; while that goes on the button takes no second press, and what goes wrong is said. */
  onPress?(): unknown
  children?: ComponentChildren
}

export function Button({ kind = 'plain', icon, onPress, children, disabled, ...native }: ButtonOptions) {
  const [isBusy, press] = usePress(onPress)
  return (
    <button type="button" {...native} class={`button button-${kind}`} disabled={disabled || isBusy} onClick={press}>
      {icon && <Icon of={icon} size={18} />}
      {children}
    </button>
  )
}

/** A button that is a picture. `label` is what it does, in words: for screen readers and as its hint. */
export function IconButton(options: Native & { icon: IconNode; label: string; size?: number; onPress?(): unknown }) {
  const { icon, label, size, onPress, disabled, class: extra = '', ...native } = options
  const [isBusy, press] = usePress(onPress)
  return (
    <button
      type="button"
      {...native}
      class={`icon-button ${extra}`}
      aria-label={label}
      title={label}
      disabled={disabled || isBusy}
      onClick={press}
    >
      <Icon of={icon} size={size} />
    </button>
  )
}

function usePress(onPress: (() => unknown) | undefined): [boolean, (() => void) | undefined] {
  const [isBusy, setBusy] = useState(false)
  if (!onPress) return [false, undefined]
  const press = (): void => {
    let done: unknown
    void attempt(async () => {
      done = onPress()
      if (!(done instanceof Promise)) return
      setBusy(true)
      await done
    }).then(() => setBusy(false))
  }
  return [isBusy, press]
}
