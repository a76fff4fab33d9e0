import { sql } from 'kysely'
import { z } from 'zod'
import { type Connection, type Database, run } from '../database/database.ts'
import { decodeCursor, encodeCursor, keyId, keyTime, keyTimeOf } from '../kernel/cursors.ts'
import { notFound, unprocessable } from '../kernel/errors.ts'
import type { UserContext } from '../kernel/operation.ts'
import type { Attachments, MediaUrls } from '../kernel/ports.ts'
import type { Agent, Input, Output } from './agents.contract.ts'
import { assertFits, maxAgents } from './agents.policy.ts'
import { type AgentRow, agentColumns, presentAgent } from './agents.presenter.ts'
import { lockOwn } from './own-agents.ts'
import type { AgentUsers } from './server-agent.ts'

/** What agents ask of the catalogue of models. */
export interface Models {
  /** Those that can be asked. */
  list(): Promise<Output<'model:list'>['items']>
  /** @throws AppError not_found */
  requireUsable(ids: string[]): Promise<void>
}

export type Agents = ReturnType<typeof createAgentsService>

/** A place in the list: when it was made, and its id. */
const listKey = z.tuple([keyTime, keyId])

/**
 * Owns `agents`: what their owners make of them. Always holds: whoever changes an agent has locked its user's row, and whoever
 * makes one its owner's, so that an account that goes takes all of its agents along.
 */
export function createAgentsService(deps: {
  database: Database
  attachments: Pick<Attachments, 'hold'>
  urls: MediaUrls
  agentUsers: AgentUsers
  models: Models
}) {
  const { database, attachments, urls, agentUsers, models } = deps

  return {
    /** @throws AppError invalid_request for a cursor that is not of this list */
    async list({ cursor, limit }: Input<'agent:list'>, { actor }: UserContext): Promise<Output<'agent:list'>> {
      const after = cursor === undefined ? undefined : decodeCursor(cursor, listKey)
      const rows = await database.query(
        sql<AgentRow & { place: string }>`
          select ${agentColumns}, ${keyTimeOf('a.created_at')} as place
          from agents a join users u on u.id = a.user_id
          where a.owner_id = ${actor.userId} and u.deleted_at is null
            ${after ? sql`and (a.created_at, a.user_id) < (${after[0]}::timestamptz, ${after[1]}::uuid)` : sql``}
          order by a.created_at desc, a.user_id desc limit ${limit + 1}`,
      )
      const page = rows.slice(0, limit)
      const last = page.at(-1)
      return {
        items: page.map((row) => presentAgent(row, actor.userId, urls)),
        ...(rows.length > limit && last && { nextCursor: encodeCursor([last.place, last.id]) }),
      }
    },

    /** @throws AppError not_found, also for somebody else's private agent */
    async get({ agentId }: Input<'agent:get'>, { actor }: UserContext): Promise<Agent> {
      const [row] = await database.query(sql<AgentRow>`
        select ${agentColumns} from agents a join users u on u.id = a.user_id
        where u.id = ${agentId} and u.deleted_at is null and (a.owner_id = ${actor.userId} or u.private_to is null)`)
      if (!row) throw notFound('agent')
      return presentAgent(row, actor.userId, urls)
    },

    /** @throws AppError conflict where the username is taken, not_found for a model that cannot be asked, unprocessable */
    async create(input: Input<'agent:create'>, { actor }: UserContext): Promise<Agent> {
      const { kind, username, displayName = username, avatarId, description, isPublic, ...asking } = input
      assertFits(kind, asking)
      if (asking.modelId !== undefined) await models.requireUsable([asking.modelId])
      return database.transact(async (em) => {
        await assertHasRoom(em, actor.userId)
        if (avatarId !== undefined) await attachments.hold(em, actor.userId, avatarId, ['image'])
        const privateTo = isPublic ? null : actor.userId
        const id = await agentUsers.create(em, { username, displayName, privateTo, avatarId })
        await run(
          em,
          sql`
            insert into agents (user_id, owner_id, kind, description, model_id, system_prompt, temperature,
              max_output_tokens)
            values (${id}, ${actor.userId}, ${kind}, ${description ?? null}, ${asking.modelId ?? null},
              ${asking.systemPrompt ?? null}, ${asking.temperature ?? null}, ${asking.maxOutputTokens ?? null})`,
        )
        return presentAgent(await read(em, id), actor.userId, urls)
      })
    },

    /** @throws AppError not_found for somebody else's agent and for a model that cannot be asked, unprocessable */
    async update(input: Input<'agent:update'>, { actor }: UserContext): Promise<Agent> {
      const { agentId, displayName, avatarId, isPublic, description, ...asking } = input
      const { modelId, systemPrompt, temperature, maxOutputTokens } = asking
      if (typeof modelId === 'string') await models.requireUsable([modelId])
      const { changed, afterCommit } = await database.transact(async (em) => {
        assertFits(await lockOwn(em, agentId, actor.userId), asking)
        if (avatarId) await attachments.hold(em, actor.userId, avatarId, ['image'])
        const afterCommit = await agentUsers.update(em, agentId, {
          displayName,
          avatarId,
          ...(isPublic !== undefined && { privateTo: isPublic ? null : actor.userId }),
        })
        await run(
          em,
          sql`
            update agents set
              description = ${orAsItIs('description', description)}, model_id = ${orAsItIs('model_id', modelId)},
              system_prompt = ${orAsItIs('system_prompt', systemPrompt)},
              temperature = ${orAsItIs('temperature', temperature)},
              max_output_tokens = ${orAsItIs('max_output_tokens', maxOutputTokens)}
            where user_id = ${agentId}`,
        )
        return { changed: await read(em, agentId), afterCommit }
      })
      await afterCommit()
      return presentAgent(changed, actor.userId, urls)
    },

    /** @throws AppError not_found for somebody else's agent and for one that is deleted */
    async delete({ agentId }: Input<'agent:delete'>, { actor }: UserContext): Promise<Record<string, never>> {
      const afterCommit = await database.transact(async (em) => {
        await lockOwn(em, agentId, actor.userId, 'end')
        return agentUsers.remove(em, agentId)
      })
      await afterCommit()
      return {}
    },
  }
}

const orAsItIs = (column: string, value: string | number | null | undefined) =>
  value === undefined ? sql.ref(column) : sql`${value}`

/**
 * Locks the owner's row, so that of two agents that are made at once the second is counted with the first.
 * @throws AppError unprocessable, not_found where the account is being deleted
 */
async function assertHasRoom(em: Connection, ownerId: string): Promise<void> {
  const [owner] = await run(
    em,
    sql`select id from users where id = ${ownerId} and deleted_at is null for no key update`,
  )
  if (!owner) throw notFound('account')
  const [row] = await run(
    em,
    sql<{ count: number }>`select count(*)::int as count from agents where owner_id = ${ownerId}`,
  )
  if (row && row.count >= maxAgents) throw unprocessable(`One person has at most ${maxAgents} agents.`)
}

async function read(em: Connection, agentId: string): Promise<AgentRow> {
  const [row] = await run(
    em,
    sql<AgentRow>`select ${agentColumns} from agents a join users u on u.id = a.user_id where u.id = ${agentId}`,
  )
  if (!row) throw notFound('agent')
  return row
}
