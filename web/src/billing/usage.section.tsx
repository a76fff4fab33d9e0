import './billing.css'
import type { Model, Storage, UsageReport } from '../../../src/client/index.ts'
import { Card } from '../account/card.tsx'
import { formatBytes, formatDateTime, formatNumber, t } from '../i18n.ts'
import { followLink } from '../router.ts'
import { attempt } from '../state/toasts.ts'
import { Toggle } from '../ui/field.tsx'
import { Awaited, useFetched } from '../ui/pages.tsx'
import { Gauge } from './quota-meter.tsx'
import { Scroll } from './scroll.tsx'
import { daysOf, sharesOf } from './usage.ts'
import { UsageChart } from './usage-chart.tsx'
import { setOverage, tokenWindow, wallet } from './wallet.ts'

/** What is left of the quota, what was used lately, and the room for files. */
export function UsageSection() {
  return (
    <>
      <Quota />
      <ByDay />
      <ByModel />
      <Room />
    </>
  )
}

function Quota() {
  const window = tokenWindow()
  if (!window || !wallet.value)
    return (
      <Card title={t('billing:tokens')}>
        <Awaited problem={undefined} />
      </Card>
    )
  const { limit, used, remaining, resetAt } = window
  return (
    <Card title={t('billing:tokens')}>
      {limit === undefined || remaining === undefined ? (
        <p class="billing-big">{t('billing:noLimit')}</p>
      ) : (
        <>
          <p class="billing-big">{t('billing:tokensLeft', { count: remaining, tokens: formatNumber(remaining) })}</p>
          <Gauge part={limit > 0 ? remaining / limit : 0} />
          <p class="quiet">{t('billing:usedOf', { used: formatNumber(used), limit: formatNumber(limit) })}</p>
        </>
      )}
      {remaining === 0 && !wallet.value.overageEnabled && (
        <p class="settings-note" role="status">
          {t('billing:usedUp')}
          <a href="/settings/plan" onClick={followLink}>
            {t('billing:plans')}
          </a>
        </p>
      )}
      <p class="quiet">{resetAt ? t('billing:resetsAt', { when: formatDateTime(resetAt) }) : t('billing:notBegun')}</p>
      <Toggle
        label={t('billing:overage')}
        isOn={wallet.value.overageEnabled}
        onValue={(isOn) => void attempt(() => setOverage(isOn))}
      />
      <p class="field-hint">{t('billing:overageHint')}</p>
    </Card>
  )
}

function ByDay() {
  const { value, problem } = useFetched<UsageReport>('/v1/me/usage?groupBy=day', wallet.value?.tokens.used)
  if (!value)
    return (
      <Card title={t('billing:byDay')}>
        <Awaited problem={problem} />
      </Card>
    )
  const { runs, inputTokens, outputTokens, credits } = value.total
  const figures = [
    [t('billing:runs'), runs],
    [t('billing:input'), inputTokens],
    [t('billing:output'), outputTokens],
    [t('billing:credits'), credits],
  ] as const
  return (
    <Card title={t('billing:byDay')} hint={t('billing:zone', { zone: value.timezone.replaceAll('_', ' ') })}>
      <dl class="billing-figures">
        {figures.map(([name, figure]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{formatNumber(figure)}</dd>
          </div>
        ))}
      </dl>
      <UsageChart days={daysOf(value)} />
    </Card>
  )
}

function ByModel() {
  const { value, problem } = useFetched<UsageReport>('/v1/me/usage?groupBy=model', wallet.value?.tokens.used)
  const models = useFetched<{ items: Model[] }>('/v1/models').value?.items ?? []
  const nameOf = (id: string | undefined): string => models.find((model) => model.id === id)?.label ?? id ?? ''
  return (
    <Card title={t('billing:byModel')}>
      {!value && <Awaited problem={problem} />}
      {value?.items.length === 0 && <p class="quiet">{t('billing:noUsage')}</p>}
      {value && value.items.length > 0 && (
        <Scroll label={t('billing:byModel')}>
          <table class="billing-table">
            <thead>
              <tr>
                <th scope="col">{t('billing:model')}</th>
                <th scope="col">{t('billing:share')}</th>
                <th scope="col">{t('billing:tokenCount')}</th>
                <th scope="col">{t('billing:runs')}</th>
                <th scope="col">{t('billing:credits')}</th>
              </tr>
            </thead>
            <tbody>
              {sharesOf(value.items).map(({ item, tokens, part }) => (
                <tr key={item.modelId}>
                  <th scope="row">{nameOf(item.modelId)}</th>
                  <td>
                    <svg class="billing-share" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
                      <rect width={part * 100} height={8} rx={2} />
                    </svg>
                    <span class="unseen">{t('billing:percent', { percent: Math.round(part * 100) })}</span>
                  </td>
                  <td>{formatNumber(tokens)}</td>
                  <td>{formatNumber(item.runs)}</td>
                  <td>{formatNumber(item.credits)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
    </Card>
  )
}

function Room() {
  const { value, problem } = useFetched<Storage>('/v1/me/storage')
  return (
    <Card title={t('billing:storage')}>
      {value ? (
        <>
          <meter
            class="billing-meter"
            aria-label={t('billing:storage')}
            value={value.usedBytes}
            max={Math.max(1, value.quotaBytes)}
          />
          <p class="quiet">
            {t('billing:usedOf', { used: formatBytes(value.usedBytes), limit: formatBytes(value.quotaBytes) })}
          </p>
        </>
      ) : (
        <Awaited problem={problem} />
      )}
    </Card>
  )
}
