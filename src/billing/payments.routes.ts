import { notFound } from '../kernel/errors.ts'
import { operation, publicOperation, type Route } from '../kernel/operation.ts'
import type { Tbank, TelegramStars } from '../kernel/payment-ports.ts'
import type { createCheckout } from './checkout.service.ts'
import { paymentsContract as contract } from './payments.contract.ts'
import type { Payments } from './payments.service.ts'
import type { ProviderEvents } from './provider-events.ts'

interface Services {
  checkout: ReturnType<typeof createCheckout>
  payments: Payments
  providerEvents: ProviderEvents
  /** Absent where it is not configured. */
  tbank: Tbank | undefined
  stars: TelegramStars | undefined
}

const telegramHeaders = { 'X-Telegram-Bot-Api-Secret-Token': 'What the bot was given as `secret_token`.' }

/** Packs, payments and the webhooks of their providers on their REST addresses. */
export function paymentsRoutes({ checkout, payments, providerEvents, tbank, stars }: Services): Route[] {
  const packs = publicOperation('credits:packs', contract['credits:packs'], checkout.packs, 'read')

  const begin = operation('credits:checkout', contract['credits:checkout'], checkout.checkout, 'checkout')

  const list = operation(
    'payment:list',
    contract['payment:list'],
    (input, { actor }) => payments.list(actor.userId, input),
    'account',
  )

  const get = operation(
    'payment:get',
    contract['payment:get'],
    ({ paymentId }, { actor }) => payments.get(actor.userId, paymentId),
    'account',
  )

  const refund = operation('staff:refund-payment', contract['staff:refund-payment'], payments.refund, 'staff', 'admin')

  const tbankWebhook = publicOperation(
    'webhook:tbank',
    contract['webhook:tbank'],
    async (_input, { request }) => {
      if (!tbank) throw notFound('address')
      await providerEvents.receive('tbank', [tbank.receive(request?.rawBody ?? Buffer.alloc(0))])
      return 'OK' as const
    },
    'webhook',
  )

  const telegramWebhook = publicOperation(
    'webhook:telegram',
    contract['webhook:telegram'],
    async (_input, { request }) => {
      if (!stars) throw notFound('address')
      const secret = request?.header('x-telegram-bot-api-secret-token')
      const { event, preCheckout } = stars.receive(request?.rawBody ?? Buffer.alloc(0), secret)
      if (event) await providerEvents.receive('stars', [event])
      if (!preCheckout) return {}
      const refusal = await checkout.refusalOf(preCheckout)
      const answer = { method: 'answerPreCheckoutQuery', pre_checkout_query_id: preCheckout.queryId } as const
      return { ...answer, ok: refusal === undefined, ...(refusal !== undefined && { error_message: refusal }) }
    },
    'webhook',
  )

  return [
    { method: 'get', path: '/credits/packs', operation: packs, tag: 'billing' },
    { method: 'post', path: '/credits/checkout', operation: begin, status: 201, idempotent: true, tag: 'billing' },
    { method: 'get', path: '/billing/payments', operation: list, tag: 'billing' },
    { method: 'get', path: '/billing/payments/:paymentId', operation: get, tag: 'billing' },
    { method: 'post', path: '/admin/payments/:paymentId/refund', operation: refund, idempotent: true, tag: 'admin' },
    {
      ...{ method: 'post', path: '/webhooks/tbank', operation: tbankWebhook, tag: 'webhooks' },
      ...{ body: 'raw', produces: 'text/plain' },
    },
    {
      method: 'post',
      path: '/webhooks/telegram',
      operation: telegramWebhook,
      body: 'raw',
      headers: telegramHeaders,
      tag: 'webhooks',
    },
  ]
}
