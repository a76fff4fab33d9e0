import { Compass } from 'lucide'
import { useEffect, useState } from 'preact/hooks'
import type { LoginWays } from '../../../src/client/index.ts'
import { locale, t } from '../i18n.ts'
import { place } from '../router.ts'
import { client, enter } from '../state/session.ts'
import { scope } from '../state/storage.ts'
import { Button } from '../ui/button.tsx'

/** In the address that another service leads back to, so that the page takes up the login that came of it. */
export const continueMark = 'continue'

/** What this server offers beside a password; nothing more until it is known. */
export function useWays(): LoginWays | undefined {
  const [ways, setWays] = useState<LoginWays>()
  useEffect(() => {
    client.rest.request<LoginWays>('GET', '/v1/auth/providers').then(setWays, () => {})
  }, [])
  return ways
}

/** To come in without an account, by one press. */
export function GuestButton() {
  return (
    <div class="enter-guest">
      <Button kind="primary" icon={Compass} onPress={() => enter(client.guest({ locale: locale.value }))}>
        {t('signIn:guest')}
      </Button>
      <p class="quiet">{t('signIn:guestHint')}</p>
    </div>
  )
}

/** Logins by other services. They come back in the browser's cookie, and so are not for a login of this tab alone. */
export function Providers({ items }: { items: LoginWays['items'] }) {
  if (items.length === 0 || scope === 'tab') return null
  const back = new URL(place.value.path, location.origin)
  back.searchParams.set(continueMark, '1')
  return (
    <ul class="enter-providers">
      {items.map(({ name, label }) => (
        <li key={name}>
          <a class="button" href={`/v1/auth/oauth/${name}?redirectTo=${encodeURIComponent(back.href)}`}>
            {t('signIn:with', { label })}
          </a>
        </li>
      ))}
    </ul>
  )
}
