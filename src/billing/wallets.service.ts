import { sql } from 'kysely'
import type { Logger } from 'pino'
import { type Connection, type Database, run } from '../database/database.ts'
import type { Clock } from '../kernel/clock.ts'
import type { DomainEvents } from '../kernel/domain-events.ts'
import { notFound } from '../kernel/errors.ts'
import type { Fanout } from '../kernel/ports.ts'
import type { Wallet } from './billing.contract.ts'
import type { Ledger } from './ledger.service.ts'
import { walletOf } from './wallet-reader.ts'

interface WalletsDependencies {
  database: Database
  ledger: Ledger
  events: DomainEvents
  fanout: Pick<Fanout, 'toUsers'>
  clock: Clock
  log: Logger
  /** What an account begins with. */
  signupCredits: number
}

export type Wallets = ReturnType<typeof createWallets>

/** Wallets as a whole: each person has one from the account's first moment on, agents have none. */
export function createWallets(deps: WalletsDependencies) {
  const { database, ledger, events, fanout, clock, log, signupCredits } = deps
  /** The latest telling of each user that is under way. */
  const telling = new Map<string, Promise<void>>()

  events.on('user.registered', async (em, { userId }) => {
    await open(em, userId)
    return undefined
  })

  async function open(em: Connection, userId: string): Promise<void> {
    const opened = await run(
      em,
      sql`
        insert into wallets (user_id) select id from users where id = ${userId} and kind = 'human'
        on conflict do nothing returning user_id`,
    )
    if (opened.length === 0 || signupCredits === 0) return
    await ledger.post(em, {
      userId,
      amount: signupCredits,
      type: 'allocation',
      key: `signup:${userId}`,
      description: 'Welcome',
      at: clock(),
    })
  }

  /** @throws AppError not_found for an agent */
  const get = (userId: string): Promise<Wallet> => walletOf(database, userId, clock())

  /** @throws AppError not_found for an agent */
  async function setOverage(userId: string, enabled: boolean): Promise<Wallet> {
    const changed = await database.query(sql`
      update wallets set overage_enabled = ${enabled} where user_id = ${userId} returning user_id`)
    if (changed.length === 0) throw notFound('wallet')
    await tell(userId)
    return get(userId)
  }

  /**
   * Tells all of the user's devices what the wallet is now; for after the commit. Of one user one telling follows the
   * other, so that on this node an older state never comes after a newer one. One that fails is only logged: clients ask
   * for the wallet when they connect.
   */
  function tell(userId: string): Promise<void> {
    const mine = (telling.get(userId) ?? Promise.resolve())
      .then(async () => fanout.toUsers([userId], 'wallet:changed', await get(userId)))
      .catch((error: unknown) => log.warn({ err: error, userId }, 'a change of a wallet was not told'))
      .finally(() => {
        if (telling.get(userId) === mine) telling.delete(userId)
      })
    telling.set(userId, mine)
    return mine
  }

  return { get, setOverage, tell }
}
