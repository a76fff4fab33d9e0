import { sql } from 'kysely'
import type { CreditTransaction } from './billing.contract.ts'
import { iso } from './wallet.presenter.ts'

/** A row of the ledger as the drivers give it. */
export interface TransactionRow {
  id: string
  seq: number
  type: CreditTransaction['type']
  amount: string
  balanceAfter: string
  description: string | null
  createdAt: string
}

/** The columns of a TransactionRow. */
export const transactionColumns = sql`
  id, seq, type, amount, balance_after as "balanceAfter", to_json(description) as description, created_at as "createdAt"`

export const presentTransaction = (row: TransactionRow): CreditTransaction => ({
  id: row.id,
  seq: row.seq,
  type: row.type,
  amount: Number(row.amount),
  balanceAfter: Number(row.balanceAfter),
  ...(row.description !== null && { description: row.description }),
  createdAt: iso(row.createdAt),
})
