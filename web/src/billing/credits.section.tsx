import './billing.css'
import { useState } from 'preact/hooks'
import type { CreditTransaction } from '../../../src/client/index.ts'
import { Card } from '../account/card.tsx'
import { formatDateTime, formatDay, formatNumber, t } from '../i18n.ts'
import { Button } from '../ui/button.tsx'
import { Awaited, PagesEnd, useFetched, usePages } from '../ui/pages.tsx'
import { Packs } from './packs.tsx'
import { wallet } from './wallet.ts'

type Type = CreditTransaction['type']
/** What `GET /v1/credits/explain` gives: the sums that make the balance. */
interface Explanation {
  balance: number
  lines: { type: Type; count: number; amount: number }[]
}

const signed = (amount: number): string => (amount > 0 ? `+${formatNumber(amount)}` : formatNumber(amount))

/** The credits that one has, how they came and went, and where there are more. */
export function CreditsSection() {
  return (
    <>
      <Balance />
      <Packs />
      <History />
    </>
  )
}

function Balance() {
  const [isExplained, setExplained] = useState(false)
  const held = wallet.value
  if (!held)
    return (
      <Card title={t('billing:balance')}>
        <Awaited problem={undefined} />
      </Card>
    )
  const { period } = held
  return (
    <Card title={t('billing:balance')}>
      <p class="billing-big">
        {t('billing:creditsLeft', { count: held.available, credits: formatNumber(held.available) })}
      </p>
      {held.held > 0 && (
        <p class="quiet">{t('billing:held', { count: held.held, credits: formatNumber(held.held) })}</p>
      )}
      {period && (
        <p class="quiet">
          {t('billing:ofMonth', {
            used: formatNumber(period.creditsUsed),
            given: formatNumber(period.creditsAllocated),
            when: formatDay(period.end),
          })}
        </p>
      )}
      <p class="quiet">{t('billing:lifetime', { credits: formatNumber(held.lifetimeCredits) })}</p>
      <Button aria-expanded={isExplained} onPress={() => setExplained(!isExplained)}>
        {t('billing:explain')}
      </Button>
      {isExplained && <Explained version={held.credits} />}
    </Card>
  )
}

/** The sums of the ledger that make the balance. */
function Explained({ version }: { version: number }) {
  const { value, problem } = useFetched<Explanation>('/v1/credits/explain', version)
  if (!value) return <Awaited problem={problem} />
  return (
    <table class="billing-table">
      <caption class="unseen">{t('billing:explain')}</caption>
      <thead>
        <tr>
          <th scope="col">{t('billing:what')}</th>
          <th scope="col">{t('billing:times')}</th>
          <th scope="col">{t('billing:credits')}</th>
        </tr>
      </thead>
      <tbody>
        {value.lines.map(({ type, count, amount }) => (
          <tr key={type}>
            <th scope="row">{t(`billing:type_${type}`)}</th>
            <td>{formatNumber(count)}</td>
            <td>{signed(amount)}</td>
          </tr>
        ))}
      </tbody>
      <tfoot>
        <tr>
          <th scope="row">{t('billing:balance')}</th>
          <td />
          <td>{formatNumber(value.balance)}</td>
        </tr>
      </tfoot>
    </table>
  )
}

function History() {
  const pages = usePages<CreditTransaction>('/v1/credits/transactions', wallet.value?.credits)
  return (
    <Card title={t('billing:ledger')}>
      <ul class="settings-rows">
        {pages.items?.map(({ id, type, amount, balanceAfter, description, createdAt }) => (
          <li key={id}>
            <span class="settings-main">
              <strong>{t(`billing:type_${type}`)}</strong>
              {description && <span dir="auto">{description}</span>}
              <span class="quiet">{formatDateTime(createdAt)}</span>
            </span>
            <span class="billing-amount">
              <strong class={amount > 0 ? 'billing-plus' : ''}>{signed(amount)}</strong>
              <span class="quiet">{t('billing:after', { balance: formatNumber(balanceAfter) })}</span>
            </span>
          </li>
        ))}
      </ul>
      <PagesEnd of={pages} empty={t('billing:noLedger')} />
    </Card>
  )
}
