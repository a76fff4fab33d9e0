import { defineEntity, p } from '@mikro-orm/core'
import { timestamp } from '../database/base.entity.ts'
import { User } from '../identity/user.entity.ts'
import { Conversation } from './conversation.entity.ts'

/**
 * Messages, every key led by the conversation, so that the table can be partitioned or sharded by it. The send path
 * writes them in groups by the database function append_messages; nothing loads them as entities.
 */
const schema = defineEntity({
  name: 'Message',
  tableName: 'messages',
  properties: {
    conversation: () => p.manyToOne(Conversation).primary().createForeignKeyConstraint(false),
    id: p.uuid().primary(),
    /** Position: 1, 2, 3 … without a gap. */
    seq: p.integer(),
    /** The conversation's change at which this row last changed. */
    change: p.integer(),
    /** The change at which it was created: what a repeated send is told again. */
    createdChange: p.integer(),
    /** Null: the system, or a user whose row is gone. */
    sender: () => p.manyToOne(User).nullable().createForeignKeyConstraint(false),
    role: p.text().$type<'user' | 'assistant' | 'system'>().default('user'),
    type: p.text().$type<'text' | 'image' | 'video' | 'audio' | 'file' | 'system'>().default('text'),
    content: p.text(),
    /** A message of the same conversation; no foreign key, since messages are never removed one by one. */
    replyToId: p.uuid().nullable(),
    /** Where it was forwarded from; kept as facts, since the source may be out of the reader's sight. */
    forwardedFrom: p.json<{ messageId: string; senderId?: string }>().nullable(),
    /** The story that it answers, which is gone after a day; no foreign key, since stories stand to the right. */
    storyId: p.uuid().nullable(),
    /** Opaque to us: compared byte by byte. */
    clientId: p.text().nullable().collation('C'),
    /** SHA-256 of the original input: tells a repeated send from another one under the same client id. */
    clientHash: p.blob().nullable(),
    status: p.text().$type<'sent' | 'streaming' | 'failed' | 'cancelled'>().default('sent'),
    /** The model that wrote it, where one did, and what that took. */
    modelId: p.text().nullable(),
    inputTokens: p.integer().nullable(),
    outputTokens: p.integer().nullable(),
    credits: p.bigint('number').nullable(),
    processingTimeMs: p.integer().nullable(),
    /** Why a message of status `failed` is not whole. */
    errorCode: p.text().nullable(),
    editedAt: timestamp().nullable(),
    deletedAt: timestamp().nullable(),
    createdAt: timestamp(),
  },
  uniques: [
    { name: 'messages_seq_unique', properties: ['conversation', 'seq'] },
    { name: 'messages_client_id_unique', properties: ['conversation', 'sender', 'clientId'] },
  ],
  indexes: [{ name: 'messages_change', properties: ['conversation', 'change'] }],
})

export class Message extends schema.class {}
schema.setClass(Message)
