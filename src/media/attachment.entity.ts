import { defineEntity, p } from '@mikro-orm/core'
import { createdAtColumn, idColumn, timestamp } from '../database/base.entity.ts'
import { User } from '../identity/user.entity.ts'

/**
 * The bytes of attachments, by what is in them: files with the same bytes are one object, however many people have sent
 * them. The row is there before the object, and goes after it.
 */
export const MediaObject = defineEntity({
  name: 'MediaObject',
  tableName: 'media_objects',
  properties: {
    /** SHA-256 of the bytes, in hex, below a folder of its first two digits. */
    key: p.text().primary(),
    bytes: p.bigint('number'),
    /** Null: it is on its way. */
    storedAt: timestamp().nullable(),
    /** It is being removed: whoever brings the same bytes waits until it has gone. */
    removingAt: timestamp().nullable(),
    ...createdAtColumn,
  },
  indexes: [
    {
      name: 'media_objects_removing',
      expression: 'create index media_objects_removing on media_objects (removing_at) where removing_at is not null',
    },
  ],
})

/** A file that somebody has uploaded. One that nothing refers to is removed a day after the upload. */
const schema = defineEntity({
  name: 'Attachment',
  tableName: 'attachments',
  properties: {
    ...idColumn,
    /** Null: the account was deleted, and others still see the file. */
    owner: () => p.manyToOne(User).joinColumn('owner_id').nullable().deleteRule('set null'),
    kind: p.enum(['image', 'video', 'audio', 'file'] as const),
    mime: p.text(),
    name: p.text().nullable(),
    /** Of the file; with the thumbnail, what it counts of its owner's quota. */
    bytes: p.bigint('number'),
    thumbnailBytes: p.bigint('number'),
    width: p.integer().nullable(),
    height: p.integer().nullable(),
    durationMs: p.integer().nullable(),
    preview: p.text().nullable(),
    /** SHA-256 of the file as it is stored. */
    sha256: p.blob(),
    storage: () => p.manyToOne(MediaObject).joinColumn('storage_key').deleteRule('no action'),
    thumbnail: () => p.manyToOne(MediaObject).joinColumn('thumbnail_key').nullable().deleteRule('no action'),
    /** `pending`: its objects are on their way. */
    status: p.enum(['pending', 'ready'] as const).default('pending'),
    /** When it is looked whether anything refers to it; null: something did when it was last looked. */
    checkAt: timestamp().nullable(),
    ...createdAtColumn,
  },
  indexes: [
    { name: 'attachments_owner', properties: ['owner', 'id'] },
    { name: 'attachments_storage_key', properties: ['storage'] },
    {
      name: 'attachments_thumbnail_key',
      expression:
        'create index attachments_thumbnail_key on attachments (thumbnail_key) where thumbnail_key is not null',
    },
    {
      name: 'attachments_check',
      expression: 'create index attachments_check on attachments (check_at) where check_at is not null',
    },
  ],
})

export class Attachment extends schema.class {}
schema.setClass(Attachment)

/** How much somebody's uploads come to: kept by guarded updates, so that many uploads at once stay within the quota. */
export const MediaUsage = defineEntity({
  name: 'MediaUsage',
  tableName: 'media_usage',
  properties: {
    user: () => p.manyToOne(User).primary().deleteRule('cascade'),
    bytes: p.bigint('number'),
  },
  checks: [{ name: 'media_usage_bytes_check', expression: 'bytes >= 0' }],
})
