import { sql } from 'kysely'
import type { Database } from '../database/database.ts'
import { inPages } from '../kernel/pages.ts'
import type { ExportSection } from '../kernel/ports.ts'
import {
  type AgentRow,
  agentColumns,
  type KeyRow,
  keyColumns,
  presentKey,
  presentOwnAgent,
} from './agents.presenter.ts'

const pageSize = 200

/** The agents' part of the export of a user's data. Keys come without their hashes. */
export function agentsSections(database: Pick<Database, 'query'>): ExportSection[] {
  return [
    {
      name: 'agents',
      about: 'The agents that you have made, and what they are told.',
      async *rows(userId) {
        const rows = await database.query(sql<AgentRow>`
          select ${agentColumns} from agents a join users u on u.id = a.user_id
          where a.owner_id = ${userId} order by a.user_id`)
        for (const row of rows) yield presentOwnAgent(row)
      },
    },
    {
      name: 'agent_keys',
      about: 'The keys of your external agents: when they were made, used and revoked; not the keys themselves.',
      async *rows(userId) {
        const rows = inPages<KeyRow & { agentId: string }>((after) =>
          database.query(sql`
            select ${keyColumns}, agent_id as "agentId" from agent_keys
            where agent_id in (select user_id from agents where owner_id = ${userId})
              and ${after ? sql`id > ${after.id}` : sql`true`}
            order by id limit ${pageSize}`),
        )
        for await (const row of rows) yield { agentId: row.agentId, ...presentKey(row) }
      },
    },
  ]
}
