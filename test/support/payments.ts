import assert from 'node:assert/strict'
import { sql } from 'kysely'
import { pino } from 'pino'
import { createTbank } from '../../src/adapters/tbank.ts'
import { createTelegramStars } from '../../src/adapters/telegram-stars.ts'
import { createTon } from '../../src/adapters/ton.ts'
import { createSettlement } from '../../src/billing/payment-settlement.ts'
import type { Payment, StaffPayment } from '../../src/billing/payments.contract.ts'
import type { DomainEventMap } from '../../src/kernel/domain-events.ts'
import type { RequestFacts } from '../../src/kernel/operation.ts'
import { actorOf, startBilling } from './billing.ts'
import { startTbank } from './tbank.ts'
import { startTelegram } from './telegram-bot.ts'
import { startToncenter } from './toncenter.ts'

type Provider = Payment['provider']

export interface Begun {
  paymentId: string
  url: string
  expiresAt: string
  details?: Record<string, string>
}

/** What the price list of the migration says. */
export const prices = { stripe: 799, tbank: 69_900, stars: 600, ton: 2_800_000_000 }

/** Providers that do not answer are given up sooner than people would. */
const timeoutMs = 500

/**
 * Billing with T-Bank, Telegram Stars and TON, each stood in for by a server on this machine. Jobs run when the test says
 * so.
 */
export async function startPayments() {
  const [bank, telegram, toncenter] = await Promise.all([startTbank(), startTelegram(), startToncenter()])
  const { terminalKey, password, apiUrl } = bank
  const { botToken, secret } = telegram
  const billing = await startBilling(
    {},
    {
      providers: {
        tbank: createTbank({ terminalKey, password, apiUrl, notificationUrl: undefined, timeoutMs }),
        stars: createTelegramStars({ botToken, webhookSecret: secret, apiUrl: telegram.url, timeoutMs }),
        ton: createTon({ address: toncenter.address, apiUrl: toncenter.apiUrl, apiKey: undefined, timeoutMs }),
      },
    },
  )
  /** What was told to other features, in order. */
  const news: ({ name: string } & DomainEventMap['payment.succeeded'])[] = []
  for (const name of ['payment.succeeded', 'payment.refunded'] as const) {
    billing.events.on(name, async (_em, event) => {
      news.push({ name, ...event })
      return undefined
    })
  }

  const admin = await billing.person()

  /** A request of a provider to a webhook. */
  async function webhook(
    name: 'webhook:tbank' | 'webhook:telegram',
    body: string,
    headers: Record<string, string> = {},
  ) {
    const found = billing.routes.find((route) => route.operation.name === name)
    assert.ok(found)
    const request: RequestFacts = {
      header: (header) => headers[header.toLowerCase()],
      cookie: () => undefined,
      rawBody: Buffer.from(body),
    }
    const context = { requestId: 'test', ip: '192.0.2.7', userAgent: undefined, request }
    const answer: unknown = await found.operation.run({} as never, context as never)
    return found.operation.contract.output.parse(answer) as Record<string, unknown>
  }

  /** Runs the jobs that were enqueued, in the order given; those of one event again and again change nothing. */
  async function settle(order: <T>(items: T[]) => T[] = (items) => items): Promise<void> {
    for (const { name, data } of order(billing.queued.splice(0))) await billing.runJob(name, data)
  }

  const one = async <T>(statement: ReturnType<typeof sql>): Promise<T> => {
    const [row] = (await billing.database.query(statement)) as T[]
    assert.ok(row)
    return row
  }

  const { events, ledger, wallets, clock } = billing
  return {
    ...billing,
    /** As the feature has it, for what its other parts ask of it. */
    settlement: createSettlement({ events, ledger, wallets, clock, log: pino({ level: 'silent' }) }),
    bank,
    telegram,
    toncenter,
    news,
    webhook,
    settle,
    fromBank: (body: string) => webhook('webhook:tbank', body),
    fromTelegram: (body: string) => webhook('webhook:telegram', body, { 'x-telegram-bot-api-secret-token': secret }),
    begin: (userId: string, provider: Provider, tierId = 'credits_5000', key?: string): Promise<Begun> =>
      billing.call('credits:checkout', { tierId, provider }, userId, key ? { 'idempotency-key': key } : {}),
    payment: (userId: string, paymentId: string): Promise<Payment> =>
      billing.call('payment:get', { paymentId }, userId),
    /** As an admin. */
    refund: (paymentId: string, key?: string): Promise<StaffPayment> =>
      billing.call(
        'staff:refund-payment',
        { paymentId },
        actorOf(admin, 'admin'),
        key ? { 'idempotency-key': key } : {},
      ),
    /** The payment's row, as far as tests look at it. */
    row: (paymentId: string) =>
      one<{ status: string; providerPaymentId: string | null; details: Record<string, unknown>; url: string | null }>(
        sql`select status, provider_payment_id as "providerPaymentId", details, url from payments where id = ${paymentId}`,
      ),
    count: async (table: 'payments' | 'provider_events' | 'idempotency_keys') =>
      Number((await one<{ n: string }>(sql`select count(*) as n from ${sql.ref(table)}`)).n),
    storedEvents: (provider: Provider) =>
      billing.database.query(
        sql<{ id: string; type: string; payload: Record<string, unknown> }>`
          select event_id as id, type, payload from provider_events where provider = ${provider} order by received_at`,
      ),
    unprocessed: async () =>
      Number((await one<{ n: string }>(sql`select count(*) as n from provider_events where processed_at is null`)).n),
    /** The rows of the ledger that bear a payment, in order, as `charge 5000`. */
    movements: async (paymentId: string) =>
      (
        await billing.database.query(
          sql<{ type: string; amount: string }>`
            select type, amount from credit_transactions where payment_id = ${paymentId} order by seq`,
        )
      ).map(({ type, amount }) => `${type} ${amount}`),
    /** Alarms in the log: what a person has to look at. */
    alarms: () =>
      billing.logged
        .map((line) => JSON.parse(line) as { level: number; msg: string })
        .filter(({ level }) => level >= 50),
    async close() {
      await billing.close()
      await Promise.all([bank.close(), telegram.close(), toncenter.close()])
    },
  }
}

export type TestPayments = Awaited<ReturnType<typeof startPayments>>
