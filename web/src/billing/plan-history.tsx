import type { SubscriptionChange } from '../../../src/client/index.ts'
import { Card } from '../account/card.tsx'
import { formatDateTime, t } from '../i18n.ts'
import { PagesEnd, usePages } from '../ui/pages.tsx'
import { priceOf } from './money.ts'

/** What has become of one's subscriptions. */
export function PlanHistory({ version, nameOf }: { version: number; nameOf(code: string): string }) {
  const pages = usePages<SubscriptionChange>('/v1/billing/subscription/history', version)
  return (
    <Card title={t('billing:history')}>
      <ul class="settings-rows">
        {pages.items?.map((change) => (
          <li key={change.id}>
            <span class="settings-main">
              <strong>{t(`billing:reason_${change.reason}`)}</strong>
              <span class="quiet">
                {nameOf(change.newPlan)} · {formatDateTime(change.createdAt)}
              </span>
            </span>
            {change.amount > 0 && <span>{priceOf(change)}</span>}
          </li>
        ))}
      </ul>
      <PagesEnd of={pages} empty={t('billing:noHistory')} />
    </Card>
  )
}
