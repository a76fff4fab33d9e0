import type { Preferences } from '../../../src/client/index.ts'
import { t } from '../i18n.ts'
import { client } from '../state/session.ts'
import { applyTheme, type Theme, theme } from '../state/theme.ts'
import { attempt, say } from '../state/toasts.ts'
import { Choice, Toggle } from '../ui/field.tsx'
import { Awaited, useFetched } from '../ui/pages.tsx'
import { Card } from './card.tsx'
import { LanguageChoice } from './language-choice.tsx'
import { PreferredModels } from './preferred-models.tsx'

const themes: readonly Theme[] = ['system', 'light', 'dark']

/** How the page looks here, and what the server keeps of one's choices. */
export function PreferencesSection() {
  const { value, problem, set } = useFetched<Preferences>('/v1/me/preferences')

  const change = (changes: Partial<Preferences>): void =>
    void attempt(async () => {
      set(await client.rest.request('PATCH', '/v1/me/preferences', changes))
      say(t('common:saved'))
    })

  return (
    <>
      <Card title={t('account:look')}>
        <Choice<Theme>
          label={t('account:theme')}
          value={theme.value}
          of={themes.map((id) => ({ id, name: t(`account:theme_${id}`) }))}
          onValue={applyTheme}
        />
        <LanguageChoice />
      </Card>
      {value ? (
        <>
          <Card title={t('account:notices')}>
            <Toggle
              label={t('account:emailNotices')}
              isOn={value.emailNotifications}
              onValue={(emailNotifications) => change({ emailNotifications })}
            />
            <Toggle
              label={t('account:usageAlerts')}
              isOn={value.usageAlerts}
              onValue={(usageAlerts) => change({ usageAlerts })}
            />
          </Card>
          <Card title={t('account:timezone')} hint={t('account:timezoneHint')}>
            <Choice
              label={t('account:timezone')}
              value={value.timezone}
              of={zonesWith(value.timezone)}
              onValue={(timezone) => change({ timezone })}
            />
          </Card>
          <Card title={t('account:preferredModels')} hint={t('account:preferredHint')}>
            <PreferredModels
              chosen={value.preferredModels}
              onChange={(preferredModels) => change({ preferredModels })}
            />
          </Card>
        </>
      ) : (
        <Awaited problem={problem} />
      )}
    </>
  )
}

/** The time zones that the browser knows, this device's first, and the chosen one whatever it is. */
function zonesWith(chosen: string): { id: string; name: string }[] {
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone
  return [...new Set([here, chosen, 'UTC', ...Intl.supportedValuesOf('timeZone')])].map((id) => ({
    id,
    name: id.replaceAll('_', ' '),
  }))
}
