import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { sql } from 'kysely'
import type { ExportJob } from '../../src/identity/own-data.contract.ts'
import { unzip } from '../support/archive.ts'
import { register } from '../support/people.ts'
import { type OwnDatabase, startNodes, withoutServices } from '../support/services.ts'
import { assertSound, eventually, startScene } from './scene.ts'

const count = 20_000

/** A group of the user alone, with so many messages that to export them takes a while. */
async function fill({ database }: OwnDatabase, userId: string): Promise<void> {
  const id = randomUUID()
  await database.query(sql`insert into conversations (id, type, created_by, last_seq, last_change)
    values (${id}, 'group', ${userId}, ${count}, ${count})`)
  await database.query(sql`insert into participants (conversation_id, user_id, change) values (${id}, ${userId}, 1)`)
  await database.query(sql`
    insert into messages (conversation_id, id, seq, change, created_change, sender_id, content, created_at)
    select ${id}, gen_random_uuid(), n, n, n, ${userId}, (
        select string_agg(md5(n || ' ' || i), '') from generate_series(1, 32) i
      ), now()
    from generate_series(1, ${count}::int) n`)
}

for (const [how, end] of [
  ['killed', 'kill'],
  ['stopped', 'stop'],
] as const) {
  test(`an export that a node had begun when it was ${how} is made by another one`, {
    skip: withoutServices,
  }, async (t) => {
    const { nodes, a, database } = await startScene(t, 1)
    const eve = await register(a, 'eve')
    await fill(database, eve.user.id)
    const ask = async (url: string) => {
      const response = await fetch(`${url}/v1/me/export`, { headers: { authorization: `Bearer ${eve.accessToken}` } })
      return { status: response.status, job: (await response.json()) as ExportJob }
    }
    const { status, job } = await ask(a)
    assert.equal(status, 202)
    const partsOf = async (): Promise<number> =>
      (await database.database.query(sql`select from data_export_parts where export_id = ${job.jobId}`)).length
    await eventually('it is under way', async () => (await partsOf()) > 0)
    const code = await nodes[0]?.[end]()
    if (end === 'stop') assert.equal(code, 0, nodes[0]?.output())
    assert.ok((await partsOf()) > 0, 'parts of a half export are left')

    // what the queue does by itself when the time of an attempt, or the pause before the next, is over
    await database.database.query(sql`
      update pgboss.job set state = 'retry', start_after = now()
      where name = 'data-export' and state in ('active', 'retry')`)
    const [other] = await startNodes(1, { database })
    t.after(() => other?.kill())
    const { url = '' } = other ?? {}
    let completed = await ask(url)
    await eventually(
      'it is completed',
      async () => {
        completed = await ask(url)
        return completed.status === 200
      },
      30_000,
    )
    assert.equal(completed.job.jobId, job.jobId)
    const file = await fetch(`${url}${completed.job.result?.url}`, {
      headers: { authorization: `Bearer ${eve.accessToken}` },
    })
    const archive = Buffer.from(await file.arrayBuffer())
    assert.equal(archive.length, completed.job.result?.bytes)
    const messages = (await unzip(archive)).json('messages') as { seq: number }[]
    assert.deepEqual(
      messages.map(({ seq }) => seq),
      Array.from({ length: count }, (_, i) => i + 1),
    )
    assertSound(other!)
  })
}
