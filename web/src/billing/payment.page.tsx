import './billing.css'
import { useEffect, useState } from 'preact/hooks'
import type { Payment } from '../../../src/client/index.ts'
import { Card } from '../account/card.tsx'
import { formatDateTime, t } from '../i18n.ts'
import { followLink } from '../router.ts'
import { CopyButton } from '../ui/copy.tsx'
import { Awaited, useFetched } from '../ui/pages.tsx'
import { priceOf } from './money.ts'
import { wallet } from './wallet.ts'

/** How often a payment that is not settled is asked after, in milliseconds. */
const lookMs = 3_000

/** Addresses of a payment that may be opened: pages, and the apps of Telegram and of TON wallets. */
const isOpenable = (url: string): boolean => /^(https:|tg:|ton:)/.test(url)

/** One payment, followed until it is settled. Providers lead back here. */
export function PaymentPage({ id }: { id: string }) {
  const [looks, setLooks] = useState(0)
  // credits that come are heard of before the next look
  const version = `${looks} ${wallet.value?.credits}`
  const { value, problem } = useFetched<Payment>(`/v1/billing/payments/${encodeURIComponent(id)}`, version)
  const isPending = value?.status === 'pending'
  useEffect(() => {
    if (!isPending) return
    const timer = setInterval(() => !document.hidden && setLooks((before) => before + 1), lookMs)
    return () => clearInterval(timer)
  }, [isPending])

  if (!value) return <Awaited problem={problem} />
  const { status, url, details, expiresAt } = value
  return (
    <Card title={value.description}>
      <p class="billing-big">{priceOf(value)}</p>
      <p role="status" class={`billing-${status}`}>
        {t(`billing:status_${status}`)}
      </p>
      <p>{t(`billing:meaning_${status}`)}</p>
      <p class="quiet">
        {t(`billing:by_${value.provider}`)} · {formatDateTime(value.createdAt)}
      </p>
      {isPending && expiresAt && <p class="quiet">{t('billing:payUntil', { when: formatDateTime(expiresAt) })}</p>}
      {isPending && url && isOpenable(url) && (
        <p>
          <a class="button button-primary" href={url} rel="noreferrer">
            {t('billing:pay')}
          </a>
        </p>
      )}
      {isPending && details && <Instructions details={details} />}
      <p>
        <a href="/settings/payments" onClick={followLink}>
          {t('billing:allPayments')}
        </a>
      </p>
    </Card>
  )
}

/** What a payer types by hand who has no link. */
function Instructions({ details: { address, comment, nanoton } }: { details: Record<string, string> }) {
  const lines = [
    { name: t('billing:tonAddress'), value: address },
    { name: t('billing:tonComment'), value: comment },
    { name: t('billing:tonAmount'), value: nanoton && String(Number(nanoton) / 1_000_000_000) },
  ]
  return (
    <>
      <p>{t('billing:byHand')}</p>
      <dl class="billing-lines">
        {lines.map(
          ({ name, value }) =>
            value && (
              <div key={name}>
                <dt>{name}</dt>
                <dd>
                  <code>{value}</code>
                  <CopyButton text={value} label={name} />
                </dd>
              </div>
            ),
        )}
      </dl>
    </>
  )
}
