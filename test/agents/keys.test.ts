import assert from 'node:assert/strict'
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { sql } from 'kysely'
import { pino } from 'pino'
import { io } from 'socket.io-client'
import { createKeyAuthenticator } from '../../src/agents/agent-keys.service.ts'
import type { Agent, AgentKey } from '../../src/agents/agents.contract.ts'
import { assertSound, eventually, startScene } from '../faults/scene.ts'
import { nextEvent } from '../messenger/scene.ts'
import { type AgentSocket, ask, connectAgent, makeAgent, makeKey, type NewKey } from '../support/agents.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import { startIdentity, type TestIdentity, withCode } from '../support/identity.ts'
import { connect, join, type Person } from '../support/people.ts'
import { withoutServices } from '../support/services.ts'

/** As the issue has it: what ends at one node cuts the sockets of the other within a second of the answer. */
const cutLimitMs = 1_000

const refusedWith = (code: string) => (error: { data?: { code?: string; message?: string } }) => {
  assert.equal(error.data?.code, code)
  return true
}

/** The key opens neither door. */
async function isShut(url: string, key: string, code = 'unauthenticated'): Promise<void> {
  await assert.rejects(connectAgent(url, key), refusedWith(code))
  assert.equal((await ask(url, key, 'GET', '/conversations')).body.code, code)
}

/** The socket is open, and the server does what it asks. */
async function goesOn(agent: AgentSocket): Promise<void> {
  const ack = await agent.ask('conversation:list', {})
  assert.ok(ack.ok, JSON.stringify(ack))
}

describe('the keys of an external agent', () => {
  let server: Backend
  let owner: Person
  let agent: Agent
  before(async () => {
    server = await startBackend()
    owner = await join(server.url, 'owner')
    agent = await makeAgent(server.url, owner)
  })
  after(async () => {
    owner.close()
    await server.end()
  })

  const byOwner = <T>(method: string, path: string, body?: object) =>
    ask<T>(server.url, owner.session.accessToken, method, path, body)
  const list = async (id = agent.id) => (await byOwner<{ items: AgentKey[] }>('GET', `/agents/${id}/keys`)).body.items

  test('are shown once, when they are made, and let the agent in', async () => {
    const made = await makeKey(server.url, owner, agent.id, { name: 'production' })
    const { key, ...shown } = made
    assert.match(key, /^kag_[\w-]{43}$/)
    assert.equal(shown.name, 'production')
    const [listed] = await list()
    assert.deepEqual(listed, shown)

    const online = await connectAgent(server.url, key)
    const { userId, sessionId } = online.ready
    assert.deepEqual([userId, sessionId], [agent.id, made.id])
    await goesOn(online)
    online.close()
    assert.equal((await ask(server.url, key, 'GET', '/conversations')).status, 200)
    const [used] = await list()
    assert.ok(used?.lastUsedAt)
  })

  test('are at most ten at once, also where many are made at once', async () => {
    const { id } = await makeAgent(server.url, owner)
    const path = `/agents/${id}/keys`
    const answers = await Promise.all(Array.from({ length: 12 }, () => byOwner<NewKey>('POST', path, {})))
    const refused = answers.filter(({ status }) => status !== 201)
    assert.deepEqual(
      refused.map(({ body }) => body.code),
      ['unprocessable', 'unprocessable'],
    )
    const [first] = await list(id)
    assert.equal((await byOwner('DELETE', `${path}/${first?.id}`)).status, 204)
    assert.equal((await byOwner('POST', path, {})).status, 201)
    const keys = await list(id)
    assert.deepEqual([keys.length, keys.filter(({ revokedAt }) => revokedAt).length], [11, 1])
    assert.ok(keys.at(-1)?.revokedAt, 'those that are good come first')
  })

  test('end one by one: a revoked one lets nobody in, its sockets are closed, and the others go on', async () => {
    const [one, two] = [await makeKey(server.url, owner, agent.id), await makeKey(server.url, owner, agent.id)]
    const online = [
      await connectAgent(server.url, one.key),
      await connectAgent(server.url, one.key),
      await connectAgent(server.url, two.key),
    ] as const
    const revoke = () => byOwner('DELETE', `/agents/${agent.id}/keys/${one.id}`)
    assert.equal((await revoke()).status, 204)
    await Promise.all([online[0].closed(), online[1].closed()])
    await goesOn(online[2])
    online[2].close()
    await isShut(server.url, one.key)
    const revokedAt = (await list()).find(({ id }) => id === one.id)?.revokedAt
    assert.ok(revokedAt)
    assert.equal((await revoke()).status, 204, 'again does no harm')
    assert.equal((await list()).find(({ id }) => id === one.id)?.revokedAt, revokedAt)
  })

  test('are its own: of another agent, or of none, is none of them', async () => {
    const other = await makeAgent(server.url, owner)
    const { id } = await makeKey(server.url, owner, other.id)
    for (const [agentId, keyId] of [
      [agent.id, id],
      [other.id, randomUUID()],
      [randomUUID(), id],
    ])
      assert.equal((await byOwner('DELETE', `/agents/${agentId}/keys/${keyId}`)).body.code, 'not_found')
    assert.equal((await byOwner('DELETE', `/agents/${other.id}/keys/x`)).body.code, 'invalid_request')
    assert.equal(
      (await byOwner('POST', `/agents/${other.id}/keys`, { name: 'x'.repeat(65) })).body.code,
      'invalid_request',
    )
  })

  test('are for external agents alone', async () => {
    const { id } = await makeAgent(server.url, owner, { kind: 'built_in' })
    assert.equal((await byOwner('POST', `/agents/${id}/keys`, {})).body.code, 'unprocessable')
    assert.equal((await byOwner('GET', `/agents/${id}/keys`)).body.code, 'unprocessable')
  })

  test('stand in the handshake alone: with a token beside it is unclear who speaks', async () => {
    const { key } = await makeKey(server.url, owner, agent.id)
    for (const auth of [{ token: owner.session.accessToken, agentKey: key }, {}, { agentKey: 5 }, { agentKey: null }]) {
      const socket = io(server.url, { transports: ['websocket'], auth, forceNew: true, reconnection: false })
      const error = await nextEvent<{ data: { code: string; message: string } }>(socket, 'connect_error')
      socket.disconnect()
      assert.equal(error.data.code, 'unauthenticated')
      assert.match(error.data.message, /\{ token \}.*\{ agentKey \}/)
    }
    await isShut(server.url, `kag_${randomBytes(32).toString('base64url')}`)
    await assert.rejects(connectAgent(server.url, owner.session.accessToken), refusedWith('unauthenticated'))
  })

  test('are counted by their agent: one that is at its limit leaves its owner alone', async () => {
    const limited = await startBackend({ RATE_LIMITS: 'on' })
    const ada = await join(limited.url, 'ada')
    const { id } = await makeAgent(limited.url, ada)
    const online = await connectAgent(limited.url, (await makeKey(limited.url, ada, id)).key)
    const acks = await Promise.all(Array.from({ length: 61 }, () => online.ask('message:search', { query: 'x' })))
    const refused = acks.flatMap((ack) => (ack.ok ? [] : [ack.error.code]))
    assert.deepEqual(refused, ['rate_limited'])
    await ada.do('message:search', { query: 'x' })
    online.close()
    ada.close()
    await limited.end()
  })
})

test('the socket of an agent outlives what closes that of a person, its token’s end', async () => {
  const server = await startBackend({ ACCESS_TOKEN_SECONDS: '3' })
  const ada = await join(server.url, 'ada')
  const { id } = await makeAgent(server.url, ada)
  const online = await connectAgent(server.url, (await makeKey(server.url, ada, id)).key)
  const later = await join(server.url, 'later')
  // whoever came after the agent is closed: by then the agent would have been, too
  await nextEvent(later.socket, 'disconnect')
  await goesOn(online)
  online.close()
  ada.close()
  await server.end()
})

describe('what is known of a key', () => {
  let identity: TestIdentity
  let keys: ReturnType<typeof createKeyAuthenticator>
  before(async () => {
    identity = await startIdentity()
    keys = createKeyAuthenticator({ database: identity.database, log: pino({ level: 'silent' }) })
  })
  after(() => identity.close())

  const query = <T>(statement: ReturnType<typeof sql<T>>) => identity.database.query(statement)

  /** An external agent of somebody new, with a key. */
  async function arrange(name: string) {
    const { user } = await identity.register(name)
    const username = `${name}_agent`
    const agentId = await identity.database.transact((em) =>
      identity.agentUsers.create(em, { username, displayName: username, privateTo: user.id }),
    )
    const key = `kag_${randomBytes(32).toString('base64url')}`
    const keyId = randomUUID()
    const hash = createHash('sha256').update(key).digest()
    await query(sql`insert into agents (user_id, owner_id, kind) values (${agentId}, ${user.id}, 'external')`)
    await query(sql`insert into agent_keys (id, agent_id, key_hash) values (${keyId}, ${agentId}, ${hash})`)
    return { ownerId: user.id, agentId, key, keyId }
  }

  const usedAt = async (keyId: string): Promise<Date | undefined> => {
    const [row] = await query(sql<{ at: string | null }>`select last_used_at as at from agent_keys where id = ${keyId}`)
    return row?.at ? new Date(row.at) : undefined
  }

  test('is whose it is, and nothing that would open a door', async () => {
    const { agentId, key, keyId } = await arrange('plain')
    const actor = { userId: agentId, kind: 'agent', sessionId: keyId, role: 'user' }
    assert.deepEqual(await keys.authenticate(key), { actor })
    const stored = await query(sql<{ row: string }>`select k::text as row from agent_keys k where id = ${keyId}`)
    assert.ok(!JSON.stringify(stored).includes(key.slice(4)))
    for (const wrong of ['', 'kag_', key.slice(0, -1), `${key} `, key.toLowerCase()])
      await assert.rejects(keys.authenticate(wrong), withCode('unauthenticated'))
  })

  test('is when it was used last, to some minutes', async () => {
    const { key, keyId } = await arrange('used')
    await keys.authenticate(key)
    const first = await usedAt(keyId)
    assert.ok(first && Math.abs(first.getTime() - Date.now()) < 60_000)
    await keys.authenticate(key)
    assert.deepEqual(await usedAt(keyId), first, 'not noted anew each time')
    await query(sql`update agent_keys set last_used_at = now() - interval '6 minutes' where id = ${keyId}`)
    await keys.authenticate(key)
    assert.ok(((await usedAt(keyId)) as Date) >= first)
  })

  for (const [what, code, change] of [
    ['is revoked', 'unauthenticated', ({ keyId }) => sql`update agent_keys set revoked_at = now() where id = ${keyId}`],
    ['has a banned agent', 'banned', ({ agentId }) => sql`update users set banned_at = now() where id = ${agentId}`],
    ['has a banned owner', 'banned', ({ ownerId }) => sql`update users set banned_at = now() where id = ${ownerId}`],
    [
      'has a deleted agent',
      'unauthenticated',
      ({ agentId }) => sql`update users set deleted_at = now() where id = ${agentId}`,
    ],
    [
      'has a deleted owner',
      'unauthenticated',
      ({ ownerId }) => sql`update users set deleted_at = now() where id = ${ownerId}`,
    ],
  ] as [string, string, (of: Awaited<ReturnType<typeof arrange>>) => ReturnType<typeof sql>][])
    test(`one that ${what} is not live, also where a node did not hear of it`, async () => {
      const name = what.replaceAll(' ', '_')
      const [of, other] = [await arrange(name), await arrange(`not_${name}`)]
      assert.deepEqual(await keys.liveSessions([of.keyId, other.keyId]), new Set([of.keyId, other.keyId]))
      await query(change(of))
      assert.deepEqual(await keys.liveSessions([of.keyId, other.keyId, randomUUID()]), new Set([other.keyId]))
      await assert.rejects(keys.authenticate(of.key), withCode(code))
      assert.deepEqual(await keys.liveSessions([]), new Set())
    })
})

test('keys on two nodes over Redis', { skip: withoutServices }, async (t) => {
  const { nodes, a, b, database } = await startScene(t, 2)
  const open: { close(): void }[] = []
  t.after(() => {
    for (const one of open) one.close()
  })
  const kept = <T extends { close(): void }>(one: T): T => {
    open.push(one)
    return one
  }
  /** Somebody at the first node whose agent, and a bystander's, are at the second. */
  async function arrange(name: string) {
    const owner = kept(await join(a, name))
    const agent = await makeAgent(a, owner, { isPublic: true })
    const key = await makeKey(a, owner, agent.id)
    const other = kept(await join(b, 'bystander'))
    const otherKey = await makeKey(a, other, (await makeAgent(a, other)).id)
    return {
      ...{ owner, agent, key },
      online: kept(await connectAgent(b, key.key)),
      bystanders: [kept(await connectAgent(b, otherKey.key)), kept(await connectAgent(a, otherKey.key))],
    }
  }
  const cut = async (online: AgentSocket, status: number, asking: () => ReturnType<typeof ask>) => {
    const answered = await asking()
    assert.equal(answered.status, status, JSON.stringify(answered.body))
    await online.closed(cutLimitMs)
  }

  await t.test('one that is revoked at one node is cut at the other, and no other is', async () => {
    const { owner, agent, key, online, bystanders } = await arrange('revoker')
    const spare = await makeKey(b, owner, agent.id)
    const beside = kept(await connectAgent(b, spare.key))
    const path = `/agents/${agent.id}/keys/${key.id}`
    await cut(online, 204, () => ask(a, owner.session.accessToken, 'DELETE', path))
    await Promise.all([...bystanders, beside].map(goesOn))
    await isShut(b, key.key)
  })

  await t.test('those of an agent that is deleted at one node are cut at the other', async () => {
    const { owner, agent, key, online, bystanders } = await arrange('deleter')
    await cut(online, 204, () => ask(a, owner.session.accessToken, 'DELETE', `/agents/${agent.id}`))
    await Promise.all(bystanders.map(goesOn))
    await isShut(b, key.key)
  })

  await t.test('those of an account that is deleted at one node are cut at the other', async () => {
    const { owner, key, online, bystanders } = await arrange('leaver')
    await cut(online, 204, () => ask(a, owner.session.accessToken, 'DELETE', '/me', { password: 'correct horse' }))
    await Promise.all(bystanders.map(goesOn))
    await isShut(b, key.key)
  })

  await t.test(
    'those of somebody who is banned at one node are cut at the other, until the ban is taken back',
    async () => {
      const { owner, key, online, bystanders } = await arrange('rowdy')
      const staff = kept(await join(a, 'staff'))
      await database.database.query(sql`update users set role = 'moderator' where id = ${staff.id}`)
      const path = `/admin/users/${owner.id}/ban`
      const act = (method: string, body?: object) => ask(a, staff.session.accessToken, method, path, body)
      await cut(online, 200, () => act('POST', { reason: 'Insults' }))
      assert.ok(
        online.heard.some(({ payload }) => payload.kind === 'banned'),
        'the agent is told',
      )
      await Promise.all(bystanders.map(goesOn))
      await isShut(b, key.key, 'banned')

      assert.equal((await act('DELETE')).status, 200)
      await goesOn(kept(await connectAgent(b, key.key)))
    },
  )

  await t.test('one who is banned and has no agents closes nobody else’s socket', async () => {
    const { owner, online, bystanders } = await arrange('witness')
    const staff = kept(await join(a, 'staff'))
    const lonely = kept(await join(b, 'lonely'))
    await database.database.query(sql`update users set role = 'moderator' where id = ${staff.id}`)
    const path = `/admin/users/${lonely.id}/ban`
    const { status } = await ask(a, staff.session.accessToken, 'POST', path, { reason: 'Insults' })
    assert.equal(status, 200)
    await eventually('the banned one is cut', () => !lonely.socket.connected)
    await Promise.all([online, ...bystanders].map(goesOn))
    for (const { heard } of [owner, online, ...bystanders])
      assert.ok(!heard.some(({ event }) => event === 'notification'), 'nobody else is told of the ban')
    kept(await connect(b, owner.session))
  })

  assertSound(...nodes)
})
