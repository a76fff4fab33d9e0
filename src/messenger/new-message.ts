import type { AttachmentFacts } from '../media/index.ts'
import type { Message } from './messenger.contract.ts'

/** A message as it is handed to the database functions of the send path. */
export interface NewMessage {
  id: string
  conversationId: string
  senderId: string
  clientId: string
  /** SHA-256 of the input as it came, in hex. */
  clientHash: string
  /** Follows from the attachments; given, it has to be that. */
  type?: Message['type'] | undefined
  content: string
  attachmentIds?: string[] | undefined
  /** The story that it answers. */
  storyId?: string | undefined
  replyToId?: string | undefined
  forward?: { conversationId: string; messageId: string } | undefined
  /** Lower-case usernames that the text mentions. */
  names?: string[] | undefined
  /** The socket that sent it; hears the acknowledgment in place of the event. */
  socketId?: string | undefined
}

/** What append_messages answers, as migrations/functions/append-messages.ts says. */
export interface Outcome {
  at: string
  /** By n; 0 where it was not stored. */
  seqs: number[]
  changes: number[]
  types: Message['type'][]
  refused: [n: number, why: 'busy' | 'absent' | 'reply' | 'source' | 'blocked' | 'attachment' | 'kind'][]
  repeated: { n: number; same: boolean; id: string; seq: number; change: number; at: string }[]
  replies: { n: number; id: string; seq: number; sender: string | null; excerpt: string }[]
  forwards: { n: number; content: string; from: Message['forwardedFrom'] }[]
  attachments: { n: number; facts: AttachmentFacts[] }[]
  mentions: [n: number, userId: string][]
  members: Record<string, string>
  /** Conversations in which an agent may have to answer now. */
  asked: string[]
}
