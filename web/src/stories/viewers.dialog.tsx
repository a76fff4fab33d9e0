import type { StoryView } from '../../../src/client/index.ts'
import { formatTime, t } from '../i18n.ts'
import { Avatar } from '../ui/avatar.tsx'
import { Dialog } from '../ui/dialog.tsx'
import { PagesEnd, usePages } from '../ui/pages.tsx'
import { viewNews } from './stories.ts'

/** Who has seen one's own story, and their reactions. */
export function ViewersDialog({ storyId, onClose }: { storyId: string; onClose(): void }) {
  const pages = usePages<StoryView>(`/v1/stories/${storyId}/views`, viewNews.value)
  return (
    <Dialog title={t('stories:viewers')} onClose={onClose}>
      <ul class="stories-views">
        {pages.items?.map(({ user, viewedAt, reaction }) => (
          <li key={user.userId}>
            <Avatar name={user.displayName} url={user.avatarUrl} size={36} />
            <span dir="auto">{user.displayName}</span>
            <span class="quiet">{formatTime(viewedAt)}</span>
            {reaction && <span class="stories-reaction">{reaction}</span>}
          </li>
        ))}
      </ul>
      <PagesEnd of={pages} empty={t('stories:noViews')} />
    </Dialog>
  )
}
