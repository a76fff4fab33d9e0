import { useEffect, useState } from 'preact/hooks'
import { t } from './i18n.ts'
import { waitingCount } from './state/conversations.ts'
import { client, isOnline, nextTryAt } from './state/session.ts'

/** A connection that comes back within this, in milliseconds, is not worth a word: nothing is lost meanwhile. */
const briefMs = 700

/** Says what the connection is like while it is not there: when it is tried next, and what waits for it. */
export function Banner() {
  return <div class="banner-place">{!isOnline.value && <Offline />}</div>
}

function Offline() {
  const [now, setNow] = useState<number>()
  useEffect(() => {
    const first = setTimeout(() => setNow(Date.now()), briefMs)
    const ticks = setInterval(() => setNow(Date.now()), 1000)
    return () => {
      clearTimeout(first)
      clearInterval(ticks)
    }
  }, [])
  if (now === undefined) return null
  const seconds = Math.ceil(((nextTryAt.value ?? now) - now) / 1000)
  return (
    <p class="banner">
      {/* the seconds that pass are for the eye alone */}
      <strong role="status">{t('common:offline')}</strong>
      {seconds > 0 ? t('common:nextTry', { count: seconds }) : t('common:connecting')}
      {seconds > 0 && (
        <button type="button" class="banner-try" onClick={client.reconnect}>
          {t('common:tryNow')}
        </button>
      )}
      {waitingCount.value > 0 && <span>{t('common:waiting', { count: waitingCount.value })}</span>}
    </p>
  )
}
