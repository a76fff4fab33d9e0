import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Client } from 'pg'
import { pino } from 'pino'
import { seed } from '../../bench/seed.ts'
import { createCrowd } from '../../bench/world.ts'
import { tokenKey } from '../../src/identity/access-token.ts'
import { createAuthenticator } from '../../src/identity/authenticator.ts'
import { createMemberships } from '../../src/messenger/index.ts'
import { openTestDatabase } from '../support/database.ts'
import { jwtSecret } from '../support/server.ts'

const skip = process.env.DATABASE_URL ? false : 'DATABASE_URL names no PostgreSQL'

test('the people of the bench are seeded with logins and conversations that the server takes', { skip }, async () => {
  const { database, url, close } = await openTestDatabase()
  const client = new Client({ connectionString: url ?? '' })
  try {
    await client.connect()
    const world = createCrowd(6, 2, 3, 4)
    await seed(
      {
        query: async <T>(text: string, values?: unknown[]) => (await client.query(text, values)).rows as T[],
        close: () => client.end(),
      },
      world,
      jwtSecret,
    )
    const authenticator = createAuthenticator(database, tokenKey(jwtSecret), pino({ level: 'silent' }))
    const memberships = createMemberships(database)
    for (const { id, token } of world.people) {
      assert.equal((await authenticator.authenticate(token)).actor.userId, id)
      assert.equal((await memberships.conversationsOf(id)).length, 2)
    }
  } finally {
    await client.end()
    await close()
  }
})
