import { createHash, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { AppError } from '../kernel/errors.ts'
import type { PaymentReport, Tbank } from '../kernel/payment-ports.ts'
import { callJson, jsonIn, upstreamFailed } from './upstream.ts'

const service = 'T-Bank'
const maxDescription = 140

interface TbankOptions {
  terminalKey: string
  password: string
  /** Without a slash at its end. */
  apiUrl: string
  /** Where the bank reports to; absent: where the terminal's settings say. */
  notificationUrl: string | undefined
  timeoutMs?: number
}

/** Ids are numbers in some messages and texts in others. */
const name = z.union([z.string(), z.int()]).transform(String)

/** Of a notification, what we look at. */
const notification = z.looseObject({
  TerminalKey: z.string(),
  OrderId: name,
  PaymentId: name,
  Status: z.string(),
  Amount: z.int().min(0).optional(),
})

const begun = z.looseObject({ Success: z.literal(true), PaymentId: name, PaymentURL: z.url() })
const cancelled = z.looseObject({ Success: z.literal(true), Status: z.string() })

/** What the bank's states mean to us; all others are only noted. */
const outcomes: Record<string, PaymentReport['outcome']> = {
  CONFIRMED: 'succeeded',
  REJECTED: 'failed',
  CANCELED: 'cancelled',
  REVERSED: 'cancelled',
  DEADLINE_EXPIRED: 'cancelled',
  REFUNDED: 'refunded',
}

/**
 * T-Bank's acquiring, API v2 (https://developer.tbank.ru/eacq/api), one-stage payments on the bank's own page. The bank knows
 * our payment as `OrderId`; it may make several `PaymentId`s of one, of which people are only ever shown the last.
 */
export function createTbank({ terminalKey, password, apiUrl, notificationUrl, timeoutMs }: TbankOptions): Tbank {
  const call = (method: string, parameters: Record<string, unknown>) => {
    const signed = { TerminalKey: terminalKey, ...parameters }
    return callJson(service, `${apiUrl}/${method}`, {
      body: { ...signed, Token: tbankToken(signed, password) },
      timeoutMs,
    })
  }

  return {
    name: 'tbank',
    currency: 'RUB',

    async begin({ paymentId, amount, description, customer, returnUrl, expiresAt }) {
      const answer = await call('Init', {
        OrderId: paymentId,
        Amount: amount,
        Description: description.slice(0, maxDescription),
        PayType: 'O',
        RedirectDueDate: `${expiresAt.toISOString().slice(0, 19)}+00:00`,
        SuccessURL: returnUrl,
        FailURL: returnUrl,
        ...(notificationUrl && { NotificationURL: notificationUrl }),
        ...(customer.email && { DATA: { Email: customer.email } }),
      })
      const { data } = begun.safeParse(answer)
      if (!data) throw refusedBy(answer)
      return { providerPaymentId: data.PaymentId, url: data.PaymentURL }
    },

    async refund({ paymentId, providerPaymentId, amount }) {
      const answer = await call('Cancel', {
        PaymentId: providerPaymentId,
        Amount: amount,
        // a repetition is told what became of the first
        ExternalRequestId: `refund:${paymentId}`,
      })
      const { data } = cancelled.safeParse(answer)
      if (!data) throw refusedBy(answer)
      return data.Status === 'REFUNDED' ? 'refunded' : 'accepted'
    },

    receive(body) {
      const { data, error } = notification.safeParse(jsonIn(body))
      if (error) throw new AppError('invalid_request', 'This is not a notification.')
      if (data.TerminalKey !== terminalKey || !isToken(data['Token'], tbankToken(data, password)))
        throw new AppError('unauthenticated', 'The token is not the one of this notification.')
      // neither the signature nor what the bank says of the card is anything to keep
      const { Token, Pan, ExpDate, ...payload } = data
      const { PaymentId, Status, Amount } = data
      return { id: `${PaymentId}:${Status}${Amount === undefined ? '' : `:${Amount}`}`, type: Status, payload }
    },

    interpret({ payload }) {
      const { OrderId, PaymentId, Status, Amount } = notification.parse(payload)
      return {
        paymentId: OrderId,
        providerPaymentId: PaymentId,
        outcome: outcomes[Status] ?? 'noted',
        ...(Amount !== undefined && { amount: Amount }),
        currency: 'RUB',
        details: { [`tbank_${Status.toLowerCase()}`]: Amount ?? null },
      }
    },
  }
}

/**
 * The bank's signature: the values of all parameters at the root that are no objects, with the password among them, in the
 * order of their names, as SHA-256 in hex (https://developer.tbank.ru/eacq/intro/developer/token).
 */
export function tbankToken(parameters: Record<string, unknown>, password: string): string {
  const { Token, ...others } = parameters
  const values = Object.entries({ ...others, Password: password })
    .filter(([, value]) => value !== undefined && value !== null && typeof value !== 'object')
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, value]) => String(value))
  return createHash('sha256').update(values.join('')).digest('hex')
}

function isToken(given: unknown, expected: string): boolean {
  if (typeof given !== 'string') return false
  const [left, right] = [Buffer.from(given.toLowerCase()), Buffer.from(expected)]
  return left.length === right.length && timingSafeEqual(left, right)
}

/** The bank's own words are for whoever runs the server. */
const refusedBy = ({ ErrorCode, Message, Details }: Record<string, unknown>) =>
  upstreamFailed(service, new Error(`it refused: ${ErrorCode} ${Message} ${Details}`))
