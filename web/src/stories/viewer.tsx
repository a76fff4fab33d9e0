import { ChevronLeft, ChevronRight, Eye, Pause, Play, Trash2 } from 'lucide'
import { useEffect, useRef, useState } from 'preact/hooks'
import type { Story, StoryRing } from '../../../src/client/index.ts'
import { formatShort, t } from '../i18n.ts'
import { myId } from '../state/session.ts'
import { Avatar } from '../ui/avatar.tsx'
import { Button, IconButton } from '../ui/button.tsx'
import { Confirm } from '../ui/confirm.tsx'
import { Dialog } from '../ui/dialog.tsx'
import { beginningOf, neighbourOf, type Spot, stillMs } from './order.ts'
import { remove, rings, see } from './stories.ts'
import { StoryAnswer } from './story-answer.tsx'
import { StoryPicture } from './story-picture.tsx'
import { useArrows, useHidden, useHold } from './turning.ts'
import { ViewersDialog } from './viewers.dialog.tsx'

/** What may be open over one's own story. */
type Over = 'views' | 'removal'

/** Shows the stories of one person and then those of the next ones, in the order in which they stand at the beginning. */
export function StoryViewer({ userId, onClose }: { userId: string; onClose(): void }) {
  const [people] = useState(() => peopleFrom(userId))
  const [spot, setSpot] = useState<Spot | undefined>(() => {
    const ring = rings.peek().find(({ user }) => user.userId === userId)
    return ring && beginningOf(ring)
  })
  const [over, setOver] = useState<Over>()
  const ring = rings.value.find(({ user }) => user.userId === spot?.userId)
  const story = ring?.stories.find(({ id }) => id === spot?.storyId)

  function go(step: 1 | -1): void {
    const next = spot && neighbourOf(rings.peek(), people, spot, step)
    if (next) setSpot(next)
    else if (step > 0) onClose()
  }

  // it has ended, or was removed, while it was shown: the one in its place comes, of one's own else the last
  const at = useRef(0)
  if (ring && story) at.current = ring.stories.indexOf(story)
  useEffect(() => {
    if (story) return
    const near = ring?.stories[at.current] ?? (userId === myId() ? ring?.stories.at(-1) : undefined)
    if (near) setSpot({ userId: near.userId, storyId: near.id })
    else go(1)
  }, [story === undefined])
  useEffect(() => {
    if (story) void see(story)
  }, [story?.id])

  if (!ring || !story) return null
  const close = () => setOver(undefined)
  return (
    <>
      <Dialog isFull title={t('stories:of', { name: ring.user.displayName })} onClose={onClose}>
        <Shown key={story.id} ring={ring} story={story} isCovered={over !== undefined} onStep={go} onOver={setOver} />
      </Dialog>
      {over === 'views' && <ViewersDialog storyId={story.id} onClose={close} />}
      {over === 'removal' && (
        <Confirm
          title={t('stories:remove')}
          text={t('stories:removeQuestion')}
          label={t('common:delete')}
          onConfirm={() => remove(story.id)}
          onClose={close}
        />
      )}
    </>
  )
}

const peopleFrom = (userId: string): string[] =>
  userId === myId()
    ? [userId]
    : rings
        .peek()
        .map(({ user }) => user.userId)
        .filter((id) => id !== myId())

const isCalm = (): boolean => matchMedia('(prefers-reduced-motion: reduce)').matches

interface ShownOptions {
  ring: StoryRing
  story: Story
  /** Whether something is open over it. */
  isCovered: boolean
  onStep(step: 1 | -1): void
  onOver(over: Over): void
}

function Shown({ ring: { user, stories }, story, isCovered, onStep, onOver }: ShownOptions) {
  const isOwn = user.userId === myId()
  const [isLoaded, setLoaded] = useState(!story.attachment)
  const [isPaused, setPaused] = useState(false)
  const [isHeld, setHeld] = useState(false)
  const [isReplying, setReplying] = useState(false)
  const [played, setPlayed] = useState(0)
  const isHidden = useHidden()
  const isStill = isPaused || isHeld || isReplying || isCovered || isHidden
  const isVideo = story.attachment?.kind === 'video'
  const at = stories.indexOf(story)
  useArrows(onStep)
  const hold = useHold(setHeld, onStep)

  const bar = (place: number) => {
    if (place < at) return <span class="stories-full" />
    if (place > at) return null
    if (isVideo) return <span style={{ inlineSize: `${played * 100}%` }} />
    return (
      <span
        class={isLoaded && !isStill ? 'stories-run' : 'stories-run stories-still'}
        style={{ animationDuration: `${stillMs}ms` }}
        onAnimationEnd={() => onStep(1)}
      />
    )
  }

  return (
    <div class="stories-viewer">
      <div class="stories-bars" aria-hidden="true">
        {stories.map(({ id }, place) => (
          <span key={id}>{bar(place)}</span>
        ))}
      </div>
      <div class="stories-head">
        <Avatar name={user.displayName} url={user.avatarUrl} size={36} />
        <strong dir="auto">{isOwn ? t('stories:own') : user.displayName}</strong>
        <span class="stories-when">{formatShort(story.createdAt)}</span>
        {!isCalm() && (
          <IconButton
            icon={isPaused ? Play : Pause}
            label={isPaused ? t('stories:play') : t('stories:pause')}
            onPress={() => setPaused(!isPaused)}
          />
        )}
        {isOwn && <IconButton icon={Trash2} label={t('stories:remove')} onPress={() => onOver('removal')} />}
      </div>
      <div class="stories-stage" {...hold}>
        <StoryPicture
          story={story}
          isStill={isStill}
          isCalm={isCalm()}
          onLoaded={() => setLoaded(true)}
          onPlayed={setPlayed}
          onEnded={() => !isCalm() && onStep(1)}
        />
        <IconButton class="stories-back" icon={ChevronLeft} label={t('stories:previous')} onPress={() => onStep(-1)} />
        <IconButton class="stories-on" icon={ChevronRight} label={t('stories:next')} onPress={() => onStep(1)} />
      </div>
      {story.attachment && story.caption && (
        <p class="stories-caption" dir="auto">
          {story.caption}
        </p>
      )}
      {isOwn ? (
        <div class="stories-answer">
          <Button icon={Eye} onPress={() => onOver('views')}>
            {t('stories:views', { count: story.viewCount ?? 0 })}
          </Button>
        </div>
      ) : (
        <StoryAnswer story={story} name={user.displayName} onWriting={setReplying} />
      )}
      <p class="unseen" role="status">
        {t('stories:place', { at: at + 1, of: stories.length, name: user.displayName })}
      </p>
    </div>
  )
}
