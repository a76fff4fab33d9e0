import { z } from 'zod'
import * as p from '../kernel/primitives.ts'
import { money } from './billing.contract.ts'

const provider = z.enum(['stripe', 'tbank', 'stars', 'ton'])

const price = money
  .extend({
    provider,
    amount: z.int().meta({ description: 'In the smallest unit: US cents, kopecks, Stars (XTR), nanoton.' }),
  })
  .meta({ id: 'Price' })

/** What can be bought once. */
export const pack = z
  .object({
    id: z.string(),
    kind: z.enum(['credits', 'photos']),
    name: z.string(),
    credits: z.int().optional(),
    photoCount: z.int().optional(),
    isPopular: z.boolean(),
    prices: z.array(price).meta({ description: 'One for each way to pay that this server has.' }),
  })
  .meta({ id: 'Pack' })

const instructions = z
  .record(z.string(), z.string())
  .meta({ description: 'What a payer types by hand who has no link: for TON `address`, `comment` and `nanoton`.' })

/** One's own payment. */
export const payment = money
  .extend({
    id: p.id,
    provider,
    purpose: z.enum(['subscription', 'credits', 'photos']),
    tierId: z.string().optional(),
    planCode: z.string().optional(),
    status: z.enum(['pending', 'succeeded', 'failed', 'cancelled', 'refunded']),
    description: z.string(),
    credits: z.int().optional(),
    photoCount: z.int().optional(),
    url: z.string().optional().meta({ description: 'Where to pay, while it is pending.' }),
    details: instructions.optional(),
    createdAt: p.timestamp,
    expiresAt: p.timestamp.optional().meta({ description: 'Until when to pay, while it is pending.' }),
    succeededAt: p.timestamp.optional(),
    refundedAt: p.timestamp.optional(),
  })
  .meta({ id: 'Payment' })

/** A payment as staff see it. */
const staffPayment = payment
  .extend({
    userId: p.id,
    providerPaymentId: z.string().optional(),
    providerDetails: z.record(z.string(), z.unknown()).meta({ description: 'What the provider has said of it.' }),
  })
  .meta({ id: 'StaffPayment' })

const tierId = p.text(64).min(1)

const examplePayment = {
  id: '0198c2d4-6f1e-7c33-9a55-2f6a3b1c4d5e',
  provider: 'tbank',
  purpose: 'credits',
  tierId: 'credits_5000',
  amount: 69900,
  currency: 'RUB',
  status: 'succeeded',
  description: '5,000 credits',
  credits: 5000,
  createdAt: '2026-11-21T14:00:00.000Z',
  succeededAt: '2026-11-21T14:02:11.000Z',
} as const

/** Operations of single payments, by their names. */
export const paymentsContract = {
  'credits:packs': {
    summary: 'Packs of credits and photos, with their prices by each way to pay',
    input: p.empty,
    output: z.object({ items: z.array(pack) }),
    errors: [],
    example: {
      input: {},
      output: {
        items: [
          {
            id: 'credits_5000',
            kind: 'credits',
            name: '5,000 credits',
            credits: 5000,
            isPopular: true,
            prices: [{ provider: 'tbank', amount: 69900, currency: 'RUB' }],
          },
        ],
      },
    },
  },
  'credits:checkout': {
    summary: 'Begin a payment for a pack; what it buys is there once the provider says that it is paid',
    input: z.strictObject({ tierId, provider }),
    output: z
      .object({
        paymentId: p.id,
        url: z.string().meta({ description: 'Where to pay.' }),
        expiresAt: p.timestamp,
        details: instructions.optional(),
      })
      .meta({ id: 'Checkout' }),
    errors: ['not_found', 'conflict', 'idempotency_conflict', 'unprocessable', 'upstream_failed'],
    example: {
      input: { tierId: 'credits_5000', provider: 'ton' },
      output: {
        paymentId: examplePayment.id,
        url: 'ton://transfer/UQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAJKZ?amount=2800000000&text=7K2MQ0XW4ATB',
        expiresAt: '2026-11-22T14:00:00.000Z',
        details: {
          address: 'UQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAJKZ',
          comment: '7K2MQ0XW4ATB',
          nanoton: '2800000000',
        },
      },
    },
  },
  'payment:list': {
    summary: 'Your payments, newest first',
    input: z.strictObject({ cursor: p.cursor.optional(), limit: p.pageLimit(100, 30) }),
    output: z.object({ items: z.array(payment), nextCursor: p.nextCursor }),
    errors: [],
    example: { input: { limit: 30 }, output: { items: [examplePayment] } },
  },
  'payment:get': {
    summary: 'One of your payments',
    input: z.strictObject({ paymentId: p.id }),
    output: payment,
    errors: ['not_found'],
    example: { input: { paymentId: examplePayment.id }, output: examplePayment },
  },
  'staff:refund-payment': {
    summary: 'Give a payment back in full, and take back what is left of what it bought',
    input: z.strictObject({ paymentId: p.id }),
    output: staffPayment,
    errors: ['forbidden', 'not_found', 'conflict', 'idempotency_conflict', 'unprocessable', 'upstream_failed'],
    example: {
      input: { paymentId: examplePayment.id },
      output: {
        ...examplePayment,
        status: 'refunded',
        refundedAt: '2026-11-22T09:30:00.000Z',
        userId: '0198c2d4-0000-7c33-9a55-2f6a3b1c4d5e',
        providerPaymentId: '13660',
        providerDetails: { tbank_confirmed: 69900, tbank_refunded: 69900, shortfall_credits: 120 },
      },
    },
  },
  'webhook:tbank': {
    summary: "T-Bank's notifications, signed by the bank",
    input: p.empty,
    output: z.literal('OK'),
    errors: ['not_found', 'unauthenticated'],
    example: { input: {}, output: 'OK' },
  },
  'webhook:telegram': {
    summary: "The bot's updates; a question before a payment is answered by a method in the body",
    input: p.empty,
    output: z.object({
      method: z.literal('answerPreCheckoutQuery').optional(),
      pre_checkout_query_id: z.string().optional(),
      ok: z.boolean().optional(),
      error_message: z.string().optional(),
    }),
    errors: ['not_found', 'unauthenticated'],
    example: {
      input: {},
      output: { method: 'answerPreCheckoutQuery', pre_checkout_query_id: '1234567890', ok: true },
    },
  },
} as const

export type Pack = z.infer<typeof pack>
export type Payment = z.infer<typeof payment>
export type StaffPayment = z.infer<typeof staffPayment>
export type Checkout = z.infer<(typeof paymentsContract)['credits:checkout']['output']>

/** What the service of an operation is given, and gives. */
export type Input<Name extends keyof typeof paymentsContract> = z.output<(typeof paymentsContract)[Name]['input']>
export type Output<Name extends keyof typeof paymentsContract> = z.input<(typeof paymentsContract)[Name]['output']>
