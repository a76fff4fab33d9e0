import { defineEntity, p } from '@mikro-orm/core'
import { createdAtColumn, idColumn, timestamp } from '../database/base.entity.ts'
import { User } from './user.entity.ts'

/** A user's data as a file for that user, and how far it is made. */
export const DataExport = defineEntity({
  name: 'DataExport',
  tableName: 'data_exports',
  properties: {
    ...idColumn,
    user: () => p.manyToOne(User).deleteRule('cascade'),
    status: p.enum(['queued', 'running', 'completed', 'failed'] as const).default('queued'),
    /** Sections done, of how many. */
    completed: p.integer().default(0),
    total: p.integer().default(0),
    bytes: p.integer().nullable(),
    finishedAt: timestamp().nullable(),
    ...createdAtColumn,
  },
  indexes: [{ name: 'data_exports_user', properties: ['user', 'createdAt'] }],
})

/** The file, in parts that fit into memory: in the database, since nodes share no disk. */
export const DataExportPart = defineEntity({
  name: 'DataExportPart',
  tableName: 'data_export_parts',
  properties: {
    export: () => p.manyToOne(DataExport).primary().deleteRule('cascade'),
    position: p.integer().primary(),
    content: p.blob(),
  },
})
