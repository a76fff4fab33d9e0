import { timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { AppError } from '../kernel/errors.ts'
import type { TelegramStars } from '../kernel/payment-ports.ts'
import { callJson, jsonIn, upstreamFailed } from './upstream.ts'

const service = 'Telegram'
const maxTitle = 32
const maxDescription = 255

interface StarsOptions {
  botToken: string
  /** What `setWebhook` was given as `secret_token`. */
  webhookSecret: string
  /** Without a slash at its end. */
  apiUrl: string
  timeoutMs?: number
}

/** The bot's id of a person: a 64-bit integer of at most 52 significant bits. */
const person = z.looseObject({ id: z.int() })
const paid = {
  currency: z.string(),
  total_amount: z.int(),
  invoice_payload: z.string(),
}
const charge = z.object({ ...paid, telegram_payment_charge_id: z.string() })

/** Of an update, what payments need; texts that people write to the bot are nobody's business here. */
const update = z.object({
  update_id: z.int(),
  pre_checkout_query: z.looseObject({ id: z.string(), ...paid }).optional(),
  message: z
    .object({
      from: person.optional(),
      chat: person.optional(),
      successful_payment: charge.optional(),
      refunded_payment: charge.optional(),
    })
    .optional(),
})

const stored = z.object({ charge, userId: z.int().optional() })

/**
 * Payments in Telegram Stars (https://core.telegram.org/bots/payments-stars): a link to an invoice whose payload is our
 * payment's id. Telegram asks before it takes the Stars, and says by messages to the bot that it has.
 */
export function createTelegramStars({ botToken, webhookSecret, apiUrl, timeoutMs }: StarsOptions): TelegramStars {
  /** @throws AppError upstream_failed, with what Telegram said of it for the log */
  async function call(method: string, parameters: object): Promise<unknown> {
    const answer = await callJson(service, `${apiUrl}/bot${botToken}/${method}`, { body: parameters, timeoutMs })
    if (answer.ok === true) return answer.result
    throw upstreamFailed(service, new Refusal(String(answer.description)))
  }

  return {
    name: 'stars',
    currency: 'XTR',

    async begin({ paymentId, amount, description }) {
      const link = await call('createInvoiceLink', {
        title: description.slice(0, maxTitle),
        description: description.slice(0, maxDescription),
        payload: paymentId,
        provider_token: '',
        currency: 'XTR',
        prices: [{ label: description, amount }],
      })
      const { data } = z.url().safeParse(link)
      if (data === undefined) throw upstreamFailed(service, new Error('it gave no link'))
      return { url: data }
    },

    async refund({ providerPaymentId, details }) {
      try {
        await call('refundStarPayment', {
          user_id: details['telegram_user_id'],
          telegram_payment_charge_id: providerPaymentId,
        })
      } catch (error) {
        const { cause } = error as AppError
        if (!(cause instanceof Refusal && cause.message.includes('CHARGE_ALREADY_REFUNDED'))) throw error
      }
      return 'refunded'
    },

    receive(body, secret) {
      if (!isSame(secret, webhookSecret))
        throw new AppError('unauthenticated', 'The secret is not the one of this webhook.')
      const { data, error } = update.safeParse(jsonIn(body))
      if (error) throw new AppError('invalid_request', 'This is not an update.')
      const { update_id, pre_checkout_query: query, message } = data
      if (query) {
        const { id, invoice_payload, total_amount, currency } = query
        return { preCheckout: { queryId: id, paymentId: invoice_payload, amount: total_amount, currency } }
      }
      const charge = message?.successful_payment ?? message?.refunded_payment
      if (!charge) return {}
      const type = message?.successful_payment ? 'successful_payment' : 'refunded_payment'
      const userId = message?.from?.id ?? message?.chat?.id
      return { event: { id: String(update_id), type, payload: { charge, userId } } }
    },

    interpret({ type, payload }) {
      const { charge, userId } = stored.parse(payload)
      return {
        paymentId: charge.invoice_payload,
        providerPaymentId: charge.telegram_payment_charge_id,
        outcome: type === 'successful_payment' ? 'succeeded' : 'refunded',
        amount: charge.total_amount,
        currency: charge.currency,
        ...(type === 'successful_payment' && {
          details: {
            telegram_user_id: userId,
            telegram_charge_id: charge.telegram_payment_charge_id,
            stars_amount: charge.total_amount,
          },
        }),
      }
    },
  }
}

/** Telegram understood the request, and refused it. */
class Refusal extends Error {}

function isSame(given: string | undefined, expected: string): boolean {
  const [left, right] = [Buffer.from(given ?? ''), Buffer.from(expected)]
  return left.length === right.length && timingSafeEqual(left, right)
}
