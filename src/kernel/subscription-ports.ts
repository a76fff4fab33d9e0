/** What billing asks of who keeps subscriptions. */

export type BillingPeriod = 'monthly' | 'yearly'

/** A plan as it is offered for a period. */
export interface PlanOffer {
  planCode: string
  /** For people. */
  name: string
  period: BillingPeriod
  /** The price as the provider knows it; without one it is told amount and currency. */
  priceId: string | undefined
  /** In the currency's smallest unit. */
  amount: number
  currency: string
}

/** What we have noted at a subscription, or at an invoice of it, when it was made. */
export interface SubscriptionNotes {
  userId?: string
  plan?: string
  period?: BillingPeriod
}

/** A bill of a subscription as the provider has it. */
export interface SubscriptionInvoice {
  id: string
  subscriptionId: string
  status: 'open' | 'paid' | 'void'
  /** What it is for: the first period, a further one, a change within one. */
  reason: 'first' | 'renewal' | 'change' | 'other'
  /** Of the price that it is mainly for. */
  priceId: string | undefined
  /** As they stood when it was made. */
  notes: SubscriptionNotes
  /** What is paid for. */
  periodStart: Date
  periodEnd: Date
  period: BillingPeriod
  amountDue: number
  amountPaid: number
  /** ISO 4217 in capitals. */
  currency: string
  createdAt: Date
  paidAt: Date | undefined
  /** The provider's name for the transfer of money, where there was one. */
  transferId: string | undefined
}

/** A subscription as the provider has it. */
export interface ProviderSubscription {
  id: string
  customerId: string
  /** Incomplete: the first payment is under way, or never came. Ended: nothing follows. */
  status: 'incomplete' | 'trialing' | 'active' | 'past_due' | 'unpaid' | 'ended'
  priceId: string
  period: BillingPeriod
  notes: SubscriptionNotes
  periodStart: Date
  periodEnd: Date
  /** When it ends or did, where that is settled: else it renews. */
  endsAt: Date | undefined
  /** When somebody decided that it ends; not where it ended for lack of payment. */
  cancelledAt: Date | undefined
  createdAt: Date
  latestInvoice: SubscriptionInvoice | undefined
  /** What it becomes when the period ends, where that is another plan or period. */
  next: { priceId: string; notes: SubscriptionNotes; period: BillingPeriod } | undefined
}

/** A charge of money that came back, in part or whole, or that the payer has contested. */
export interface ProviderCharge {
  id: string
  /** The bill that it paid. */
  invoiceId: string | undefined
  /** Our payment, where it is none of a subscription. */
  paymentId: string | undefined
  /** The provider's name for the transfer of money. */
  transferId: string | undefined
  amount: number
  amountRefunded: number
  currency: string
  /** Inquiry: no money has moved; open: the provider has taken it back for now. */
  dispute: 'inquiry' | 'open' | 'won' | 'lost' | undefined
}

/** A page on which somebody pays or subscribes. */
export interface ProviderCheckout {
  id: string
  status: 'open' | 'complete' | 'expired'
  paid: boolean
  subscriptionId: string | undefined
  /** Our payment, where it is none of a subscription. */
  paymentId: string | undefined
  amount: number
  currency: string
  /** The provider's name for the transfer of money. */
  transferId: string | undefined
}

/** What an event of the provider is about. It only says what to look at: what holds is read. */
export interface SubscriptionEvent {
  id: string
  type: string
  subject: { kind: 'subscription' | 'invoice' | 'checkout' | 'charge'; id: string }
}

/**
 * Subscriptions at a payment provider. What reads gives undefined for what the provider does not know. What changes something
 * takes a key under which a repetition is the same request.
 * @throws AppError upstream_failed from each where the provider cannot be reached or fails, with nothing half done
 */
export interface SubscriptionProvider {
  /** @param user.replaces the customer that it had and that the provider knows no more */
  createCustomer(user: {
    userId: string
    email: string | undefined
    name: string
    replaces?: string | undefined
  }): Promise<string>
  /** A page on which to subscribe. */
  openCheckout(order: {
    key: string
    userId: string
    customerId: string
    offer: PlanOffer
    returnUrl: string
  }): Promise<{ id: string; url: string }>
  /** A page on which customers see their invoices and change how they pay. */
  openPortal(customerId: string, returnUrl: string): Promise<{ url: string }>
  subscription(id: string): Promise<ProviderSubscription | undefined>
  /** Those that are neither ended nor incomplete; undefined for an unknown customer. */
  liveSubscriptionsOf(customerId: string): Promise<ProviderSubscription[] | undefined>
  invoice(id: string): Promise<SubscriptionInvoice | undefined>
  checkout(id: string): Promise<ProviderCheckout | undefined>
  charge(id: string): Promise<ProviderCharge | undefined>
  /** Whether it goes on when the period ends. */
  setRenewal(subscriptionId: string, renews: boolean, key: string): Promise<void>
  /** Changes it now; the difference for the rest of the period is charged at once. @throws AppError payment_required, and nothing is changed */
  changeNow(subscriptionId: string, offer: PlanOffer, key: string): Promise<void>
  /** Has it become another when the period ends; undefined: has it stay what it is. */
  changeNext(subscriptionId: string, offer: PlanOffer | undefined, key: string): Promise<void>
  /** Ends it now, without giving money back. One that has ended already is left. */
  end(subscriptionId: string): Promise<void>
  /**
   * Reads a delivered event from the bytes as they came.
   * @param at against which the time of the signature is held: one older than five minutes is refused
   * @returns undefined for an event that does not concern us
   * @throws AppError unauthenticated where it was not signed by the provider, or too long ago
   */
  readEvent(body: Buffer, signature: string | undefined, at: Date): SubscriptionEvent | undefined
}
