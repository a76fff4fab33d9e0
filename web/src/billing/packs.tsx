import { useState } from 'preact/hooks'
import { type Checkout, newClientId, type Pack, type Payment } from '../../../src/client/index.ts'
import { Card } from '../account/card.tsx'
import { formatNumber, t } from '../i18n.ts'
import { navigate } from '../router.ts'
import { client } from '../state/session.ts'
import { Button } from '../ui/button.tsx'
import { Awaited, useFetched } from '../ui/pages.tsx'
import { Problem, useSending } from '../ui/problem.tsx'
import { priceOf } from './money.ts'

/** What a pack gives, in words. */
function givenBy({ credits, photoCount, name }: Pack): string {
  if (credits !== undefined) return t('billing:packCredits', { count: credits, credits: formatNumber(credits) })
  if (photoCount !== undefined) return t('billing:packPhotos', { count: photoCount })
  return name
}

/** What can be bought once, by each way to pay that this server has. */
export function Packs() {
  const { value, problem: unread } = useFetched<{ items: Pack[] }>('/v1/credits/packs')
  const { problem, isBusy, send } = useSending({ unprocessable: t('billing:notSetUp') })
  // pressed again where no answer came, it is one purchase
  const [visit] = useState(newClientId)
  if (!value)
    return (
      <Card title={t('billing:packs')}>
        <Awaited problem={unread} />
      </Card>
    )
  const offered = value.items.filter(({ prices }) => prices.length > 0)

  const buy = (tierId: string, provider: Payment['provider']) =>
    send(async () => {
      const options = { idempotencyKey: `${visit} ${tierId} ${provider}` }
      const begun = await client.rest.request<Checkout>('POST', '/v1/credits/checkout', { tierId, provider }, options)
      // what is paid by hand, or in another app, is followed here; a page of the provider leads back
      if (begun.details || !begun.url.startsWith('https:')) navigate(`/billing/payments/${begun.paymentId}`)
      else location.assign(begun.url)
    })

  return (
    <Card title={t('billing:packs')} {...(offered.length === 0 && { hint: t('billing:noPacks') })}>
      <Problem text={problem} />
      <ul class="settings-rows">
        {offered.map((pack) => (
          <li key={pack.id}>
            <span class="settings-main">
              <strong>{givenBy(pack)}</strong>
              {pack.isPopular && <span class="settings-good">{t('billing:popular')}</span>}
            </span>
            <span class="settings-row">
              {pack.prices.map((price) => (
                <Button key={price.provider} disabled={isBusy} onPress={() => buy(pack.id, price.provider)}>
                  <strong>{priceOf(price)}</strong> {t(`billing:by_${price.provider}`)}
                </Button>
              ))}
            </span>
          </li>
        ))}
      </ul>
    </Card>
  )
}
