import './shell.css'
import { effect } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { SettingsScreen } from './account/settings.screen.tsx'
import { Banner } from './banner.tsx'
import { InviteScreen } from './conversations/invite.screen.tsx'
import { ConversationList } from './conversations/list.tsx'
import { welcome } from './conversations/welcome.ts'
import { t } from './i18n.ts'
import { ConversationScreen } from './messages/conversation.screen.tsx'
import { followLink, pathAfter, place } from './router.ts'
import { LinkScreen, linkPaths } from './sign-in/link.screen.tsx'
import { SignInScreen } from './sign-in/sign-in.screen.tsx'
import { conversations, unreadTotal } from './state/conversations.ts'
import { watchPresence } from './state/people.ts'
import { stage } from './state/session.ts'
import { Toasts } from './ui/toasts.tsx'

effect(() => {
  const unread = unreadTotal.value
  document.title = unread > 0 ? `(${unread}) Kintsugi` : 'Kintsugi'
})

export function App() {
  return (
    <>
      <Stage />
      <Toasts />
    </>
  )
}

function Stage() {
  if (linkPaths.includes(place.value.path)) return <LinkScreen />
  if (stage.value === 'starting') return <p class="empty">{t('common:connecting')}</p>
  if (stage.value === 'signedOut') return <SignInScreen />
  return <Shell />
}

function Shell() {
  const { path } = place.value
  // people to watch come and go with conversations
  const count = conversations.value.length
  useEffect(() => watchPresence(), [count])
  useEffect(() => void welcome(), [])
  return (
    <div class={path === '/' ? 'shell shell-at-side' : 'shell shell-at-main'}>
      <a class="skip" href="#main">
        {t('common:skip')}
      </a>
      <Banner />
      <aside class="side" aria-label={t('conversations:list')}>
        <ConversationList />
      </aside>
      <main class="main" id="main" tabIndex={-1}>
        <Main />
      </main>
    </div>
  )
}

function Main() {
  const { path, query } = place.value
  const conversationId = pathAfter('/c/')
  const invited = pathAfter('/invite/')
  if (conversationId) {
    const seq = Number(query.get('at') ?? 0)
    return <ConversationScreen key={conversationId} id={conversationId} at={seq > 0 ? seq : undefined} />
  }
  if (invited) return <InviteScreen username={invited} />
  if (path.startsWith('/settings') || path.startsWith('/billing')) return <SettingsScreen path={path} />
  if (path === '/') return <p class="empty">{t('common:choose')}</p>
  return (
    <div class="empty">
      <p>{t('common:notFound')}</p>
      <a href="/" onClick={followLink}>
        {t('common:home')}
      </a>
    </div>
  )
}
