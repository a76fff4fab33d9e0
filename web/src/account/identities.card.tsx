import { Link, Unlink } from 'lucide'
import { useState } from 'preact/hooks'
import type { ErrorCode, Identity, LoginWays } from '../../../src/client/index.ts'
import { explain, formatDay, t } from '../i18n.ts'
import { place } from '../router.ts'
import { client } from '../state/session.ts'
import { Button } from '../ui/button.tsx'
import { Awaited, useFetched } from '../ui/pages.tsx'
import { Problem } from '../ui/problem.tsx'
import { Card } from './card.tsx'
import { PasswordProof, useProof } from './password-proof.tsx'

/** Oneself at other services, by which one can come in too. */
export function IdentitiesCard() {
  const ways = useFetched<LoginWays>('/v1/auth/providers')
  const own = useFetched<{ items: Identity[] }>('/v1/me/identities')
  const [password, setPassword] = useState('')
  const { problem, isBusy, send } = useProof({
    unprocessable: t('account:lastWay'),
    conflict: t('account:linkedElsewhere'),
  })
  const identities = own.value?.items
  if (!ways.value || !identities)
    return (
      <Card title={t('account:identities')}>
        <Awaited problem={ways.problem ?? own.problem} />
      </Card>
    )

  const { items, telegram } = ways.value
  const nameOf = (provider: string): string =>
    provider === 'telegram' ? 'Telegram' : (items.find(({ name }) => name === provider)?.label ?? provider)
  const linkable = items.filter(({ name }) => !identities.some(({ provider }) => provider === name))
  const isTelegramOpen = telegram && !identities.some(({ provider }) => provider === 'telegram')
  const isNothing = identities.length === 0 && linkable.length === 0
  const proof = password ? { password } : {}

  const link = (provider: string) =>
    send(async () => {
      const input = { ...proof, redirectTo: `${location.origin}/settings/security` }
      const address = `/v1/auth/oauth/${encodeURIComponent(provider)}/link`
      location.assign((await client.rest.request<{ url: string }>('POST', address, input)).url)
    })
  const unlink = (provider: string) =>
    send(async () => {
      await client.rest.request('DELETE', `/v1/me/identities/${encodeURIComponent(provider)}`, proof)
      own.set({ items: identities.filter((one) => one.provider !== provider) })
    })

  return (
    <Card title={t('account:identities')} hint={isNothing ? t('account:noProviders') : t('account:identitiesHint')}>
      <LinkFailure />
      <ul class="settings-rows">
        {identities.map(({ provider, name, linkedAt }) => (
          <li key={provider}>
            <span class="settings-main">
              <strong>{nameOf(provider)}</strong>
              {name && <bdi>{name}</bdi>}
              <span class="quiet">{t('account:linkedAt', { when: formatDay(linkedAt) })}</span>
            </span>
            <Button icon={Unlink} disabled={isBusy} onPress={() => unlink(provider)}>
              {t('account:unlink')}
            </Button>
          </li>
        ))}
        {linkable.map(({ name, label }) => (
          <li key={name}>
            <strong class="settings-main">{label}</strong>
            <Button icon={Link} disabled={isBusy} onPress={() => link(name)}>
              {t('account:link')}
            </Button>
          </li>
        ))}
      </ul>
      {isTelegramOpen && <p class="quiet">{t('account:telegramHint')}</p>}
      {!isNothing && <PasswordProof value={password} onValue={setPassword} />}
      <Problem text={problem} />
    </Card>
  )
}

/** What the other service, or the server, said when it led the page back here. */
function LinkFailure() {
  const code = place.value.query.get('error') as ErrorCode | null
  return <Problem text={code ? explain({ code }) : undefined} />
}
