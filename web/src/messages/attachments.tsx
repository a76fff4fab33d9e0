import { Download, File as FileIcon } from 'lucide'
import { useState } from 'preact/hooks'
import type { Attachment } from '../../../src/client/index.ts'
import { formatBytes, t } from '../i18n.ts'
import { Icon } from '../ui/icon.tsx'
import { useMediaUrl } from '../ui/media-url.ts'
import { Lightbox } from './lightbox.tsx'

/** Of a picture whose measures are not known. */
const unknownRatio = 4 / 3
/** A single picture is at most so high and wide, in pixels, as messages.css has it. */
const [maxWidth, maxHeight] = [420, 360]

/** What hangs on a message: pictures in a grid, the rest one below the other. */
export function Attachments({ attachments }: { attachments: readonly Attachment[] }) {
  const [shown, setShown] = useState<number>()
  const images = attachments.filter(({ kind }) => kind === 'image')
  const others = attachments.filter(({ kind }) => kind !== 'image')
  return (
    <>
      {images.length > 0 && (
        <div class={`pictures pictures-${columnsOf(images.length)}`}>
          {images.map((image, index) => (
            <Picture key={image.id} image={image} isAlone={images.length === 1} onOpen={() => setShown(index)} />
          ))}
        </div>
      )}
      {others.map((attachment) => (
        <Other key={attachment.id} attachment={attachment} />
      ))}
      {shown !== undefined && <Lightbox images={images} first={shown} onClose={() => setShown(undefined)} />}
    </>
  )
}

/** Four make a square. */
const columnsOf = (count: number): number => (count === 4 ? 2 : Math.min(count, 3))

/** The room is the picture's from the beginning, so that nothing moves when it comes. */
function Picture({ image, isAlone, onOpen }: { image: Attachment; isAlone: boolean; onOpen(): void }) {
  const src = useMediaUrl(image.thumbnailUrl ?? image.url)
  const { width, height } = image
  const ratio = width && height ? width / height : unknownRatio
  const fitting = Math.min(maxWidth, width ?? maxWidth, Math.round(maxHeight * ratio))
  const room = isAlone ? { aspectRatio: String(ratio), inlineSize: `${Math.max(80, fitting)}px` } : {}
  const preview = image.preview?.startsWith('data:image/') ? { backgroundImage: `url("${image.preview}")` } : {}
  return (
    <button
      type="button"
      class="picture"
      style={{ ...room, ...preview }}
      aria-label={t('messages:openPicture', { name: image.name ?? '' })}
      onClick={onOpen}
    >
      {src && <img src={src} alt={image.name ?? t('messages:picture')} loading="lazy" decoding="async" />}
    </button>
  )
}

function Other({ attachment }: { attachment: Attachment }) {
  const src = useMediaUrl(attachment.url)
  const { kind, width, height, name } = attachment
  const label = name ?? t('messages:file')
  if (kind === 'video') {
    const aspectRatio = String(width && height ? width / height : 16 / 9)
    // biome-ignore lint/a11y/useMediaCaption: people's recordings have none
    return <video class="film" style={{ aspectRatio }} src={src} controls preload="metadata" aria-label={label} />
  }
  if (kind === 'audio')
    return (
      <figure class="sound">
        <figcaption class="sound-name" dir="auto">
          {label}
        </figcaption>
        {/* biome-ignore lint/a11y/useMediaCaption: people's recordings have none */}
        <audio src={src} controls preload="metadata" aria-label={label} />
      </figure>
    )
  return (
    <a class="file" href={src} download={name ?? ''}>
      <Icon of={FileIcon} />
      <span class="file-text">
        <span class="file-name" dir="auto">
          {label}
        </span>
        <span class="file-size">{formatBytes(attachment.bytes)}</span>
      </span>
      <Icon of={Download} size={18} />
      <span class="unseen">{t('messages:downloadFile')}</span>
    </a>
  )
}
