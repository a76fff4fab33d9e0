import type { GuardName } from '../kernel/limits.ts'
import { networkOf } from '../kernel/networks.ts'
import type { Attempt, Guesses } from '../kernel/ports.ts'

export interface LoginAttempt {
  /** The password was right: whoever knows it has not been guessing. */
  succeeded(): Promise<void>
}

/**
 * Counts a login by a password before the password is looked at: for its address, for the name from this address, and for
 * the name from anywhere. Names count as they were typed (in lower case): were they counted by the account that they
 * lead to, attempts at a username would show by the pauses which address belongs to it, and names that lead nowhere would
 * have no pauses at all.
 *
 * Where one of the three refuses, nothing is judged and so nothing stays counted by the others; and what is refused for the
 * address leaves no trace of the name, so that made-up names cannot fill the counters.
 * @throws AppError rate_limited, the right password included
 */
export async function attemptLogin(guesses: Guesses, name: string, ip: string): Promise<LoginAttempt> {
  const network = networkOf(ip)
  const counted: [GuardName, string][] = [
    ['password_from_address', network],
    ['password', `${name} ${network}`],
    ['password_of_account', name],
  ]
  const made: Attempt[] = []
  for (const [guard, key] of counted) {
    try {
      made.push(await guesses.attempt(guard, key))
    } catch (refusal) {
      await Promise.all(made.map((attempt) => attempt.takeBack()))
      throw refusal
    }
  }
  const [fromAddress] = made
  return {
    async succeeded() {
      // of the address this attempt alone: one right password must not give back what was guessed at other accounts
      await fromAddress?.takeBack()
      for (const [guard, key] of counted.slice(1)) await guesses.forgive(guard, key)
    },
  }
}
