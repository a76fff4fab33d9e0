import { defineEntity, p } from '@mikro-orm/core'
import { createdAtColumn, idColumn, timestamp, updatedAtColumn } from '../database/base.entity.ts'
import { User } from '../identity/user.entity.ts'

/**
 * A conversation and its counters. `lastSeq` numbers messages, `lastChange` every durable change, `membersChange` is the
 * change of the latest join or leave, `sharedChange` that of the latest change to anything but messages; all are taken
 * under this row's lock, so they are gapless and in commit order.
 *
 * Every batch of messages writes this row. It therefore has no index on what a batch changes and no updated_at trigger,
 * and pages keep room (fillfactor), so that the update stays within its page (HOT).
 */
const schema = defineEntity({
  name: 'Conversation',
  tableName: 'conversations',
  properties: {
    ...idColumn,
    type: p.text().$type<'direct' | 'group' | 'assistant'>(),
    title: p.text().nullable(),
    avatarId: p.uuid().nullable(),
    createdBy: () => p.manyToOne(User).joinColumn('created_by').nullable().deleteRule('set null'),
    /** The sorted pair of a direct conversation, so that two people have one. */
    directKey: p.text().nullable().unique('conversations_direct_key_unique'),
    /** What the creator's client called it; the same creator and client id give the same conversation. */
    clientId: p.text().nullable(),
    /** Of an assistant conversation: one is an AI chat, several answer side by side. */
    models: p.array().nullable(),
    systemPrompt: p.text().nullable(),
    /** Of a breakout: the conversation that it goes on from, which may be gone since, and the model that it goes on with. */
    parentId: p.uuid().nullable(),
    breakoutModelId: p.text().nullable(),
    /** Whether messages may have to be answered: it is of type assistant, or has had agents among its participants. */
    hasAgents: p.boolean().default(false),
    /** Of a direct conversation: one of the two has blocked the other, and nothing may be written in it. */
    isBlocked: p.boolean().default(false),
    lastSeq: p.integer().default(0),
    lastChange: p.integer().default(0),
    membersChange: p.integer().default(0),
    sharedChange: p.integer().default(0),
    lastMessageAt: timestamp().nullable(),
    deletedAt: timestamp().nullable(),
    ...createdAtColumn,
    ...updatedAtColumn,
  },
  indexes: [
    {
      name: 'conversations_avatar',
      expression: 'create index conversations_avatar on conversations (avatar_id) where avatar_id is not null',
    },
  ],
  uniques: [{ name: 'conversations_client_id_unique', properties: ['createdBy', 'clientId'] }],
})

export class Conversation extends schema.class {}
schema.setClass(Conversation)
