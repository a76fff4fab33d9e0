import { useEffect, useRef, useState } from 'preact/hooks'
import type { Story } from '../../../src/client/index.ts'
import { t } from '../i18n.ts'
import { useMediaUrl } from '../ui/media-url.ts'

interface PictureOptions {
  story: Story
  isStill: boolean
  /** Nothing moves unless it is asked to: a video waits for its own controls. */
  isCalm: boolean
  onLoaded(): void
  /** Told how far a video is, from 0 to 1. */
  onPlayed(part: number): void
  onEnded(): void
}

/** Colours that words alone may stand on; as many as there are in stories.css. */
const grounds = 5

/** What a story shows: a picture, a video, or words. */
export function StoryPicture({ story, ...options }: PictureOptions) {
  const { attachment, caption } = story
  const src = useMediaUrl(attachment?.url)
  const [isBroken, setBroken] = useState(false)
  if (!attachment) {
    const ground = [...story.id].reduce((sum, char) => sum + (char.codePointAt(0) ?? 0), 0) % grounds
    return (
      <div class={`stories-words stories-ground-${ground}`}>
        <p dir="auto">{caption}</p>
      </div>
    )
  }
  if (isBroken) return <p class="stories-broken">{t('stories:broken')}</p>
  if (attachment.kind === 'video') return <Video src={src} {...options} onBroken={() => setBroken(true)} />
  return (
    <img
      class="stories-media"
      src={src ?? attachment.preview}
      alt={caption ?? t('stories:picture')}
      draggable={false}
      onLoad={() => src && options.onLoaded()}
      onError={() => src && setBroken(true)}
    />
  )
}

type VideoOptions = Omit<PictureOptions, 'story'> & { src: string | undefined; onBroken(): void }

function Video({ src, isStill, isCalm, onLoaded, onPlayed, onEnded, onBroken }: VideoOptions) {
  const video = useRef<HTMLVideoElement>(null)
  useEffect(() => {
    const shown = video.current
    if (!src || !shown || isCalm) return
    if (isStill) shown.pause()
    else
      shown.play().catch(() => {
        // browsers let nothing be heard that was not asked for by a press
        shown.muted = true
        shown.play().catch(() => {})
      })
  }, [src, isStill])
  return (
    // biome-ignore lint/a11y/useMediaCaption: nobody has written any for it
    <video
      ref={video}
      class="stories-media"
      src={src}
      controls={isCalm}
      playsInline
      onLoadedData={onLoaded}
      onTimeUpdate={({ currentTarget: { currentTime, duration } }) => duration > 0 && onPlayed(currentTime / duration)}
      onEnded={onEnded}
      onError={() => src && onBroken()}
    />
  )
}
