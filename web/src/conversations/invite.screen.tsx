import './invite.css'
import { useEffect, useState } from 'preact/hooks'
import type { User } from '../../../src/client/index.ts'
import { explain, t } from '../i18n.ts'
import { followLink } from '../router.ts'
import { conversations } from '../state/conversations.ts'
import { peerOf } from '../state/people.ts'
import { client, me } from '../state/session.ts'
import { scope } from '../state/storage.ts'
import { Avatar } from '../ui/avatar.tsx'
import { Button } from '../ui/button.tsx'
import { writeTo } from './actions.ts'
import { byUsername, inviteLink } from './invite.ts'
import { Invitation } from './invite-dialog.tsx'
import { heedGuestWish, joinInTab } from './own-tab.ts'

/** Where an invitation leads to: to a conversation with whoever invites, as oneself or as somebody else. */
export function InviteScreen({ username }: { username: string }) {
  useEffect(heedGuestWish, [])
  const isOwn = me.value?.username.toLowerCase() === username.toLowerCase()
  return (
    <section class="conv-invite">
      <div class="conv-invite-card">
        {isOwn ? <OwnInvitation username={username} /> : <Invited username={username} />}
        <a href="/" onClick={followLink}>
          {t('common:home')}
        </a>
      </div>
    </section>
  )
}

function OwnInvitation({ username }: { username: string }) {
  return (
    <>
      <h1>{t('conversations:inviteOwn')}</h1>
      <p class="quiet">{t('conversations:inviteOwnHint')}</p>
      <Invitation link={inviteLink(location.origin, username)} />
    </>
  )
}

type Search =
  | { state: 'asking' }
  | { state: 'known'; user: User }
  | { state: 'unknown' }
  | { state: 'failed'; why: string }

function Invited({ username }: { username: string }) {
  const [search, setSearch] = useState<Search>({ state: 'asking' })
  useEffect(() => {
    let isCurrent = true
    setSearch({ state: 'asking' })
    byUsername(username, client.rest.searchUsers).then(
      (user) => isCurrent && setSearch(user ? { state: 'known', user } : { state: 'unknown' }),
      (error) => isCurrent && setSearch({ state: 'failed', why: explain(error) }),
    )
    return () => {
      isCurrent = false
    }
  }, [username])
  if (search.state === 'asking') return <p role="status">{t('common:loading')}</p>
  if (search.state === 'failed') return <p role="alert">{search.why}</p>
  if (search.state === 'unknown')
    return (
      <>
        <h1>{t('conversations:inviteUnknown', { username })}</h1>
        <p class="quiet">{t('conversations:inviteUnknownHint')}</p>
      </>
    )
  return <Offer user={search.user} />
}

function Offer({ user }: { user: User }) {
  const name = user.displayName
  const isMet = conversations.value.some((conversation) => peerOf(conversation)?.userId === user.id)
  return (
    <>
      <Avatar name={name} url={user.avatarUrl} kind={user.kind} size={88} />
      <h1 dir="auto">{t('conversations:inviteFrom', { name })}</h1>
      <p class="quiet">@{user.username}</p>
      <Button kind="primary" onPress={() => writeTo(user.id)}>
        {isMet ? t('conversations:inviteOpen') : t('conversations:inviteBegin', { name })}
      </Button>
      {scope === 'browser' && (
        <div class="conv-invite-else">
          <p class="quiet">{t('conversations:inviteElseHint', { name: me.value?.displayName ?? '' })}</p>
          <Button onPress={joinInTab}>{t('conversations:inviteElse')}</Button>
        </div>
      )}
    </>
  )
}
