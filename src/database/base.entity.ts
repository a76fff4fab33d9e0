import { p } from '@mikro-orm/core'

/**
 * Columns that many tables share. Ids are UUIDv7, made by the application: time-ordered, so that new rows land side by
 * side in the index. `updated_at` is kept by a trigger in the database, so that plain SQL keeps it too.
 */
export const idColumn = { id: p.uuid().primary() }

export const timestamp = () => p.datetime(6)

export const createdAtColumn = { createdAt: timestamp().defaultRaw('now()') }

export const updatedAtColumn = { updatedAt: timestamp().defaultRaw('now()') }
