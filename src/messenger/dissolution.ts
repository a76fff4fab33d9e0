import { sql } from 'kysely'
import { type Connection, type Database, run } from '../database/database.ts'
import type { AfterCommit } from '../kernel/domain-events.ts'
import type { Attachments, Jobs } from '../kernel/ports.ts'

/** Messages may have ten attachments each: so many rows go in one transaction. */
const pageSize = 500

/** What a deletion leaves to do. */
export interface Dissolved {
  /** Who was in it. */
  userIds: string[]
  letGo: AfterCommit
}

/** Deletes a conversation, which the transaction has locked. */
export type DissolveIn = (em: Connection, conversationId: string) => Promise<Dissolved>

/**
 * The end of conversations. The rows stay, but for what they refer to: a job lets go of the attachments, some at a time,
 * since there may be any number of them. Nothing is added meanwhile: a deleted conversation takes no messages.
 */
export function createDissolution(deps: {
  database: Database
  attachments: Pick<Attachments, 'release'>
  jobs: Jobs
}): DissolveIn {
  const { database, attachments, jobs } = deps

  const queue = jobs.define<{ conversationId: string }>({
    name: 'let-go-of-attachments',
    expireSeconds: 120,
    retries: 10,
    retryDelaySeconds: 2,
    async handle({ conversationId }, { signal }) {
      while (await letGoOfSome(conversationId)) signal.throwIfAborted()
    },
  })

  /** Whether there were any. */
  async function letGoOfSome(conversationId: string): Promise<boolean> {
    const released = await database.transact(async (em) => {
      const rows = await run(
        em,
        sql<{ id: string }>`
          with page as (
            select conversation_id, message_id, position from message_attachments
            where conversation_id = ${conversationId} order by message_id, position limit ${sql.lit(pageSize)}
          ), parted as (
            delete from message_attachments ma using page
            where ma.conversation_id = page.conversation_id and ma.message_id = page.message_id
              and ma.position = page.position
            returning ma.attachment_id as id
          ), plain as (
            update conversations c set avatar_id = null from conversations b
            where c.id = ${conversationId} and b.id = c.id and b.avatar_id is not null returning b.avatar_id as id
          )
          select id from parted union select id from plain`,
      )
      const ids = rows.map(({ id }) => id)
      return ids.length > 0 && (await attachments.release(em, ids))
    })
    if (!released) return false
    await released()
    return true
  }

  return async (em, conversationId) => {
    await run(
      em,
      sql`update conversations set deleted_at = now(), updated_at = now(), client_id = null where id = ${conversationId}`,
    )
    const rows = await run(
      em,
      sql<{ user_id: string }>`
        select user_id from participants where conversation_id = ${conversationId} and left_at is null`,
    )
    return { userIds: rows.map(({ user_id }) => user_id), letGo: await queue.enqueue(em, { conversationId }) }
  }
}
