import './billing.css'
import { formatNumber, formatShort, t } from '../i18n.ts'
import { followLink } from '../router.ts'
import { compact } from './compact.ts'
import { tokenWindow, wallet } from './wallet.ts'

/** Below this part of the limit what is left is shown as little. */
const lowPart = 0.1

/** In short: how many tokens of the window are left, when it ends, and the credits; leads to the usage. */
export function QuotaMeter() {
  const window = tokenWindow()
  if (!window || !wallet.value) return null
  const { limit, remaining, resetAt } = window
  const credits = t('billing:creditsLeft', {
    count: wallet.value.available,
    credits: formatNumber(wallet.value.available),
  })
  const left =
    limit === undefined || remaining === undefined
      ? t('billing:noLimit')
      : t('billing:tokensLeft', { count: remaining, tokens: compact(remaining, 'floor') })
  const until = resetAt ? t('billing:resetsAt', { when: formatShort(resetAt) }) : t('billing:notBegun')
  return (
    <a class="billing-quota" href="/settings/usage" onClick={followLink} title={`${left} · ${until} · ${credits}`}>
      {limit !== undefined && remaining !== undefined && <Gauge part={limit > 0 ? remaining / limit : 0} />}
      <span>{left}</span>
      {resetAt && <span class="quiet billing-aside">{until}</span>}
      <span class="quiet billing-aside">{credits}</span>
    </a>
  )
}

/** How much is left, as a bar. Decoration: the words beside it say it. */
export function Gauge({ part }: { part: number }) {
  const shown = Math.min(1, Math.max(0, part))
  return (
    <span class={shown < lowPart ? 'billing-gauge billing-low' : 'billing-gauge'} aria-hidden="true">
      <span style={{ inlineSize: `${shown * 100}%` }} />
    </span>
  )
}
