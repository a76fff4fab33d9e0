import './billing.css'
import { useEffect, useState } from 'preact/hooks'
import {
  newClientId,
  type Pack,
  type Plan,
  type Subscription,
  type SubscriptionCheckout,
} from '../../../src/client/index.ts'
import { Card } from '../account/card.tsx'
import { formatDay, t } from '../i18n.ts'
import { client } from '../state/session.ts'
import { say } from '../state/toasts.ts'
import { Button } from '../ui/button.tsx'
import { ConfirmButton } from '../ui/confirm.tsx'
import { Awaited, useFetched } from '../ui/pages.tsx'
import { type Meanings, Problem, useSending } from '../ui/problem.tsx'
import { CheckoutReturn, checkoutOutcome } from './checkout-return.tsx'
import { PlanCards } from './plan-cards.tsx'
import { PlanHistory } from './plan-history.tsx'
import { isOngoing, type Offer } from './subscription.ts'
import { wallet } from './wallet.ts'

/** How often it is asked whether the payment provider has said something, after it led back here, in milliseconds. */
const lookMs = 4_000
const maxLooks = 8

/** The plan that one has, the others, and what becomes of the subscription. */
export function PlanSection() {
  const [version, setVersion] = useState(0)
  const [intent, setIntent] = useState(newClientId)
  const plans = useFetched<{ items: Plan[] }>('/v1/billing/plans')
  const packs = useFetched<{ items: Pack[] }>('/v1/credits/packs')
  const { value: subscription, problem: unread, set } = useFetched<Subscription>('/v1/billing/subscription', version)
  const { problem, isBusy, send } = useSending(meanings())

  useEffect(
    () => client.on('notification', ({ kind }) => kind === 'subscription' && setVersion((before) => before + 1)),
    [],
  )
  const isBack = location.pathname.startsWith('/billing') && checkoutOutcome() !== 'cancelled'
  useLooks(isBack, () => setVersion((before) => before + 1))

  if (!plans.value || !packs.value || !subscription)
    return <Awaited problem={plans.problem ?? packs.problem ?? unread} />

  const all = plans.value.items
  const nameOf = (code: string): string => all.find((plan) => plan.code === code)?.name ?? code
  // subscriptions are Stripe's: where it is not set up, no pack has a price there either
  const isOpen = packs.value.items.some(({ prices }) => prices.some(({ provider }) => provider === 'stripe'))

  const act = async (path: string, body: object = {}, options = {}): Promise<void> => {
    set(await client.rest.request<Subscription>('POST', `/v1/billing/subscription/${path}`, body, options))
    say(t('common:saved'))
    // what comes next is another thing, even where it is the same plan
    setIntent(newClientId())
  }
  const choose = async (offer: Offer): Promise<void> => {
    const options = { idempotencyKey: `${intent} ${offer.plan} ${offer.period}` }
    if (isOngoing(subscription)) return act('change', offer, options)
    const checkout = await client.rest.request<SubscriptionCheckout>('POST', '/v1/billing/checkout', offer, options)
    location.assign(checkout.url)
  }
  const openPortal = () =>
    send(async () =>
      location.assign((await client.rest.request<{ url: string }>('POST', '/v1/billing/portal', {})).url),
    )

  return (
    <>
      <CheckoutReturn isSettled={isOngoing(subscription)} />
      <Card title={t('billing:yourPlan')}>
        <p class="billing-big">{nameOf(wallet.value?.plan ?? subscription.plan)}</p>
        <State of={subscription} nameOf={nameOf} />
        <Problem text={problem} />
        <div class="settings-row">
          {subscription.next && isOngoing(subscription) && (
            <Button disabled={isBusy} onPress={() => send(() => act('change', stayOf(subscription)))}>
              {t('billing:takeBack')}
            </Button>
          )}
          {isOngoing(subscription) && subscription.autoRenew === false && (
            <Button kind="primary" disabled={isBusy} onPress={() => send(() => act('resume'))}>
              {t('billing:resume')}
            </Button>
          )}
          {isOngoing(subscription) && subscription.autoRenew !== false && (
            <ConfirmButton
              label={t('billing:cancel')}
              question={cancelQuestion(subscription)}
              onConfirm={() => act('cancel')}
            />
          )}
          {isOpen && subscription.status !== 'none' && (
            <Button disabled={isBusy} onPress={openPortal}>
              {t('billing:portal')}
            </Button>
          )}
        </div>
      </Card>
      {!isOpen && <p class="settings-note">{t('billing:noSubscriptions')}</p>}
      <PlanCards
        plans={all}
        current={wallet.value?.plan ?? 'basic'}
        subscription={subscription}
        isOpen={isOpen}
        onChoose={choose}
      />
      {subscription.status !== 'none' && <PlanHistory version={version} nameOf={nameOf} />}
    </>
  )
}

/** What refusals mean here. */
const meanings = (): Meanings => ({ unprocessable: t('billing:notSetUp'), conflict: t('billing:planConflict') })

const stayOf = ({ plan, period = 'monthly' }: Subscription): Offer => ({ plan, period })

const cancelQuestion = ({ status, currentPeriodEnd }: Subscription): string =>
  status === 'unpaid' || !currentPeriodEnd
    ? t('billing:cancelNow')
    : t('billing:cancelQuestion', { when: formatDay(currentPeriodEnd) })

/** Looks a few times: the provider tells the server by itself when something was paid, maybe after it led back here. */
function useLooks(isWanted: boolean, look: () => void): void {
  useEffect(() => {
    if (!isWanted) return
    let looks = 0
    const timer = setInterval(() => {
      look()
      if (++looks === maxLooks) clearInterval(timer)
    }, lookMs)
    return () => clearInterval(timer)
  }, [isWanted])
}

/** What becomes of the plan, in words. */
function State({ of: subscription, nameOf }: { of: Subscription; nameOf(code: string): string }) {
  const { status, currentPeriodEnd, graceEndsAt, autoRenew, next } = subscription
  const when = currentPeriodEnd ? formatDay(currentPeriodEnd) : ''
  if (status === 'past_due')
    return <p class="settings-due">{t('billing:pastDue', { until: graceEndsAt ? formatDay(graceEndsAt) : when })}</p>
  if (status === 'unpaid') return <p class="settings-due">{t('billing:unpaid')}</p>
  if (!isOngoing(subscription)) {
    const until = wallet.value?.planUntil
    return <p class="quiet">{until ? t('billing:until', { when: formatDay(until) }) : t('billing:noSubscription')}</p>
  }
  if (autoRenew === false) return <p class="settings-due">{t('billing:ends', { when })}</p>
  if (next) return <p>{t('billing:becomes', { when, plan: nameOf(next.plan) })}</p>
  return <p class="quiet">{t('billing:renews', { when })}</p>
}
