import { sql } from 'kysely'
import { type Connection, run } from '../database/database.ts'
import type { AfterCommit, DomainEvents } from '../kernel/domain-events.ts'
import { notFound } from '../kernel/errors.ts'
import { newId } from '../kernel/ids.ts'
import type { Attachments } from '../kernel/ports.ts'
import type { AccountDeletion } from './account-deletion.service.ts'
import { releaseAvatar } from './avatars.ts'
import { taken } from './identity.errors.ts'

/**
 * Users that are agents: they are found, named and deleted as people are, but have no address, password, login or wallet.
 * What makes an agent one beyond its user is for the agents feature.
 */
export function createAgentUsers({
  events,
  deletion,
  attachments,
}: {
  events: DomainEvents
  deletion: AccountDeletion
  attachments: Pick<Attachments, 'release'>
}) {
  return {
    /**
     * Adds the user of an agent and returns its id. `privateTo`: the one person who finds and meets it; null: everybody.
     * `avatarId`: an attachment that the transaction holds.
     * @throws AppError conflict where the username is taken; the transaction goes on all the same
     */
    async create(
      em: Connection,
      fields: { username: string; displayName: string; privateTo: string | null; avatarId?: string | undefined },
    ): Promise<string> {
      const { username, displayName, privateTo, avatarId = null } = fields
      const [row] = await run(
        em,
        sql<{ id: string }>`
          insert into users (id, kind, username, display_name, private_to, avatar_id)
          values (${newId()}, 'agent', ${username}, ${displayName}, ${privateTo}, ${avatarId})
          on conflict do nothing returning id`,
      )
      if (!row) throw taken('username')
      return row.id
    },

    /**
     * Changes what is given and leaves the rest. `avatarId`: an attachment that the transaction holds, or null. What it
     * returns is to be called after the commit.
     * @throws AppError not_found
     */
    async update(
      em: Connection,
      userId: string,
      changes: {
        displayName?: string | undefined
        privateTo?: string | null | undefined
        avatarId?: string | null | undefined
      },
    ): Promise<AfterCommit> {
      const { displayName, privateTo, avatarId } = changes
      const [before] = await run(
        em,
        sql<{ displayName: string; avatarId: string | null }>`
          select display_name as "displayName", avatar_id as "avatarId" from users
          where id = ${userId} and kind = 'agent' and deleted_at is null for no key update`,
      )
      if (!before) throw notFound('agent')
      const avatarChanges = avatarId !== undefined && avatarId !== before.avatarId
      const isSeen = avatarChanges || (displayName !== undefined && displayName !== before.displayName)
      await run(
        em,
        sql`
          update users set
            display_name = coalesce(${displayName ?? null}, display_name),
            private_to = ${privateTo === undefined ? sql`private_to` : sql`${privateTo}::uuid`},
            avatar_id = ${avatarId === undefined ? sql`avatar_id` : sql`${avatarId}::uuid`},
            profile_changed_at = ${isSeen ? sql`now()` : sql`profile_changed_at`}
          where id = ${userId}`,
      )
      if (!isSeen) return () => {}
      const tell = await events.publish(em, 'user.changed', { userId })
      const release = await releaseAvatar(em, attachments, avatarChanges ? before.avatarId : null)
      return async () => {
        await tell()
        await release()
      }
    },

    /**
     * Deletes the user of an agent as an account is deleted: its name is free, it leaves its conversations, its sockets are
     * closed. Repeating does nothing. What it returns is to be called after the commit.
     */
    remove: (em: Connection, userId: string): Promise<AfterCommit> => deletion.endAgent(em, userId),
  }
}
