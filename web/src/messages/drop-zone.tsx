import { Upload as UploadIcon } from 'lucide'
import type { ComponentChildren } from 'preact'
import { useRef, useState } from 'preact/hooks'
import { t } from '../i18n.ts'
import { Icon } from '../ui/icon.tsx'

const hasFiles = ({ dataTransfer }: DragEvent): boolean => dataTransfer?.types.includes('Files') ?? false

/** Takes files that are dropped anywhere on it, and says so while some are held above it. */
export function DropZone(options: {
  class: string
  onFiles(files: Iterable<File>): void
  children: ComponentChildren
}) {
  // entering a child comes before leaving the parent
  const depth = useRef(0)
  const [isOver, setOver] = useState(false)

  function move(event: DragEvent, step: number): void {
    if (!hasFiles(event)) return
    depth.current = Math.max(0, depth.current + step)
    setOver(depth.current > 0)
  }

  function drop(event: DragEvent): void {
    if (!hasFiles(event)) return
    event.preventDefault()
    depth.current = 0
    setOver(false)
    options.onFiles(event.dataTransfer?.files ?? [])
  }

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the button that attaches does the same by keyboard
    <div
      class={options.class}
      onDragEnter={(event) => move(event, 1)}
      onDragLeave={(event) => move(event, -1)}
      onDragOver={(event) => hasFiles(event) && event.preventDefault()}
      onDrop={drop}
    >
      {options.children}
      {isOver && (
        <p class="drop-hint">
          <Icon of={UploadIcon} size={32} />
          {t('messages:dropHere')}
        </p>
      )}
    </div>
  )
}
