import { sql } from 'kysely'
import { type Database, run } from '../database/database.ts'
import type { Fanout, MediaUrls } from '../kernel/ports.ts'
import { type ConversationRow, conversationColumns, presentShared } from './conversation.presenter.ts'
import { holdConversation, nextChange } from './conversation-lock.ts'

/** Names assistant conversations that their creators have not named; one that has a title keeps it. */
export function createTitles(deps: { database: Database; fanout: Pick<Fanout, 'toConversations'>; urls: MediaUrls }) {
  const { database, fanout, urls } = deps

  return async function giveTitle(conversationId: string, title: string): Promise<void> {
    const named = await database.transact(async (em) => {
      const held = await holdConversation(em, conversationId)
      const rows = await run(
        em,
        sql`
          update conversations set title = ${title}, updated_at = now()
          where id = ${conversationId} and type = 'assistant' and title is null and deleted_at is null returning id`,
      )
      if (!held || rows.length === 0) return undefined
      return { ...(await nextChange(em, held, 'shared')), membersChange: held.members_change }
    })
    if (!named) return
    const { prevChange, change, membersChange } = named
    // what it says of its viewer is left out below
    const [row] = await database.query(
      sql<ConversationRow>`
        select ${conversationColumns} from conversations c join participants me on me.conversation_id = c.id
        where c.id = ${conversationId} limit 1`,
    )
    if (!row) return
    const payload = { conversationId, prevChange, change, conversation: presentShared(row, urls) }
    await fanout.toConversations([{ conversationId, membersChange, event: 'conversation:updated', payload }])
  }
}
