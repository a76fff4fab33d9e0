import { z } from 'zod'

const whole = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,12}$/)
    .transform(Number)
    .refine((value) => value >= min && value <= max)

/** The variables of credits, each with what it takes and an example for the message that refuses it. */
export const creditVariables = {
  SIGNUP_CREDITS: {
    schema: whole(0, 1_000_000_000).default(1000),
    expected: 'the credits that a new account begins with, 0 to 1000000000',
    example: '1000',
  },
  OVERAGE_TOKENS_PER_CREDIT: {
    schema: whole(1, 1_000_000_000).default(1000),
    expected: 'effective tokens (input + 2.5 × output) that a credit pays for beyond the quota, from 1',
    example: '1000',
  },
} as const

export interface CreditsConfig {
  /** What a new account begins with. */
  signupCredits: number
  /** Effective tokens that one credit pays for beyond the quota. */
  overageTokensPerCredit: number
}

type Variables = { [K in keyof typeof creditVariables]: z.output<(typeof creditVariables)[K]['schema']> }

export const creditsConfig = (read: Variables): CreditsConfig => ({
  signupCredits: read.SIGNUP_CREDITS,
  overageTokensPerCredit: read.OVERAGE_TOKENS_PER_CREDIT,
})
