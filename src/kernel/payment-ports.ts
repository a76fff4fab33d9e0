/** What billing asks of those who take payments. */

export type PaymentProviderName = 'stripe' | 'tbank' | 'stars' | 'ton'

/** What amounts are counted in: US cents, kopecks, Telegram Stars, nanoton. */
export type PaymentCurrency = 'USD' | 'RUB' | 'XTR' | 'TON'

/** A payment that is to be begun at a provider. */
export interface PaymentOrder {
  /** Ours. The provider is told it, as its idempotency key where it has such, so that one order is one payment. */
  paymentId: string
  /** In the currency's smallest unit. */
  amount: number
  currency: PaymentCurrency
  /** What is paid for, for people. */
  description: string
  customer: { userId: string; email: string | undefined; stripeCustomerId: string | undefined }
  /** The page that the provider leads back to. */
  returnUrl: string
  /** Until when it can be paid, as far as the provider lets us say. */
  expiresAt: Date
}

/** A payment as the provider has taken it. */
export interface BegunPayment {
  /** The provider's name for it, by which its events can be told apart. */
  providerPaymentId?: string
  /** Where the person pays. */
  url: string
  /** What the person needs to know beside the address. */
  details?: Record<string, string>
}

/** A payment that came in. */
export interface PaidPayment {
  paymentId: string
  providerPaymentId: string | undefined
  amount: number
  currency: PaymentCurrency
  details: Record<string, unknown>
}

/** What a provider said, as it came in. */
export interface ProviderEvent {
  /** The provider's name for it: what comes again under the same is the same. */
  id: string
  type: string
  /** Plain JSON. */
  payload: unknown
}

/** What an event says of a payment. It names it by our id or by the provider's; by both where it knows both. */
export interface PaymentReport {
  paymentId?: string
  providerPaymentId?: string
  /** Tells apart what was paid where one payment was paid twice; unless given, `providerPaymentId` does. */
  chargeId?: string
  /** 'noted': nothing has come of it yet; only the details are kept. */
  outcome: 'succeeded' | 'failed' | 'cancelled' | 'refunded' | 'noted'
  /** What was paid, in the currency's smallest unit; always there where it succeeded. */
  amount?: number | bigint
  /** Capital letters, as in PaymentCurrency; of a foreign payment it may be any. */
  currency?: string
  /** Kept with the payment. */
  details?: Record<string, unknown>
}

/** One way to pay. What it reports comes back as provider events. */
export interface PaymentProvider {
  name: PaymentProviderName
  currency: PaymentCurrency
  /** May run again for the same order, where it is not known what became of the first time. @throws AppError upstream_failed */
  begin(order: PaymentOrder): Promise<BegunPayment>
  /**
   * Gives all of it back; absent where that cannot be done from here. May run again for the same payment.
   * @returns 'accepted' where the provider says later, by an event, that it is done
   * @throws AppError upstream_failed
   */
  refund?(payment: PaidPayment): Promise<'refunded' | 'accepted'>
}

/** A provider whose events say by themselves all that there is to know. */
export interface ReportingProvider extends PaymentProvider {
  /** Undefined for an event that concerns no payment. */
  interpret(event: ProviderEvent): PaymentReport | undefined
}

/** T-Bank's acquiring. */
export interface Tbank extends ReportingProvider {
  /**
   * The event of a notification.
   * @throws AppError unauthenticated where it is not signed by the bank for this terminal, invalid_request
   */
  receive(body: Buffer): ProviderEvent
}

/** Whether a payment may go on that a person is about to confirm; Telegram waits 10 s for the answer. */
export interface PreCheckout {
  queryId: string
  paymentId: string
  amount: number
  currency: string
}

/** Telegram Stars, by a bot. */
export interface TelegramStars extends ReportingProvider {
  /**
   * What of an update concerns payments, if anything.
   * @throws AppError unauthenticated where it does not bear the secret of the webhook, invalid_request
   */
  receive(body: Buffer, secret: string | undefined): { preCheckout?: PreCheckout; event?: ProviderEvent }
}

/** A place in the history of an address. */
export interface TonPlace {
  lt: string
  hash: string
}

/** Transfers of TON to one address, each named by its comment. */
export interface Ton extends ReportingProvider {
  /**
   * A page of the address's history, the newest first: the transfers that came in, up to when it reaches back, and where
   * the next page begins.
   * @throws AppError upstream_failed
   */
  history(from?: TonPlace): Promise<{ transfers: ProviderEvent[]; reachesTo: Date; next: TonPlace | undefined }>
}
