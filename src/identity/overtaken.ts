import { brokenUnique } from '../database/failures.ts'
import { AppError } from '../kernel/errors.ts'

/** Further usernames are random: so many in a row that are all taken mean that something else is wrong. */
const maxAttempts = 10

/** Somebody else was quicker, and what was found before holds no more. */
export class Overtaken extends AppError {
  constructor() {
    super('unavailable', 'Too many logins at once. Try again.')
  }
}

/** Makes the attempt again while others are quicker: the next one finds the account that they made, or takes another name. */
export async function again<T>(work: (attempt: number) => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work(attempt)
    } catch (error) {
      const broken = brokenUnique(error)
      const overtaken =
        error instanceof Overtaken || broken === 'users_username_unique' || broken === 'users_email_unique'
      if (!overtaken || attempt >= maxAttempts) throw error
    }
  }
}
