import { createHash, randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import type { Logger } from 'pino'
import { type Database, run } from '../database/database.ts'
import { AppError, notFound, unprocessable } from '../kernel/errors.ts'
import { newId } from '../kernel/ids.ts'
import type { UserContext } from '../kernel/operation.ts'
import type { Fanout, KeyAuthenticator } from '../kernel/ports.ts'
import type { Input, Output } from './agents.contract.ts'
import { assertHasKeys, maxKeys } from './agents.policy.ts'
import { type KeyRow, keyColumns, presentKey } from './agents.presenter.ts'
import { lockOwn } from './own-agents.ts'

const prefix = 'kag_'

/** Of the revoked keys the newest are shown, up to so many with those that are good. */
const listed = 100

/** A key that is used all the time is noted anew when that was said longer ago, so that `last_used_at` is right to this. */
const freshMinutes = 5

export type AgentKeys = ReturnType<typeof createAgentKeys>

/** Owns `agent_keys`, by which external agents come in. A key is told once, when it is made, and stored as its hash. */
export function createAgentKeys({ database, fanout }: { database: Database; fanout: Pick<Fanout, 'closeSessions'> }) {
  return {
    /** @throws AppError not_found for somebody else's agent, unprocessable for one without keys */
    list: ({ agentId }: Input<'agent:list-keys'>, { actor }: UserContext): Promise<Output<'agent:list-keys'>> =>
      database.transact(async (em) => {
        assertHasKeys(await lockOwn(em, agentId, actor.userId))
        const rows = await run(
          em,
          sql<KeyRow>`
            select ${keyColumns} from agent_keys where agent_id = ${agentId}
            order by revoked_at is not null, created_at desc, id desc limit ${listed}`,
        )
        return { items: rows.map(presentKey) }
      }),

    /** @throws AppError not_found for somebody else's agent, unprocessable for one without keys or with too many */
    create: (
      { agentId, name }: Input<'agent:create-key'>,
      { actor }: UserContext,
    ): Promise<Output<'agent:create-key'>> =>
      database.transact(async (em) => {
        assertHasKeys(await lockOwn(em, agentId, actor.userId))
        const [live] = await run(
          em,
          sql<{ count: number }>`
            select count(*)::int as count from agent_keys where agent_id = ${agentId} and revoked_at is null`,
        )
        if (live && live.count >= maxKeys)
          throw unprocessable(`An agent has at most ${maxKeys} keys: revoke one of them first.`)
        const key = prefix + randomBytes(32).toString('base64url')
        const [row] = await run(
          em,
          sql<KeyRow>`
            insert into agent_keys (id, agent_id, key_hash, name)
            values (${newId()}, ${agentId}, ${hashOf(key)}, ${name ?? null}) returning ${keyColumns}`,
        )
        return { ...presentKey(row as KeyRow), key }
      }),

    /** Repeating closes its sockets once more. @throws AppError not_found for somebody else's agent or key */
    async revoke(
      { agentId, keyId }: Input<'agent:revoke-key'>,
      { actor }: UserContext,
    ): Promise<Record<string, never>> {
      await database.transact(async (em) => {
        await lockOwn(em, agentId, actor.userId)
        const [row] = await run(
          em,
          sql`
            update agent_keys set revoked_at = coalesce(revoked_at, now())
            where id = ${keyId} and agent_id = ${agentId} returning id`,
        )
        if (!row) throw notFound('key')
      })
      fanout.closeSessions([keyId])
      return {}
    },
  }
}

/** What is asked of a key: that it is not revoked, and its agent and owner still there. */
const liveKeys = sql`
  agent_keys k join agents a on a.user_id = k.agent_id
  join users agent on agent.id = k.agent_id and agent.deleted_at is null and k.revoked_at is null
  join users owner on owner.id = a.owner_id and owner.deleted_at is null`

/**
 * Builds the verification of keys. All of it is read in one statement each time, so that a revocation counts at once on
 * every node; that a key was used is noted every few minutes.
 */
export function createKeyAuthenticator({ database, log }: { database: Database; log: Logger }): KeyAuthenticator {
  async function noteUsed(keyId: string): Promise<void> {
    await database
      .query(sql`update agent_keys set last_used_at = now() where id = ${keyId}`)
      .catch((error: unknown) => log.warn({ err: error, keyId }, 'it was not noted that a key was used'))
  }

  return {
    prefix,

    async authenticate(key) {
      const [found] = await database.query(sql<{
        id: string
        agentId: string
        banned: boolean
        ownerBanned: boolean
        stale: boolean
      }>`
        select k.id, k.agent_id as "agentId", agent.banned_at is not null as banned,
          owner.banned_at is not null as "ownerBanned",
          k.last_used_at is null or k.last_used_at < now() - make_interval(mins => ${freshMinutes}) as stale
        from ${liveKeys} where k.key_hash = ${hashOf(key)}`)
      if (!found) throw new AppError('unauthenticated', 'The key of the agent is not valid, or not any more.')
      if (found.banned) throw new AppError('banned', 'This agent is banned.')
      if (found.ownerBanned) throw new AppError('banned', 'The owner of this agent is banned.')
      if (found.stale) await noteUsed(found.id)
      return { actor: { userId: found.agentId, kind: 'agent', sessionId: found.id, role: 'user' } }
    },

    async liveSessions(keyIds) {
      const live = await database.query(sql<{ id: string }>`
        select k.id from ${liveKeys}
        where k.id = any (${keyIds}::uuid[]) and agent.banned_at is null and owner.banned_at is null`)
      return new Set(live.map(({ id }) => id))
    },
  }
}

/**
 * A key as the database knows it. SHA-256 without salt is enough for 256 random bits, and looking it up by index needs no
 * constant time: what the timing may tell is about the hash, which does not lead back to a key.
 */
const hashOf = (key: string): Buffer => createHash('sha256').update(key).digest()
