import { defineEntity, p } from '@mikro-orm/core'
import { createdAtColumn, timestamp } from '../database/base.entity.ts'
import { User } from '../identity/user.entity.ts'
import { Attachment } from '../media/attachment.entity.ts'
import { Conversation } from './conversation.entity.ts'
import { Message } from './message.entity.ts'

/** An earlier text of an edited message, and when it was replaced. */
export const MessageRevision = defineEntity({
  name: 'MessageRevision',
  tableName: 'message_revisions',
  properties: {
    id: p.bigint('number').primary().autoincrement(),
    message: () => p.manyToOne(Message).joinColumns('conversation_id', 'message_id').deleteRule('cascade'),
    content: p.text(),
    editedAt: timestamp(),
  },
  indexes: [{ name: 'message_revisions_conversation_id_message_id_index', properties: ['message'] }],
})

/** The files of a message, in order. Forwarding adds rows, and no file. */
export const MessageAttachment = defineEntity({
  name: 'MessageAttachment',
  tableName: 'message_attachments',
  properties: {
    message: () => p.manyToOne(Message).joinColumns('conversation_id', 'message_id').primary().deleteRule('cascade'),
    position: p.integer().primary(),
    attachment: () => p.manyToOne(Attachment).deleteRule('no action'),
  },
  indexes: [{ name: 'message_attachments_attachment', properties: ['attachment'] }],
})

/** Someone named with @username in a message; the seq is kept beside it for the count of unread mentions. */
export const Mention = defineEntity({
  name: 'Mention',
  tableName: 'mentions',
  properties: {
    conversation: () => p.manyToOne(Conversation).primary().deleteRule('cascade'),
    seq: p.integer().primary(),
    user: () => p.manyToOne(User).primary().deleteRule('cascade'),
  },
})

export const Reaction = defineEntity({
  name: 'Reaction',
  tableName: 'reactions',
  properties: {
    message: () => p.manyToOne(Message).joinColumns('conversation_id', 'message_id').primary().deleteRule('cascade'),
    user: () => p.manyToOne(User).primary().deleteRule('cascade'),
    emoji: p.text().primary(),
    ...createdAtColumn,
  },
})

/** One row for each advance of a reader: who read message M is each user's first row with upToSeq >= M.seq. */
export const ReadReceipt = defineEntity({
  name: 'ReadReceipt',
  tableName: 'read_receipts',
  properties: {
    conversation: () => p.manyToOne(Conversation).primary().createForeignKeyConstraint(false),
    user: () => p.manyToOne(User).primary().createForeignKeyConstraint(false),
    upToSeq: p.integer().primary(),
    readAt: timestamp(),
  },
})

/**
 * A message that an agent may have to answer. Written in the transaction that stores the message, so that no crash
 * forgets it, and removed by the one that decides who answers.
 */
export const MessageTrigger = defineEntity({
  name: 'MessageTrigger',
  tableName: 'message_triggers',
  properties: {
    conversation: () => p.manyToOne(Conversation).primary().deleteRule('cascade'),
    seq: p.integer().primary(),
    /** The one agent or model that is still to answer it; empty: whoever it is that the message asks. */
    answerer: p.text().default('').primary(),
    messageId: p.uuid(),
    /** Who pays for the answers, where that is not the sender: whoever set off a chain of agents. */
    requestedBy: () => p.manyToOne(User).joinColumn('requested_by').nullable().deleteRule('set null'),
    ...createdAtColumn,
  },
  indexes: [{ name: 'message_triggers_created', properties: ['createdAt'] }],
})
