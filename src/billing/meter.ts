/**
 * The arithmetic of the meter. The quota counts input + output tokens. Beyond it credits are charged for effective tokens,
 * input + 2.5 × output, since output is what costs; one credit for so many of them, rounded up. In integers of any size:
 * twice the effective tokens is 2 × input + 5 × output.
 */
export interface Tokens {
  input: number
  output: number
}

export const totalTokens = ({ input, output }: Tokens): number => input + output

const twiceEffective = ({ input, output }: Tokens): bigint => 2n * BigInt(input) + 5n * BigInt(output)

/** Rounded up. */
export const effectiveTokens = (tokens: Tokens): number => Number((twiceEffective(tokens) + 1n) / 2n)

/** The credits for that many of the tokens, those beyond the quota: their part of the whole in proportion, rounded up. */
export function overageCredits(tokens: Tokens, beyond: number, tokensPerCredit: number): number {
  if (beyond <= 0) return 0
  const divisor = 2n * BigInt(totalTokens(tokens)) * BigInt(tokensPerCredit)
  return Number((twiceEffective(tokens) * BigInt(beyond) + divisor - 1n) / divisor)
}

/** What was reserved for a run, and what its window can still give. */
export interface Reserved {
  /** Tokens taken from the window. */
  tokens: number
  /** Tokens that are still free in that window; 0 where it has been reset since. */
  room: number
  /** Credits held for what went beyond. */
  held: number
}

/**
 * How a run is charged: the window first, and the rest by credits, up to what is held. A run that was to fit into the
 * window has nothing held: whatever it took more than estimated, it took from the window.
 */
export function settlement(
  tokens: Tokens,
  { tokens: reserved, room, held }: Reserved,
  tokensPerCredit: number,
): { fromWindow: number; credits: number } {
  const total = totalTokens(tokens)
  if (held === 0) return { fromWindow: total, credits: 0 }
  const fromWindow = Math.min(total, reserved + room)
  return { fromWindow, credits: Math.min(held, overageCredits(tokens, total - fromWindow, tokensPerCredit)) }
}

/** Splits whole credits in proportion to the weights, so that the parts make the whole; what is left over goes to the first. */
export function splitCredits(credits: number, weights: number[]): number[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  if (total === 0) return weights.map(() => 0)
  const parts = weights.map((weight) => Number((BigInt(credits) * BigInt(weight)) / BigInt(total)))
  const left = credits - parts.reduce((sum, part) => sum + part, 0)
  const first = weights.flatMap((weight, place) => (weight > 0 ? [place] : [])).slice(0, left)
  return parts.map((part, place) => (first.includes(place) ? part + 1 : part))
}

/** Money is counted finer than it is stored, so that sums over many small runs come out right. */
export const costOf = ({ input, output }: Tokens, price: { input: number; output: number }): number =>
  Math.round((input * price.input + output * price.output) * 1e4) / 1e10
