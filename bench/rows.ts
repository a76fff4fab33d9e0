import type { Connection, StoringTarget } from './storage.ts'

const tables: Record<StoringTarget, string> = { naive: 'naive_messages', kintsugi: 'messages' }

/** How many messages a server has stored. */
export async function countRows(database: Connection, target: StoringTarget): Promise<number> {
  const rows = await database.query<{ count: number }>(`select count(*)::int as count from ${tables[target]}`)
  return rows[0]?.count ?? 0
}

/**
 * Holds what is stored against what was acknowledged: every acknowledged message has its row, and on Kintsugi the
 * positions of every conversation run from 1 without a gap up to its counter.
 * @returns what is wrong, in words
 */
export async function checkRows(
  database: Connection,
  target: StoringTarget,
  before: number,
  acked: number,
): Promise<string[]> {
  const problems: string[] = []
  const stored = (await countRows(database, target)) - before
  if (stored < acked) problems.push(`${acked} messages acknowledged, ${stored} stored`)
  if (target === 'naive') return problems
  const broken = await database.query<{ count: number }>(
    `select count(*)::int as count
     from conversations
       left join (select conversation_id, count(*) as rows, max(seq) as top from messages group by 1) stored
         on stored.conversation_id = conversations.id
     where coalesce(stored.rows, 0) <> last_seq or coalesce(stored.top, 0) <> last_seq`,
  )
  if (broken[0]?.count)
    problems.push(`${broken[0].count} conversations whose messages do not run from 1 to their counter`)
  return problems
}
