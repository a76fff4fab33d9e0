import { randomInt } from 'node:crypto'
import type { z } from 'zod'
import type { Database } from '../database/database.ts'
import { AppError } from '../kernel/errors.ts'
import type { Context } from '../kernel/operation.ts'
import type { Accounts } from './accounts.service.ts'
import type { identityContract, Session } from './identity.contract.ts'
import { again } from './overtaken.ts'
import type { Sessions } from './sessions.service.ts'

/** Neither vowels, which make words, nor what looks like something else. */
const letters = 'bcdfghjkmnpqrstvwxz23456789'
/** 27⁸ = 2.8 × 10¹¹ names: the next one is hardly ever taken, and nobody guesses another's. */
const suffixLength = 8

type Input = z.output<(typeof identityContract)['auth:guest']['input']>

export type Guests = ReturnType<typeof createGuests>

/**
 * People who try the server without an email and a password. A guest is an account like any other: it begins with the same
 * plan and credits, and becomes a lasting one by the same means as an account of another service, by giving it an email and
 * a password. Until then its logins are the only way in.
 * @param deps.isOpen whether this server takes guests
 */
export function createGuests(deps: {
  database: Database
  accounts: Pick<Accounts, 'create' | 'get'>
  sessions: Pick<Sessions, 'open'>
  isOpen: boolean
}) {
  const { database, accounts, sessions, isOpen } = deps

  /**
   * Creates a guest's account and its first login.
   * @throws AppError forbidden where the server takes no guests
   */
  async function begin({ displayName, locale }: Input, context: Context): Promise<Session> {
    if (!isOpen)
      throw new AppError('forbidden', 'This server takes no guests. Its operator can let them in with GUESTS=on.')
    const { userId, tokens, afterCommit } = await again(() =>
      database.transact(async (em) => {
        const suffix = Array.from({ length: suffixLength }, () => letters[randomInt(letters.length)]).join('')
        const { user, afterCommit } = await accounts.create(em, {
          username: `guest-${suffix}`,
          displayName: displayName ?? `Guest ${suffix.slice(0, 4)}`,
          locale,
        })
        return { userId: user.id, tokens: await sessions.open(em, user.id, context), afterCommit }
      }),
    )
    await afterCommit()
    return { user: await accounts.get(userId), ...tokens }
  }

  return { begin, isOpen }
}
