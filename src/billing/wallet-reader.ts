import { type RawBuilder, sql } from 'kysely'
import { type Connection, type Database, run } from '../database/database.ts'
import { notFound } from '../kernel/errors.ts'
import type { Wallet } from './billing.contract.ts'
import { effectivePlan, presentWallet, type WalletRow, walletColumns } from './wallet.presenter.ts'

/** Where statements run: in a transaction, or each by itself. */
export type Source = Connection | Pick<Database, 'query'>

/** Runs one statement there. */
export const readFrom = <T>(source: Source, statement: RawBuilder<T>): Promise<T[]> =>
  'query' in source ? source.query(statement) : run(source, statement)

/**
 * A user's wallet as clients see it at that moment.
 * @throws AppError not_found where the user has none, as agents
 */
export async function walletOf(source: Source, userId: string, now: Date): Promise<Wallet> {
  const [row] = await readFrom(
    source,
    sql<WalletRow>`
      select ${walletColumns} from wallets w join plans p on p.code = ${effectivePlan(now)}
      where w.user_id = ${userId}`,
  )
  if (!row) throw notFound('wallet')
  return presentWallet(row, now)
}
