import type { Clock } from '../kernel/clock.ts'
import { notFound } from '../kernel/errors.ts'
import { operation, publicOperation, type Route } from '../kernel/operation.ts'
import type { SubscriptionProvider } from '../kernel/ports.ts'
import type { ProviderEvents } from './provider-events.ts'
import { storedEvent } from './stripe-events.ts'
import { subscriptionsContract as contract } from './subscriptions.contract.ts'
import type { Subscriptions } from './subscriptions.service.ts'

interface Services {
  subscriptions: Subscriptions
  providerEvents: ProviderEvents
  /** Absent where it is not configured. */
  provider: SubscriptionProvider | undefined
  clock: Clock
}

const stripeHeaders = { 'Stripe-Signature': 'Of the time and the body, by the secret of the webhook.' }

/** Subscriptions and Stripe's webhook on their REST addresses. */
export function subscriptionsRoutes({ subscriptions, providerEvents, provider, clock }: Services): Route[] {
  const checkout = operation('billing:checkout', contract['billing:checkout'], subscriptions.checkout, 'checkout')

  const get = operation(
    'subscription:get',
    contract['subscription:get'],
    (_input, { actor }) => subscriptions.get(actor.userId),
    'account',
  )

  const cancel = operation(
    'subscription:cancel',
    contract['subscription:cancel'],
    (_input, { actor }) => subscriptions.cancel(actor.userId),
    'checkout',
  )

  const resume = operation(
    'subscription:resume',
    contract['subscription:resume'],
    (_input, { actor }) => subscriptions.resume(actor.userId),
    'checkout',
  )

  const change = operation('subscription:change', contract['subscription:change'], subscriptions.change, 'checkout')

  const history = operation(
    'subscription:history',
    contract['subscription:history'],
    (input, { actor }) => subscriptions.history(actor.userId, input),
    'account',
  )

  const portal = operation(
    'billing:portal',
    contract['billing:portal'],
    (_input, { actor }) => subscriptions.portal(actor.userId),
    'checkout',
  )

  const webhook = publicOperation(
    'webhook:stripe',
    contract['webhook:stripe'],
    async (_input, { request }) => {
      if (!provider) throw notFound('address')
      const event = provider.readEvent(
        request?.rawBody ?? Buffer.alloc(0),
        request?.header('stripe-signature'),
        clock(),
      )
      if (event) await providerEvents.receive('stripe', [storedEvent(event)])
      return {}
    },
    'webhook',
  )

  const tag = 'billing'
  return [
    { method: 'post', path: '/billing/checkout', operation: checkout, status: 201, idempotent: true, tag },
    { method: 'get', path: '/billing/subscription', operation: get, tag },
    { method: 'post', path: '/billing/subscription/cancel', operation: cancel, tag },
    { method: 'post', path: '/billing/subscription/resume', operation: resume, tag },
    { method: 'post', path: '/billing/subscription/change', operation: change, idempotent: true, tag },
    { method: 'get', path: '/billing/subscription/history', operation: history, tag },
    { method: 'post', path: '/billing/portal', operation: portal, tag },
    {
      method: 'post',
      path: '/webhooks/stripe',
      operation: webhook,
      body: 'raw',
      headers: stripeHeaders,
      tag: 'webhooks',
    },
  ]
}
