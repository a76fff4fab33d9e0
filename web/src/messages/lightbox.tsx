import { ChevronLeft, ChevronRight, Download } from 'lucide'
import { useEffect, useState } from 'preact/hooks'
import type { Attachment } from '../../../src/client/index.ts'
import { t } from '../i18n.ts'
import { IconButton } from '../ui/button.tsx'
import { Dialog } from '../ui/dialog.tsx'
import { Icon } from '../ui/icon.tsx'
import { useMediaUrl } from '../ui/media-url.ts'

/** The pictures of a message, one at a time in the whole window; arrow keys lead to the others. */
export function Lightbox(options: { images: readonly Attachment[]; first: number; onClose(): void }) {
  const { images, first, onClose } = options
  const [at, setAt] = useState(first)
  const image = images[at]
  const go = (step: number) => setAt((now) => (now + step + images.length) % images.length)
  useEffect(() => {
    const turn = ({ key }: KeyboardEvent) => {
      const forward = document.dir === 'rtl' ? -1 : 1
      if (key === 'ArrowRight') go(forward)
      if (key === 'ArrowLeft') go(-forward)
    }
    document.addEventListener('keydown', turn)
    return () => document.removeEventListener('keydown', turn)
  }, [images.length])
  if (!image) return null
  return (
    <Dialog title={image.name ?? t('messages:picture')} onClose={onClose} isFull>
      <div class="lightbox">
        <Shown key={image.id} image={image} />
        <nav class="lightbox-bar" aria-label={t('messages:pictures')}>
          {images.length > 1 && (
            <IconButton icon={ChevronLeft} label={t('messages:previousPicture')} onPress={() => go(-1)} />
          )}
          {images.length > 1 && <span aria-live="polite">{`${at + 1} / ${images.length}`}</span>}
          {images.length > 1 && (
            <IconButton icon={ChevronRight} label={t('messages:nextPicture')} onPress={() => go(1)} />
          )}
          <Save key={image.id} image={image} />
        </nav>
      </div>
    </Dialog>
  )
}

function Shown({ image }: { image: Attachment }) {
  const small = useMediaUrl(image.thumbnailUrl)
  const large = useMediaUrl(image.url)
  const src = large ?? small
  return (
    <div class="lightbox-picture">
      {src && <img src={src} alt={image.name ?? t('messages:picture')} width={image.width} height={image.height} />}
    </div>
  )
}

function Save({ image }: { image: Attachment }) {
  const src = useMediaUrl(image.url)
  const label = t('messages:download', { name: image.name ?? t('messages:picture') })
  return (
    <a class="icon-button" href={src} download={image.name ?? ''} aria-label={label} title={label}>
      <Icon of={Download} />
    </a>
  )
}
