import { X } from 'lucide'
import type { ComponentChildren } from 'preact'
import { useEffect, useId, useRef } from 'preact/hooks'
import { t } from '../i18n.ts'
import { IconButton } from './button.tsx'

/** Something to be done before anything else: the browser's own dialog keeps the focus in it and ends it by Escape. */
export function Dialog(options: {
  title: string
  onClose(): void
  /** Of a viewer of pictures: the whole window, the title for screen readers only. */
  isFull?: boolean
  children: ComponentChildren
}) {
  const { title, onClose, isFull = false, children } = options
  const dialog = useRef<HTMLDialogElement>(null)
  const titleId = useId()
  useEffect(() => {
    const opener = document.activeElement
    dialog.current?.showModal()
    return () => {
      if (opener instanceof HTMLElement) opener.focus()
    }
  }, [])
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape does by keyboard what a click beside the dialog does
    <dialog
      ref={dialog}
      class={isFull ? 'dialog dialog-full' : 'dialog'}
      aria-labelledby={titleId}
      onClose={onClose}
      onClick={(event) => event.target === event.currentTarget && onClose()}
    >
      <div class="dialog-body">
        <header class="dialog-head">
          <h2 id={titleId} class={isFull ? 'unseen' : ''} dir="auto">
            {title}
          </h2>
          <IconButton icon={X} label={t('common:close')} onPress={onClose} />
        </header>
        {children}
      </div>
    </dialog>
  )
}
