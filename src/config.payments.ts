import { z } from 'zod'
import { isFriendlyTonAddress } from './adapters/ton-address.ts'

/** The address of an API, without a slash at its end. */
const apiUrl = (standard: string) =>
  z
    .string()
    .refine((value) => ['https:', 'http:'].includes(URL.parse(value)?.protocol ?? ''))
    .transform((value) => value.replace(/\/+$/, ''))
    .default(standard)

/** The variables of the ways to pay, each with what it takes and an example for the message that refuses it. */
export const paymentVariables = {
  STRIPE_SECRET_KEY: {
    schema: z
      .string()
      .regex(/^(sk|rk)_\w{8,250}$/)
      .optional(),
    expected: "Stripe's secret key",
    example: 'sk_test_00000000000000000000000000000000',
  },
  STRIPE_WEBHOOK_SECRET: {
    schema: z
      .string()
      .regex(/^whsec_\w{8,250}$/)
      .optional(),
    expected: "the signing secret of Stripe's webhook endpoint",
    example: 'whsec_00000000000000000000000000000000',
  },
  STRIPE_API_URL: {
    schema: apiUrl('https://api.stripe.com'),
    expected: "the address of Stripe's API",
    example: 'https://api.stripe.com',
  },
  PAST_DUE_GRACE_DAYS: {
    schema: z
      .string()
      .regex(/^\d{1,2}$/)
      .transform(Number)
      .refine((days) => days <= 60)
      .default(7),
    expected: 'days that a plan goes on while a bill of its subscription is open, 0 to 60',
    example: '7',
  },
  TBANK_TERMINAL_KEY: {
    schema: z
      .string()
      .regex(/^\w{1,20}$/)
      .optional(),
    expected: "the name of a terminal of T-Bank's acquiring",
    example: '1234567890123DEMO',
  },
  TBANK_PASSWORD: {
    schema: z.string().min(8).max(100).optional(),
    expected: "the terminal's password",
    example: 'what the bank shows beside the terminal',
  },
  TBANK_API_URL: {
    schema: apiUrl('https://securepay.tinkoff.ru/v2'),
    expected: "the address of T-Bank's API",
    example: 'https://securepay.tinkoff.ru/v2',
  },
  TELEGRAM_WEBHOOK_SECRET: {
    schema: z
      .string()
      .regex(/^[\w-]{16,256}$/)
      .optional(),
    expected: 'what the bot was given as `secret_token` of its webhook: 16 to 256 letters, digits, `_` and `-`',
    example: 'the_output_of_openssl_rand_-hex_32',
  },
  TELEGRAM_API_URL: {
    schema: apiUrl('https://api.telegram.org'),
    expected: "the address of Telegram's Bot API",
    example: 'https://api.telegram.org',
  },
  TON_ADDRESS: {
    schema: z.string().refine(isFriendlyTonAddress).optional(),
    expected: 'the address of a TON wallet as wallets show it; its checksum tells mistyped letters',
    example: 'UQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAJKZ',
  },
  TON_API_URL: {
    schema: apiUrl('https://toncenter.com/api/v2'),
    expected: "the address of toncenter's API, version 2",
    example: 'https://toncenter.com/api/v2',
  },
  TON_API_KEY: {
    schema: z
      .string()
      .regex(/^[\x21-\x7e]{8,200}$/)
      .optional(),
    expected: 'a key of toncenter',
    example: '0123456789abcdef',
  },
} as const

type Variables = { [K in keyof typeof paymentVariables]: z.output<(typeof paymentVariables)[K]['schema']> }

/** The ways to pay; absent are those that are not configured. */
export interface PaymentsConfig {
  stripe: { secretKey: string; webhookSecret: string; apiUrl: string } | undefined
  pastDueGraceDays: number
  tbank: { terminalKey: string; password: string; apiUrl: string } | undefined
  stars: { botToken: string; webhookSecret: string; apiUrl: string } | undefined
  ton: { address: string; apiUrl: string; apiKey: string | undefined } | undefined
}

/** What lacks its other half is added to the problems. */
export function paymentsConfig(read: Variables, botToken: string | undefined, problems: string[]): PaymentsConfig {
  const { TBANK_TERMINAL_KEY: terminalKey, TBANK_PASSWORD: password, TELEGRAM_WEBHOOK_SECRET: webhookSecret } = read
  if (terminalKey && !password) problems.push(missing('TBANK_PASSWORD', 'TBANK_TERMINAL_KEY'))
  if (password && !terminalKey) problems.push(missing('TBANK_TERMINAL_KEY', 'TBANK_PASSWORD'))
  const { STRIPE_SECRET_KEY: secretKey, STRIPE_WEBHOOK_SECRET: signingSecret } = read
  if (secretKey && !signingSecret) problems.push(missing('STRIPE_WEBHOOK_SECRET', 'STRIPE_SECRET_KEY'))
  if (signingSecret && !secretKey) problems.push(missing('STRIPE_SECRET_KEY', 'STRIPE_WEBHOOK_SECRET'))
  if (webhookSecret && !botToken)
    problems.push(
      'TELEGRAM_BOT_TOKEN is missing: TELEGRAM_WEBHOOK_SECRET is that of a bot. Example: ' +
        'TELEGRAM_BOT_TOKEN=123456789:AAF0000000000000000000000000000000000',
    )
  return {
    stripe:
      secretKey && signingSecret ? { secretKey, webhookSecret: signingSecret, apiUrl: read.STRIPE_API_URL } : undefined,
    pastDueGraceDays: read.PAST_DUE_GRACE_DAYS,
    tbank: terminalKey && password ? { terminalKey, password, apiUrl: read.TBANK_API_URL } : undefined,
    stars: webhookSecret && botToken ? { botToken, webhookSecret, apiUrl: read.TELEGRAM_API_URL } : undefined,
    ton: read.TON_ADDRESS
      ? { address: read.TON_ADDRESS, apiUrl: read.TON_API_URL, apiKey: read.TON_API_KEY }
      : undefined,
  }
}

type Half = 'TBANK_PASSWORD' | 'TBANK_TERMINAL_KEY' | 'STRIPE_SECRET_KEY' | 'STRIPE_WEBHOOK_SECRET'

const missing = (name: Half, half: string): string =>
  `${name} is missing: ${half} is nothing without it. Example: ${name}=${paymentVariables[name].example}`
