import { sql } from 'kysely'
import { type Database, run } from '../database/database.ts'
import { AppError, notFound, unprocessable } from '../kernel/errors.ts'
import type { UserContext } from '../kernel/operation.ts'
import type { Fanout } from '../kernel/ports.ts'
import { lockConversation, nextChange } from './conversation-lock.ts'
import type { CommandOutput, ParsedInput } from './messenger.contract.ts'
import { mayWrite } from './messenger.policy.ts'

/** Different emoji on one message: more would be a way to write texts of any length on someone else's message. */
const maxKinds = 50

/** Reactions to messages. One that is there already, or gone already, changes nothing and announces nothing. */
export function createReactions(deps: { database: Database; fanout: Fanout }) {
  const { database, fanout } = deps

  async function set(
    { conversationId, messageId, emoji }: ParsedInput<'reaction:add'>,
    userId: string,
    added: boolean,
  ): Promise<CommandOutput<'reaction:add'>> {
    const outcome = await database.transact(async (em) => {
      const conversation = await lockConversation(em, conversationId, userId)
      mayWrite(conversation)
      const [message] = await run(
        em,
        sql<{ change: number; deleted_at: string | null; kinds: number }>`
          select change, deleted_at, (
            select count(distinct emoji)::int from reactions
            where conversation_id = ${conversationId} and message_id = ${messageId} and emoji <> ${emoji}
          ) as kinds
          from messages where conversation_id = ${conversationId} and id = ${messageId}`,
      )
      if (!message) throw notFound('message')
      if (message.deleted_at !== null) throw new AppError('gone', 'This message was deleted.')
      if (added && message.kinds >= maxKinds)
        throw unprocessable(`A message takes at most ${maxKinds} different emoji.`)
      const changed = added
        ? sql`insert into reactions (conversation_id, message_id, user_id, emoji, created_at)
            values (${conversationId}, ${messageId}, ${userId}, ${emoji}, clock_timestamp())
            on conflict do nothing returning emoji`
        : sql`delete from reactions where conversation_id = ${conversationId} and message_id = ${messageId}
            and user_id = ${userId} and emoji = ${emoji} returning emoji`
      const rows = await run(em, changed)
      if (rows.length === 0) return { numbers: { prevChange: message.change - 1, change: message.change } }
      const numbers = await nextChange(em, conversation, 'message')
      await run(
        em,
        sql`update messages set change = ${numbers.change} where conversation_id = ${conversationId} and id = ${messageId}`,
      )
      return { numbers, membersChange: conversation.members_change }
    })
    if (outcome.membersChange !== undefined) {
      const payload = { conversationId, ...outcome.numbers, reactions: [{ messageId, userId, emoji, added }] }
      const { membersChange } = outcome
      await fanout.toConversations([{ conversationId, membersChange, event: 'reactions:changed', payload }])
    }
    return outcome.numbers
  }

  return {
    add: (input: ParsedInput<'reaction:add'>, { actor }: UserContext) => set(input, actor.userId, true),
    remove: (input: ParsedInput<'reaction:remove'>, { actor }: UserContext) => set(input, actor.userId, false),
  }
}
