import type { Message } from '../../../src/client/index.ts'
import { client, myId } from '../state/session.ts'

/** A vote is a reaction, so that every client shows it. */
const voteEmoji = '👍'

export const hasVote = ({ reactions }: Message): boolean =>
  reactions?.some(({ emoji, userIds }) => emoji === voteEmoji && userIds.includes(myId())) ?? false

/** Gives the own vote to one of the answers to a question, and takes it from another; or takes it back from this one. */
export async function vote(answers: readonly Message[], chosen: Message): Promise<void> {
  const { conversationId } = chosen
  for (const { id: messageId } of answers.filter(hasVote))
    await client.command('reaction:remove', { conversationId, messageId, emoji: voteEmoji })
  if (!hasVote(chosen)) await client.command('reaction:add', { conversationId, messageId: chosen.id, emoji: voteEmoji })
}
