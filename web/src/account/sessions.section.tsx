import { Monitor, Smartphone } from 'lucide'
import type { LoginSession } from '../../../src/client/index.ts'
import { formatDateTime, t } from '../i18n.ts'
import { client } from '../state/session.ts'
import { ConfirmButton } from '../ui/confirm.tsx'
import { Icon } from '../ui/icon.tsx'
import { PagesEnd, usePages } from '../ui/pages.tsx'
import { Card } from './card.tsx'
import { deviceOf, inOrder } from './session-label.ts'

const isPhone = ({ device }: LoginSession): boolean => /Mobile|Android|iPhone|iPad/.test(device.userAgent ?? '')

/** One's logins, any of which can be ended. */
export function SessionsSection() {
  const pages = usePages<LoginSession>('/v1/auth/sessions')

  async function end({ id }: LoginSession): Promise<void> {
    await client.rest.request('DELETE', `/v1/auth/sessions/${id}`)
    pages.set(pages.items?.filter((one) => one.id !== id) ?? [])
  }

  return (
    <Card title={t('account:sessions')} hint={t('account:sessionsHint')}>
      <ul class="settings-rows">
        {inOrder(pages.items ?? []).map((session) => {
          const device = deviceOf(session) ?? t('account:unknownDevice')
          return (
            <li key={session.id}>
              <Icon of={isPhone(session) ? Smartphone : Monitor} />
              <span class="settings-main">
                <strong dir="auto">{device}</strong>
                <span class="quiet">
                  {session.ip && `${session.ip} · `}
                  {t('account:lastUsed', { when: formatDateTime(session.lastUsedAt) })}
                </span>
                <span class="quiet">{t('account:since', { when: formatDateTime(session.loggedInAt) })}</span>
              </span>
              {session.isCurrent ? (
                <span class="settings-good">{t('account:thisDevice')}</span>
              ) : (
                <ConfirmButton
                  label={t('account:endSession')}
                  question={t('account:endSessionQuestion', { device })}
                  onConfirm={() => end(session)}
                />
              )}
            </li>
          )
        })}
      </ul>
      <PagesEnd of={pages} empty={t('account:noSessions')} />
    </Card>
  )
}
