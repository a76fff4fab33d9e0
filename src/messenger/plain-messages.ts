import type { Database } from '../database/database.ts'
import type { NewMessage, Outcome } from './new-message.ts'

/** Whether a message is text and nothing else, as nearly all are. */
export const isPlain = ({ type, attachmentIds, storyId, replyToId, forward, names }: NewMessage): boolean =>
  (type === undefined || type === 'text') && !attachmentIds && !storyId && !replyToId && !forward && !names

/** What the database functions for plain messages answer: by conversation, in the order in which these were given. */
interface Stored {
  at: string
  /** `last_seq` before the messages, -1 where the conversation was left out; then `last_change` before them. */
  seqs: number[]
  changes: number[]
  members: number[]
}

type Row = { stored: Stored | null }

/** What became of a group, and which of it, by n, was left alone. */
interface PlainOutcome {
  outcome: Outcome
  left: number[]
}

/**
 * Stores plain messages in one transaction, by the functions of migrations/functions/append-plain-messages.ts. What
 * these leave alone, the whole group where they store nothing, is to go by append_messages.
 */
export function createAppendPlain({ prepare }: Pick<Database, 'prepare'>) {
  const appendOne = prepare<Row>('append_message', 'select append_message($1, $2, $3, $4, $5, $6) as stored')
  const appendMany = prepare<Row>(
    'append_plain_messages',
    'select append_plain_messages($1, $2, $3, $4, $5, $6, $7, $8, $9) as stored',
  )

  return async (group: NewMessage[]): Promise<PlainOutcome> => {
    const rooms = new Map<string, { index: number; count: number }>()
    const indexes: number[] = []
    const places: number[] = []
    for (const { conversationId } of group) {
      let room = rooms.get(conversationId)
      if (!room) {
        room = { index: rooms.size, count: 0 }
        rooms.set(conversationId, room)
      }
      room.count += 1
      indexes.push(room.index)
      places.push(room.count)
    }
    const ids = [...rooms.keys()]
    const [only] = group
    const [row] =
      only && group.length === 1
        ? await appendOne([
            only.conversationId,
            only.senderId,
            only.id,
            only.clientId,
            Buffer.from(only.clientHash, 'hex'),
            only.content,
          ])
        : await appendMany([
            ids,
            Array.from(rooms.values(), ({ count }) => count),
            indexes.map((index) => index + 1),
            places,
            group.map(({ senderId }) => senderId),
            group.map(({ id }) => id),
            group.map(({ clientId }) => clientId),
            Buffer.from(group.map(({ clientHash }) => clientHash).join(''), 'hex'),
            group.map(({ content }) => content),
          ])
    const { at, seqs, changes, members } = row?.stored ?? { at: '', seqs: [], changes: [], members: [] }
    const isStored = indexes.map((index) => (seqs[index] ?? -1) >= 0)
    /** A number before a conversation's messages makes theirs; 0 stands for what was left alone. */
    const numbered = (before: number[]) =>
      places.map((place, n) => (isStored[n] ? (before[indexes[n] as number] as number) + place : 0))
    return {
      outcome: {
        at,
        seqs: numbered(seqs),
        changes: numbered(changes),
        types: group.map(() => 'text'),
        refused: [],
        repeated: [],
        replies: [],
        forwards: [],
        attachments: [],
        mentions: [],
        members: Object.fromEntries(
          ids.flatMap((id, index) => ((seqs[index] ?? -1) >= 0 ? [[id, String(members[index])]] : [])),
        ),
        asked: [],
      },
      left: [...group.keys()].filter((n) => !isStored[n]),
    }
  }
}
