import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { startUpstream, type Upstream } from './upstream.ts'

interface Invoice {
  payload: string
  amount: number
}

/** What Telegram can say of a payment, as bodies of the webhook. Ids of updates count up. */
export interface TelegramStandIn extends Upstream {
  /** Leads a server here. */
  env: Record<string, string>
  botToken: string
  secret: string
  /** By their links. */
  invoices: Map<string, Invoice>
  /** Asks before the payment of an invoice. */
  preCheckout(payload: string, changes?: Record<string, unknown>): string
  /** Tells that somebody has paid. */
  paid(payload: string, changes?: Record<string, unknown>): { update: string; chargeId: string }
  /** Tells that somebody was given the Stars back. */
  refunded(payload: string, chargeId: string): string
  /** Anything else that people do with a bot. */
  chatter(text: string): string
}

const payer = { id: 5_123_456_789, is_bot: false, first_name: 'Ann', language_code: 'en' }

/** A stand-in for the part of Telegram's Bot API that the server uses: createInvoiceLink and refundStarPayment. */
export async function startTelegram(): Promise<TelegramStandIn> {
  const botToken = `123456789:${'A'.repeat(35)}`
  const secret = randomBytes(24).toString('base64url')
  const invoices = new Map<string, Invoice>()
  const charges = new Map<string, 'paid' | 'refunded'>()
  let updates = 900_000_000

  const refusal = (description: string, status = 400) => ({
    status,
    body: { ok: false, error_code: status, description },
  })

  function createInvoiceLink(fields: Record<string, unknown>) {
    const { title, description, payload, provider_token, currency, prices } = fields
    const sized = (text: unknown, max: number) => typeof text === 'string' && text.length >= 1 && text.length <= max
    if (!sized(title, 32)) return refusal('Bad Request: title is invalid')
    if (!sized(description, 255)) return refusal('Bad Request: description is invalid')
    if (!sized(payload, 128)) return refusal('Bad Request: payload is invalid')
    if (currency !== 'XTR' || provider_token !== '') return refusal('Bad Request: CURRENCY_INVALID')
    const [price, ...more] = prices as { label: string; amount: number }[]
    if (!price || more.length > 0 || !Number.isInteger(price.amount))
      return refusal('Bad Request: STARS_INVOICE_INVALID')
    const link = `https://t.me/$${randomBytes(12).toString('base64url')}`
    invoices.set(link, { payload: String(payload), amount: price.amount })
    return { body: { ok: true, result: link } }
  }

  function refundStarPayment({ user_id, telegram_payment_charge_id }: Record<string, unknown>) {
    const state = charges.get(String(telegram_payment_charge_id))
    if (!state || user_id !== payer.id) return refusal('Bad Request: CHARGE_NOT_FOUND')
    if (state === 'refunded') return refusal('Bad Request: CHARGE_ALREADY_REFUNDED')
    charges.set(String(telegram_payment_charge_id), 'refunded')
    return { body: { ok: true, result: true } }
  }

  const upstream = await startUpstream(({ path, body }) => {
    if (!path.startsWith(`/bot${botToken}/`)) return refusal('Unauthorized', 401)
    const method = path.split('/').at(-1)
    if (method === 'createInvoiceLink') return createInvoiceLink(body)
    if (method === 'refundStarPayment') return refundStarPayment(body)
    return refusal('Not Found', 404)
  })

  const update = (fields: object): string => JSON.stringify({ update_id: updates++, ...fields })

  const message = (fields: object) => ({
    message: { message_id: 7, from: payer, chat: { ...payer, type: 'private' }, date: 1_790_000_000, ...fields },
  })

  const amountOf = (payload: string): number => {
    const invoice = [...invoices.values()].find((one) => one.payload === payload)
    assert.ok(invoice, `no invoice for ${payload}`)
    return invoice.amount
  }

  return {
    ...upstream,
    env: {
      ...{ TELEGRAM_BOT_TOKEN: botToken, TELEGRAM_WEBHOOK_SECRET: secret },
      TELEGRAM_API_URL: upstream.url,
    },
    botToken,
    secret,
    invoices,
    preCheckout: (payload, changes = {}) =>
      update({
        pre_checkout_query: {
          ...{
            id: '21985123',
            from: payer,
            currency: 'XTR',
            total_amount: amountOf(payload),
            invoice_payload: payload,
          },
          ...changes,
        },
      }),
    paid(payload, changes = {}) {
      const chargeId = `stx${randomBytes(16).toString('hex')}`
      charges.set(chargeId, 'paid')
      const successful_payment = {
        ...{ currency: 'XTR', total_amount: amountOf(payload), invoice_payload: payload },
        ...{ telegram_payment_charge_id: chargeId, provider_payment_charge_id: `${payer.id}_0` },
        ...changes,
      }
      return { update: update(message({ successful_payment })), chargeId }
    },
    refunded(payload, chargeId) {
      charges.set(chargeId, 'refunded')
      const refunded_payment = {
        ...{ currency: 'XTR', total_amount: amountOf(payload), invoice_payload: payload },
        ...{ telegram_payment_charge_id: chargeId },
      }
      return update(message({ refunded_payment }))
    },
    chatter: (text) => update(message({ text })),
  }
}
