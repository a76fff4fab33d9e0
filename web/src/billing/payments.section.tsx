import './billing.css'
import type { Payment } from '../../../src/client/index.ts'
import { Card } from '../account/card.tsx'
import { formatDateTime, t } from '../i18n.ts'
import { followLink } from '../router.ts'
import { PagesEnd, usePages } from '../ui/pages.tsx'
import { priceOf } from './money.ts'

/** One's payments, the newest first. */
export function PaymentsSection() {
  const pages = usePages<Payment>('/v1/billing/payments')
  return (
    <Card title={t('billing:payments')}>
      <ul class="settings-rows">
        {pages.items?.map((payment) => (
          <li key={payment.id}>
            <span class="settings-main">
              <a href={`/billing/payments/${payment.id}`} onClick={followLink}>
                {payment.description}
              </a>
              <span class="quiet">
                {t(`billing:by_${payment.provider}`)} · {formatDateTime(payment.createdAt)}
              </span>
            </span>
            <span class="billing-amount">
              <strong>{priceOf(payment)}</strong>
              <span class={`billing-${payment.status}`}>{t(`billing:status_${payment.status}`)}</span>
            </span>
          </li>
        ))}
      </ul>
      <PagesEnd of={pages} empty={t('billing:noPayments')} />
    </Card>
  )
}
