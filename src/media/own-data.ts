import { sql } from 'kysely'
import type { Database } from '../database/database.ts'
import { inPages } from '../kernel/pages.ts'
import type { ExportSection, ObjectStore } from '../kernel/ports.ts'
import { lazily } from './downloads.service.ts'

const pageSize = 200

interface OwnRow {
  id: string
  name: string | null
  key: string
}

/** Media's part of the export of a user's data: the uploads of the user that are still there. */
export function mediaSection(database: Pick<Database, 'query'>, store: Pick<ObjectStore, 'open'>): ExportSection {
  return {
    name: 'media',
    about: 'Your uploads: what they are, and the files themselves in the folder `media`, under their ids and names.',
    rows: (userId) =>
      inPages<{ id: string }>((after) =>
        database.query(sql`
          select id, kind, mime, name, bytes::float8 as bytes,
            to_char(created_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "createdAt"
          from attachments where owner_id = ${userId} and status = 'ready' ${after ? sql`and id > ${after.id}` : sql``}
          order by id limit ${pageSize}`),
      ),
    async *files(userId) {
      const rows = inPages<OwnRow>((after) =>
        database.query(sql`
          select id, name, storage_key as key from attachments
          where owner_id = ${userId} and status = 'ready' ${after ? sql`and id > ${after.id}` : sql``}
          order by id limit ${pageSize}`),
      )
      for await (const { id, name, key } of rows)
        yield { name: `${id}-${safeName(name)}`, content: lazily(() => store.open(key)) }
    },
  }
}

/** As any file system takes it, also those that know fewer letters and end a name at a dot. */
const safeName = (name: string | null): string =>
  [...(name ?? '').replace(/[^\p{L}\p{N}._ -]/gu, '_')]
    .slice(-100)
    .join('')
    .replace(/[. ]+$/, '') || 'file'
