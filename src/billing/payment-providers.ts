import { unprocessable } from '../kernel/errors.ts'
import type { PaymentProvider, PaymentProviderName } from '../kernel/payment-ports.ts'

/** The ways to pay that this server has. */
export interface PaymentProviders {
  all: PaymentProvider[]
  /** @throws AppError unprocessable where it is not configured */
  configured(name: PaymentProviderName): PaymentProvider
}

export function createPaymentProviders(providers: (PaymentProvider | undefined)[]): PaymentProviders {
  const all = providers.filter((provider) => provider !== undefined)
  return {
    all,
    configured(name) {
      const found = all.find((provider) => provider.name === name)
      if (!found) throw unprocessable('This way to pay is not available here.')
      return found
    },
  }
}
