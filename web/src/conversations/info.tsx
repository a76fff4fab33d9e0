import './info.css'
import { Ban, LogOut, Trash2 } from 'lucide'
import { useEffect, useState } from 'preact/hooks'
import type { Conversation } from '../../../src/client/index.ts'
import { formatDateTime, formatDay, t } from '../i18n.ts'
import { conversationOf } from '../state/conversations.ts'
import { peerOf, presences, titleOf, watchPresence } from '../state/people.ts'
import { myId } from '../state/session.ts'
import { attempt } from '../state/toasts.ts'
import { Button } from '../ui/button.tsx'
import { Dialog } from '../ui/dialog.tsx'
import { Toggle } from '../ui/field.tsx'
import { type Ending, set } from './actions.ts'
import { BlockButton } from './block-button.tsx'
import { EndDialog } from './end-dialog.tsx'
import { AgentMark, ConversationAvatar } from './faces.tsx'
import { InfoPeople } from './info-people.tsx'
import { InfoPicture } from './info-picture.tsx'
import { InfoTitle } from './info-title.tsx'
import { ownRole, rightsOf } from './rights.ts'
import { usePeople } from './use-people.ts'

/** What there is to know of a conversation, and to change for whoever may. */
export function ConversationInfo({ id, onClose }: { id: string; onClose(): void }) {
  const conversation = conversationOf(id)?.conversation
  const isGone = conversation === undefined
  useEffect(() => {
    if (isGone) onClose()
  }, [isGone])
  return conversation ? <Info conversation={conversation} onClose={onClose} /> : null
}

function Info({ conversation, onClose }: { conversation: Conversation; onClose(): void }) {
  const { type } = conversation
  const [ending, setEnding] = useState<Ending>()
  const people = usePeople(conversation)
  const role = ownRole(people, myId())
  const rights = rightsOf(type, role)
  const peer = peerOf(conversation)
  const ids = people.map(({ userId }) => userId).join(' ')
  useEffect(() => {
    watchPresence(ids.split(' '))
    return () => watchPresence()
  }, [ids])
  return (
    <>
      <Dialog title={t('conversations:info')} onClose={onClose}>
        <div class="conv-info">
          <div class="conv-info-head">
            <ConversationAvatar conversation={conversation} size={84} />
            <h3 dir="auto">{titleOf(conversation)}</h3>
            <p class="quiet">
              <Subtitle conversation={conversation} />
            </p>
            {rights.mayChange && <InfoPicture conversation={conversation} />}
          </div>
          {rights.mayChange && <InfoTitle key={conversation.title} conversation={conversation} />}
          <Settings conversation={conversation} />
          {type === 'group' && <InfoPeople conversation={conversation} people={people} role={role} onGone={onClose} />}
          <div class="actions">
            {peer && <BlockButton userId={peer.userId} name={peer.displayName} icon={Ban} />}
            {rights.mayLeave && (
              <Button kind="danger" icon={LogOut} onPress={() => setEnding('leave')}>
                {t('conversations:leave')}
              </Button>
            )}
            {rights.mayDelete && (
              <Button kind="danger" icon={Trash2} onPress={() => setEnding('delete')}>
                {t('conversations:delete')}
              </Button>
            )}
          </div>
        </div>
      </Dialog>
      {ending && <EndDialog id={conversation.id} ending={ending} onClose={() => setEnding(undefined)} />}
    </>
  )
}

function Subtitle({ conversation }: { conversation: Conversation }) {
  const peer = peerOf(conversation)
  if (!peer) {
    const count = conversation.type === 'group' && t('conversations:count', { count: conversation.participantCount })
    const since = t('conversations:since', { when: formatDay(conversation.createdAt) })
    return <>{count ? `${count} · ${since}` : since}</>
  }
  const presence = presences.value.get(peer.userId)
  const { lastSeenAt } = presence ?? {}
  return (
    <>
      <bdi>@{peer.username}</bdi> {peer.kind === 'agent' && <AgentMark />}
      {presence?.status === 'online' && ` · ${t('common:online')}`}
      {presence?.status === 'offline' &&
        lastSeenAt &&
        ` · ${t('common:lastSeen', { when: formatDateTime(lastSeenAt) })}`}
    </>
  )
}

function Settings({ conversation: { id, settings } }: { conversation: Conversation }) {
  const change = (next: Partial<typeof settings>) => void attempt(() => set(id, next))
  return (
    <div class="conv-info-settings">
      <Toggle label={t('conversations:pinned')} isOn={settings.isPinned} onValue={(isPinned) => change({ isPinned })} />
      <Toggle label={t('conversations:muted')} isOn={settings.isMuted} onValue={(isMuted) => change({ isMuted })} />
      <Toggle
        label={t('conversations:isArchived')}
        isOn={settings.isArchived}
        onValue={(isArchived) => change({ isArchived })}
      />
    </div>
  )
}
