import { Check } from 'lucide'
import { useState } from 'preact/hooks'
import type { Plan, Subscription } from '../../../src/client/index.ts'
import { formatDay, formatNumber, t } from '../i18n.ts'
import { Button } from '../ui/button.tsx'
import { ConfirmButton } from '../ui/confirm.tsx'
import { Choice } from '../ui/field.tsx'
import { Icon } from '../ui/icon.tsx'
import { Problem, useSending } from '../ui/problem.tsx'
import { priceOf } from './money.ts'
import { isOngoing, isUpwards, type Offer } from './subscription.ts'

interface PlanCardsOptions {
  plans: readonly Plan[]
  /** The code of the plan that one has. */
  current: string
  subscription: Subscription
  /** Whether plans can be bought on this server. */
  isOpen: boolean
  onChoose(offer: Offer): Promise<void>
}

/** The plans side by side, by month or by year. */
export function PlanCards({ plans, current, subscription, isOpen, onChoose }: PlanCardsOptions) {
  const [period, setPeriod] = useState<Offer['period']>(subscription.period ?? 'monthly')
  const { problem, isBusy, send } = useSending({
    unprocessable: t('billing:notSetUp'),
    conflict: t('billing:planConflict'),
  })
  const periods = (['monthly', 'yearly'] as const).map((id) => ({ id, name: t(`billing:${id}`) }))

  /** What can be done about a plan; nothing about the one that one has, nor about the free one: that is by ending. */
  function action(plan: Plan) {
    const offer = { plan: plan.code, period }
    const from = { plan: subscription.plan, period: subscription.period ?? 'monthly' }
    const isOn = isOngoing(subscription)
    if (isOn && from.plan === offer.plan && from.period === offer.period) return null
    if (!isOpen || plan.priceMonthly.amount === 0) return null
    if (!isOn)
      return (
        <Button kind="primary" disabled={isBusy} onPress={() => send(() => onChoose(offer))}>
          {t('billing:subscribe')}
        </Button>
      )
    const isUp = isUpwards(plans, from, offer)
    const when = subscription.currentPeriodEnd ? formatDay(subscription.currentPeriodEnd) : ''
    return (
      <ConfirmButton
        kind="plain"
        label={isUp ? t('billing:upgrade') : t('billing:change')}
        question={
          isUp
            ? t('billing:upgradeQuestion', { plan: plan.name })
            : t('billing:changeQuestion', { plan: plan.name, when })
        }
        disabled={subscription.autoRenew === false || subscription.status !== 'active'}
        onConfirm={() => onChoose(offer)}
      />
    )
  }

  return (
    <section class="billing-plans" aria-label={t('billing:plans')}>
      <Choice<Offer['period']> label={t('billing:period')} value={period} of={periods} onValue={setPeriod} />
      <Problem text={problem} />
      <ul>
        {plans.map((plan) => (
          <li key={plan.code} class={plan.code === current ? 'billing-plan billing-current' : 'billing-plan'}>
            <h3>{plan.name}</h3>
            <p class="billing-price">
              {plan.priceMonthly.amount === 0
                ? t('billing:free')
                : t(`billing:per_${period}`, {
                    price: priceOf(period === 'monthly' ? plan.priceMonthly : plan.priceYearly),
                  })}
            </p>
            <ul class="billing-gives">
              <li>
                <Icon of={Check} size={16} />
                {plan.tokensPerWindow === undefined
                  ? t('billing:noLimit')
                  : t('billing:perWindow', { tokens: formatNumber(plan.tokensPerWindow), count: plan.windowHours })}
              </li>
              {plan.monthlyCredits > 0 && (
                <li>
                  <Icon of={Check} size={16} />
                  {t('billing:monthlyCredits', {
                    count: plan.monthlyCredits,
                    credits: formatNumber(plan.monthlyCredits),
                  })}
                </li>
              )}
            </ul>
            {plan.code === current && <p class="settings-good">{t('billing:current')}</p>}
            {action(plan)}
          </li>
        ))}
      </ul>
    </section>
  )
}
