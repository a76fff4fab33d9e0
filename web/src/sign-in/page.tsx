import './sign-in.css'
import type { ComponentChildren } from 'preact'
import { loadLocale, locale, locales, t } from '../i18n.ts'
import { applyTheme, type Theme, theme } from '../state/theme.ts'
import { attempt } from '../state/toasts.ts'
import { Choice } from '../ui/field.tsx'
import { Seam } from './seam.tsx'

/** The page before one is signed in: what this is, beside what is to be filled in. */
export function EntryPage({ children }: { children: ComponentChildren }) {
  return (
    <div class="enter">
      <header class="enter-hero">
        <Seam />
        <div class="enter-hero-words">
          <h1>Kintsugi</h1>
          <p>{t('signIn:what')}</p>
        </div>
      </header>
      <main class="enter-main" id="main">
        <div class="enter-card">{children}</div>
        <Looks />
      </main>
    </div>
  )
}

/** Language and colours, which are this browser's. */
function Looks() {
  const themes: readonly { id: Theme; name: string }[] = [
    { id: 'system', name: t('signIn:themeSystem') },
    { id: 'light', name: t('signIn:themeLight') },
    { id: 'dark', name: t('signIn:themeDark') },
  ]
  return (
    <footer class="enter-looks">
      <Choice
        label={t('signIn:language')}
        value={locale.value}
        of={locales}
        onValue={(chosen) => void attempt(() => loadLocale(chosen))}
      />
      <Choice label={t('signIn:theme')} value={theme.value} of={themes} onValue={(chosen) => applyTheme(chosen)} />
    </footer>
  )
}
