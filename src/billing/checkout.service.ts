import { sql } from 'kysely'
import { type Connection, type Database, run } from '../database/database.ts'
import type { Clock } from '../kernel/clock.ts'
import { notFound, unprocessable } from '../kernel/errors.ts'
import { newId } from '../kernel/ids.ts'
import type { UserContext } from '../kernel/operation.ts'
import type { PaymentCurrency, PreCheckout } from '../kernel/payment-ports.ts'
import type { Idempotency } from './idempotency.ts'
import { expiryOf, type PaymentRow, paymentColumns } from './payment.presenter.ts'
import type { PaymentProviders } from './payment-providers.ts'
import { isId } from './payment-settlement.ts'
import type { Input, Output, Pack } from './payments.contract.ts'

interface CheckoutDependencies {
  database: Database
  idempotency: Idempotency
  providers: PaymentProviders
  clock: Clock
  /** Where people reach the server. */
  publicUrl: string
}

interface TierRow {
  id: string
  kind: Pack['kind']
  name: string
  credits: string | null
  photoCount: number | null
  isPopular: boolean
  USD: string | null
  RUB: string | null
  XTR: string | null
  TON: string | null
}

/** The columns of a TierRow. */
const tierColumns = sql`
  id, kind, name, credits, photo_count as "photoCount", is_popular as "isPopular",
  price_usd as "USD", price_rub as "RUB", price_stars as "XTR", price_nanoton as "TON"`

/** What can be bought once, and the beginning of its payment. The provider is asked outside of transactions. */
export function createCheckout({ database, idempotency, providers, clock, publicUrl }: CheckoutDependencies) {
  async function packs(): Promise<Output<'credits:packs'>> {
    const rows = await database.query(sql<TierRow>`
      select ${tierColumns} from pricing_tiers where is_active order by kind, sort_order, id`)
    return { items: rows.map(presentPack) }
  }

  function presentPack(row: TierRow): Pack {
    const prices = providers.all.flatMap(({ name, currency }) => {
      const amount = row[currency]
      return amount === null ? [] : [{ provider: name, amount: Number(amount), currency }]
    })
    return {
      id: row.id,
      kind: row.kind,
      name: row.name,
      ...(row.credits !== null && { credits: Number(row.credits) }),
      ...(row.photoCount !== null && { photoCount: row.photoCount }),
      isPopular: row.isPopular,
      prices,
    }
  }

  /**
   * Begins a payment for a pack.
   * @throws AppError not_found for no such pack; unprocessable where it cannot be paid that way; upstream_failed, after
   *   which the same `Idempotency-Key` goes on with the same payment
   */
  const checkout = (input: Input<'credits:checkout'>, context: UserContext): Promise<Output<'credits:checkout'>> =>
    idempotency.once(context, 'credits:checkout', input, {
      begin: (em) => create(em, context.actor.userId, input),
      perform: begin,
    })

  async function create(em: Connection, userId: string, { tierId, provider }: Input<'credits:checkout'>) {
    const { currency } = providers.configured(provider)
    const [tier] = await run(
      em,
      sql<TierRow>`select ${tierColumns} from pricing_tiers where id = ${tierId} and is_active`,
    )
    if (!tier) throw notFound('pack')
    const amount = tier[currency]
    if (amount === null) throw unprocessable('This pack cannot be paid that way.')
    const id = newId()
    await run(
      em,
      sql`
        insert into payments (id, user_id, provider, purpose, tier_id, amount, currency, value_usd, description, credits,
          photo_count, created_at)
        select ${id}, ${userId}, ${provider}, kind, id, ${amount}, ${currency}, price_usd, name, credits, photo_count,
          ${clock().toISOString()}
        from pricing_tiers where id = ${tierId}`,
    )
    return id
  }

  /** Has the provider begin a payment, unless it has done so. */
  async function begin(paymentId: string): Promise<Output<'credits:checkout'>> {
    const [row] = await database.query(sql<PaymentRow & { email: string | null; stripeCustomerId: string | null }>`
      select ${paymentColumns}, email, "stripeCustomerId"
      from payments join (
        select id as payer, case when email_verified_at is not null then email end as email,
          stripe_customer_id as "stripeCustomerId" from users
      ) u on payer = user_id
      where id = ${paymentId}`)
    if (!row) throw notFound('payment')
    const expiresAt = expiryOf(row.createdAt)
    if (row.status !== 'pending' || expiresAt <= clock())
      throw unprocessable('This payment is no longer open: begin another one.')
    if (row.url !== null) return begun(row, row.url, row.details.instructions)
    const { providerPaymentId, url, details } = await providers.configured(row.provider).begin({
      paymentId,
      amount: Number(row.amount),
      currency: row.currency as PaymentCurrency,
      description: row.description,
      customer: {
        userId: row.userId,
        email: row.email ?? undefined,
        stripeCustomerId: row.stripeCustomerId ?? undefined,
      },
      returnUrl: `${publicUrl}/billing/payments/${paymentId}`,
      expiresAt,
    })
    const kept = JSON.stringify(details ? { instructions: details } : {})
    // its events may be here before the answer
    await database.query(sql`
      update payments set url = ${url}, details = details || ${kept}::jsonb,
        provider_payment_id = coalesce(provider_payment_id, ${providerPaymentId ?? null})
      where id = ${paymentId}`)
    return begun(row, url, details)
  }

  /** Whether a payment may go on that somebody is about to confirm; if not, why, for that person. */
  async function refusalOf({ paymentId, amount, currency }: PreCheckout): Promise<string | undefined> {
    const [row] = isId(paymentId)
      ? await database.query(sql<{ status: string; amount: string; currency: string; createdAt: string }>`
          select status, amount, currency, created_at as "createdAt" from payments
          where id = ${paymentId}`)
      : []
    if (!row) return 'This payment is not known. Begin another one.'
    const isOpen = row.status === 'pending' && expiryOf(row.createdAt) > clock()
    if (!isOpen) return 'This payment is no longer open. Begin another one.'
    if (Number(row.amount) !== amount || row.currency !== currency) return 'The price is not the one of this payment.'
    return undefined
  }

  return { packs, checkout, refusalOf }
}

const begun = (
  { id, createdAt }: PaymentRow,
  url: string,
  instructions: Record<string, string> | undefined,
): Output<'credits:checkout'> => ({
  paymentId: id,
  url,
  expiresAt: expiryOf(createdAt).toISOString(),
  ...(instructions && { details: instructions }),
})
