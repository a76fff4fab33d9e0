import { type Locale, loadLocale, locale, locales, t } from '../i18n.ts'
import { client, me } from '../state/session.ts'
import { attempt } from '../state/toasts.ts'
import { Choice } from '../ui/field.tsx'

/** The language of the page, and of the mails that the server writes. */
export function LanguageChoice() {
  const choose = (chosen: Locale): void =>
    void attempt(async () => {
      await loadLocale(chosen)
      me.value = await client.rest.request('PATCH', '/v1/me', { locale: chosen })
    })
  return <Choice label={t('account:language')} value={locale.value} of={locales} onValue={choose} />
}
