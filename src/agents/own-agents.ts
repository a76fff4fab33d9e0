import { sql } from 'kysely'
import { type Connection, run } from '../database/database.ts'
import { notFound } from '../kernel/errors.ts'
import type { AgentKind } from './agents.policy.ts'

/**
 * Locks an agent of that owner and says of what kind it is: against changes by others, or against whatever refers to its
 * user, where it is to end. Everything that changes an agent or its keys begins here.
 * @throws AppError not_found where there is none, or it is somebody else's
 */
export async function lockOwn(
  em: Connection,
  agentId: string,
  ownerId: string,
  purpose: 'change' | 'end' = 'change',
): Promise<AgentKind> {
  const [agent] = await run(
    em,
    sql<{ kind: AgentKind }>`
      select a.kind from users u join agents a on a.user_id = u.id
      where u.id = ${agentId} and a.owner_id = ${ownerId} and u.deleted_at is null
      ${purpose === 'end' ? sql`for update of u` : sql`for no key update of u`}`,
  )
  if (!agent) throw notFound('agent')
  return agent.kind
}
