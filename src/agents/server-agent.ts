import { sql } from 'kysely'
import type { Logger } from 'pino'
import { type Connection, type Database, run } from '../database/database.ts'
import type { createIdentity } from '../identity/index.ts'
import { AppError } from '../kernel/errors.ts'

/** Identity's face for users of kind agent. */
export type AgentUsers = ReturnType<typeof createIdentity>['agentUsers']

/** The second for where a person has called themself by the first. */
const usernames = ['kintsugi', 'kintsugi_agent']

const description =
  'The assistant of this server, answered by its standard model. Write to it directly, or add it to a group and mention it.'

/**
 * Makes the server's own agent, which everybody can write to, if it is not there yet; of nodes that start at once one makes
 * it, and the others wait for that and find it.
 */
export async function ensureServerAgent(deps: {
  database: Database
  agentUsers: AgentUsers
  log: Logger
}): Promise<void> {
  const { database, agentUsers, log } = deps
  await database.transact(async (em) => {
    for (const username of usernames) {
      // looked for again after a name was taken: it may be the agent that has it since
      if (await isThere(em)) return
      const id = await agentUsers.create(em, { username, displayName: 'Kintsugi', privateTo: null }).catch(unlessTaken)
      if (id === undefined) continue
      await run(
        em,
        sql`insert into agents (user_id, owner_id, kind, description) values (${id}, null, 'built_in', ${description})`,
      )
      return
    }
    if (!(await isThere(em))) log.warn({ usernames }, "people have the names of the server's agent: there is none")
  })
}

async function isThere(em: Connection): Promise<boolean> {
  const [found] = await run(em, sql`select user_id from agents where owner_id is null`)
  return found !== undefined
}

function unlessTaken(error: unknown): undefined {
  if (error instanceof AppError && error.code === 'conflict') return undefined
  throw error
}
