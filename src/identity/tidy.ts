import { sql } from 'kysely'
import type { Database } from '../database/database.ts'
import type { Jobs } from '../kernel/ports.ts'

/** Rows that one statement removes: few enough to hold up nobody. */
const batch = 1_000

/** Removes, every hour, what nobody can use any more: logins and codes that have expired, with the addresses in them. */
export function defineTidying({ database, jobs }: { database: Pick<Database, 'query'>; jobs: Jobs }): void {
  const expired = [
    sql`delete from refresh_tokens where token_hash in (
      select token_hash from refresh_tokens where expires_at <= now() limit ${batch}) returning 1`,
    sql`delete from one_time_codes where id in (
      select id from one_time_codes where expires_at <= now() - interval '1 day' limit ${batch}) returning 1`,
  ]
  jobs.define({
    name: 'logins-clear',
    expireSeconds: 300,
    retries: 1,
    schedule: '41 * * * *',
    async handle(_data, { signal }) {
      for (const statement of expired) {
        while ((await database.query(statement)).length === batch) signal.throwIfAborted()
      }
    },
  })
}
