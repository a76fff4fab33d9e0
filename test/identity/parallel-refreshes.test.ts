import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { sql } from 'kysely'
import { openDatabase } from '../../src/database/database.ts'
import type { Tokens } from '../../src/identity/identity.contract.ts'
import type { LoginSession } from '../../src/identity/sessions.contract.ts'
import { assertSound } from '../faults/scene.ts'
import { startBackend } from '../support/backend.ts'
import { register } from '../support/people.ts'

const parallel = 100

test('a hundred refreshes of one token at once give each a token of the one login, and nobody an error', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'kintsugi-parallel-'))
  const server = await startBackend({ DATA_DIR: dataDir })
  t.after(() => server.end().finally(() => rm(dataDir, { recursive: true, force: true })))
  const refresh = ({ refreshToken }: Tokens) =>
    fetch(`${server.url}/v1/auth/refresh`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ refreshToken }),
    })

  const session = await register(server.url, 'tabs')
  const answers = await Promise.all(Array.from({ length: parallel }, () => refresh(session)))
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200])
  const children = await Promise.all(answers.map(async (answer) => (await answer.json()) as Tokens))
  assert.equal(new Set(children.map(({ refreshToken }) => refreshToken)).size, parallel)

  // any of them goes on, and the login is one
  const next = await refresh(children[41] ?? assert.fail())
  assert.equal(next.status, 200)
  const { accessToken } = (await next.json()) as Tokens
  const list = await fetch(`${server.url}/v1/auth/sessions`, { headers: { authorization: `Bearer ${accessToken}` } })
  const { items } = (await list.json()) as { items: LoginSession[] }
  assert.equal(items.length, 1)

  assertSound(server)
  assert.equal(await server.stop(), 0)
  const url = server.env.DATABASE_URL
  const database = await openDatabase({ dataDir, database: { url, pool: 2, statementTimeoutMs: 10_000 } })
  const counting = database.query(sql<{ families: number; tokens: number; traded: number; revoked: number }>`
    select count(distinct family_id)::int as families, count(*)::int as tokens, count(rotated_at)::int as traded,
      count(revoked_at)::int as revoked
    from refresh_tokens where user_id = ${session.user.id}`)
  const rows = await counting.finally(() => database.close())
  assert.deepEqual(rows, [{ families: 1, tokens: 1 + parallel + 1, traded: 2, revoked: 0 }])
})
