import './stories.css'
import { Plus } from 'lucide'
import { useState } from 'preact/hooks'
import type { StoryRing } from '../../../src/client/index.ts'
import { t } from '../i18n.ts'
import { me, myId } from '../state/session.ts'
import { Avatar } from '../ui/avatar.tsx'
import { Icon } from '../ui/icon.tsx'
import { NewStoryDialog } from './new-story.dialog.tsx'
import { rings } from './stories.ts'
import { StoryViewer } from './viewer.tsx'

/** The stories of oneself and of those with whom one shares a conversation, as a row of rings. */
export function StoriesBar() {
  const [openedId, setOpened] = useState<string>()
  const [isTelling, setTelling] = useState(false)
  const own = rings.value.find(({ user }) => user.userId === myId())
  const others = rings.value.filter((ring) => ring !== own)
  return (
    <nav class="stories-bar" aria-label={t('stories:stories')}>
      <ul>
        <li>
          <button type="button" class="stories-ring stories-new" onClick={() => setTelling(true)}>
            <span class="stories-face">
              <Avatar name={me.value?.displayName ?? ''} url={me.value?.avatarUrl} size={52} />
              <span class="stories-plus">
                <Icon of={Plus} size={14} />
              </span>
            </span>
            <span class="stories-name">{t('stories:tell')}</span>
          </button>
        </li>
        {own && <Ring ring={own} name={t('stories:own')} onOpen={setOpened} />}
        {others.map((ring) => (
          <Ring key={ring.user.userId} ring={ring} name={ring.user.displayName} onOpen={setOpened} />
        ))}
      </ul>
      {isTelling && <NewStoryDialog onClose={() => setTelling(false)} />}
      {openedId && <StoryViewer userId={openedId} onClose={() => setOpened(undefined)} />}
    </nav>
  )
}

function Ring({ ring, name, onOpen }: { ring: StoryRing; name: string; onOpen(userId: string): void }) {
  const { user, stories, hasUnseen } = ring
  return (
    <li>
      <button type="button" class="stories-ring" onClick={() => onOpen(user.userId)}>
        <span class={hasUnseen ? 'stories-face stories-unseen' : 'stories-face stories-seen'}>
          <Avatar name={user.displayName} url={user.avatarUrl} size={48} />
        </span>
        <span class="stories-name" dir="auto">
          {name}
        </span>
        <span class="unseen">
          {hasUnseen ? t('stories:unseen', { count: stories.length }) : t('stories:seen', { count: stories.length })}
        </span>
      </button>
    </li>
  )
}
