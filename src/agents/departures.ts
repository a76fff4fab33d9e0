import { sql } from 'kysely'
import { type Connection, type Database, run } from '../database/database.ts'
import type { AfterCommit, DomainEvents } from '../kernel/domain-events.ts'
import type { Fanout } from '../kernel/ports.ts'
import type { AgentUsers } from './server-agent.ts'

/**
 * Agents end with their owners: they are deleted with the account, and while the owner is banned their sockets are closed and
 * their keys let nobody in.
 */
export function followOwners(deps: {
  database: Database
  events: DomainEvents
  agentUsers: AgentUsers
  onBanned(follow: (userId: string) => Promise<void>): void
  fanout: Pick<Fanout, 'closeUsers'>
}): void {
  const { database, events, agentUsers, fanout } = deps

  // who deletes an account or makes an agent has locked the owner's row: nothing is added meanwhile
  events.on('user.deleting', async (em, { userId }) => {
    await forget(em, userId)
    const agents = await run(em, owned(userId))
    const afterwards: AfterCommit[] = []
    for (const { id } of agents) afterwards.push(await agentUsers.remove(em, id))
    return async () => {
      for (const afterCommit of afterwards) await afterCommit()
    }
  })

  deps.onBanned(async (userId) => {
    const agents = await database.query(owned(userId))
    const payload = { kind: 'banned', reason: 'The owner of this agent is banned.' }
    fanout.closeUsers(
      agents.map(({ id }) => id),
      { event: 'notification', payload },
    )
  })
}

/** Where it is an agent that goes: what made it one, and its keys with that. */
async function forget(em: Connection, userId: string): Promise<void> {
  await run(em, sql`delete from agents where user_id = ${userId}`)
}

const owned = (ownerId: string) => sql<{ id: string }>`
  select user_id as id from agents where owner_id = ${ownerId} order by user_id`
