import { sql } from 'kysely'
import { type Connection, run } from '../database/database.ts'
import type { AfterCommit, DomainEvents } from '../kernel/domain-events.ts'
import { notFound } from '../kernel/errors.ts'
import { newId } from '../kernel/ids.ts'
import type { AccountDeletion } from './account-deletion.service.ts'
import { taken } from './identity.errors.ts'

/**
 * Users that are agents: they are found, named and deleted as people are, but have no address, password, login or wallet.
 * What makes an agent one beyond its user is for the agents feature.
 */
export function createAgentUsers({ events, deletion }: { events: DomainEvents; deletion: AccountDeletion }) {
  return {
    /**
     * Adds the user of an agent and returns its id. `privateTo`: the one person who finds and meets it; null: everybody.
     * @throws AppError conflict where the username is taken; the transaction goes on all the same
     */
    async create(
      em: Connection,
      { username, displayName, privateTo }: { username: string; displayName: string; privateTo: string | null },
    ): Promise<string> {
      const [row] = await run(
        em,
        sql<{ id: string }>`
          insert into users (id, kind, username, display_name, private_to)
          values (${newId()}, 'agent', ${username}, ${displayName}, ${privateTo})
          on conflict do nothing returning id`,
      )
      if (!row) throw taken('username')
      return row.id
    },

    /**
     * Changes what is given and leaves the rest. What it returns is to be called after the commit.
     * @throws AppError not_found
     */
    async update(
      em: Connection,
      userId: string,
      { displayName, privateTo }: { displayName?: string | undefined; privateTo?: string | null | undefined },
    ): Promise<AfterCommit> {
      const [before] = await run(
        em,
        sql<{ displayName: string }>`
          select display_name as "displayName" from users
          where id = ${userId} and kind = 'agent' and deleted_at is null for no key update`,
      )
      if (!before) throw notFound('agent')
      const isSeen = displayName !== undefined && displayName !== before.displayName
      await run(
        em,
        sql`
          update users set
            display_name = coalesce(${displayName ?? null}, display_name),
            private_to = ${privateTo === undefined ? sql`private_to` : sql`${privateTo}::uuid`},
            profile_changed_at = ${isSeen ? sql`now()` : sql`profile_changed_at`}
          where id = ${userId}`,
      )
      return isSeen ? events.publish(em, 'user.changed', { userId }) : () => {}
    },

    /**
     * Deletes the user of an agent as an account is deleted: its name is free, it leaves its conversations, its sockets are
     * closed. Repeating does nothing. What it returns is to be called after the commit.
     */
    remove: (em: Connection, userId: string): Promise<AfterCommit> => deletion.endAgent(em, userId),
  }
}
