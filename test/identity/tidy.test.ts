import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from 'kysely'
import { defineTidying } from '../../src/identity/tidy.ts'
import type { Jobs } from '../../src/kernel/ports.ts'
import { startIdentity } from '../support/identity.ts'

test('logins and codes that have expired are removed with their addresses, and no others', async () => {
  const identity = await startIdentity()
  try {
    const { database } = identity
    await identity.register('expired')
    await identity.age(8 * 86_400)
    await database.query(sql`update one_time_codes set expires_at = now() - interval '2 days'`)
    await identity.register('live')
    const handlers: (() => Promise<void>)[] = []
    const jobs = {
      define: ({ handle }: { handle(data: object, job: { id: string; signal: AbortSignal }): Promise<void> }) =>
        handlers.push(() => handle({}, { id: 'test', signal: new AbortController().signal })),
    } as unknown as Jobs
    defineTidying({ database, jobs })
    await handlers[0]?.()
    const owners = (table: string) =>
      database.query(sql<{ username: string }>`
        select u.username from ${sql.table(table)} t join users u on u.id = t.user_id`)
    assert.deepEqual(await owners('refresh_tokens'), [{ username: 'live' }])
    assert.deepEqual(await owners('one_time_codes'), [{ username: 'live' }])
  } finally {
    await identity.close()
  }
})
