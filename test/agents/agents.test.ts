import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { sql } from 'kysely'
import { pino } from 'pino'
import type { Agent } from '../../src/agents/agents.contract.ts'
import { agentsSections } from '../../src/agents/own-data.ts'
import { ensureServerAgent } from '../../src/agents/server-agent.ts'
import type { User } from '../../src/identity/identity.contract.ts'
import { eventually } from '../faults/scene.ts'
import { heardDuring, openDirect, openGroup, refuses, send } from '../messenger/scene.ts'
import { ask, connectAgent, makeAgent, makeKey } from '../support/agents.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import { startIdentity } from '../support/identity.ts'
import { join, type Person, register } from '../support/people.ts'
import { isServed, upload } from '../support/uploads.ts'

let server: Backend
let owner: Person
let stranger: Person
before(async () => {
  server = await startBackend()
  ;[owner, stranger] = await Promise.all([join(server.url, 'owner'), join(server.url, 'stranger')])
})
after(async () => {
  owner.close()
  stranger.close()
  await server.end()
})

const by =
  (person: Person | undefined) =>
  <T = Agent>(method: string, path: string, body?: object) =>
    ask<T>(server.url, person?.session.accessToken, method, path, body)

const isRefused = async (answer: Promise<{ status: number; body: { code?: string } }>, code: string) =>
  assert.equal((await answer).body.code, code)

const name = (): string => `agent_${randomBytes(5).toString('hex')}`

const find = async (person: Person, query: string): Promise<string[]> => {
  const { body } = await by(person)<{ items: User[] }>('GET', `/users?query=${encodeURIComponent(query)}`)
  return body.items.map(({ id }) => id)
}

describe('an agent', () => {
  test('is what its owner makes it, and a user like others', async () => {
    const username = name()
    const wish = {
      ...{ kind: 'built_in', username, displayName: 'Poet', description: 'In verse.', temperature: 0.7 },
      ...{ systemPrompt: '\ufeffAnswer with a poem.', maxOutputTokens: 200, isPublic: true },
    }
    const { status, body: agent } = await by(owner)('POST', '/agents', wish)
    assert.equal(status, 201)
    const { id, createdAt, ...rest } = agent
    assert.deepEqual(rest, { ...wish, ownerId: owner.id })
    assert.ok(Math.abs(Date.parse(createdAt) - Date.now()) < 60_000)
    assert.deepEqual((await by(owner)('GET', `/agents/${id}`)).body, agent)
    const { body: user } = await by(stranger)<User>('GET', `/users/${id}`)
    assert.deepEqual(user, { id, kind: 'agent', username, displayName: 'Poet' })
  })

  test('is private and called by its username, unless otherwise said', async () => {
    const { displayName, username, isPublic } = await makeAgent(server.url, owner)
    assert.deepEqual([displayName, isPublic], [username, false])
  })

  test('has a username that nobody else has, in whatever case', async () => {
    const { username } = await makeAgent(server.url, owner)
    for (const taken of [username.toUpperCase(), stranger.username]) {
      const answer = await by(owner)<{ errors: object[] }>('POST', '/agents', { kind: 'external', username: taken })
      assert.deepEqual([answer.status, answer.body.code], [409, 'conflict'])
      assert.deepEqual(answer.body.errors, [{ path: 'username', message: 'is taken' }])
    }
    const person = { username, email: `${username}@example.org`, password: 'correct horse' }
    await isRefused(by(undefined)('POST', '/auth/register', person), 'conflict')
    for (const bad of ['ab', 'a b c', 'x'.repeat(33)])
      await isRefused(by(owner)('POST', '/agents', { kind: 'external', username: bad }), 'invalid_request')
  })

  test('that is external has no model, prompt, temperature or limit', async () => {
    const { id } = await makeAgent(server.url, owner)
    for (const wrong of [{ modelId: 'offline' }, { systemPrompt: 'x' }, { temperature: 0 }, { maxOutputTokens: 1 }]) {
      const wish = { kind: 'external', username: name(), ...wrong }
      await isRefused(by(owner)('POST', '/agents', wish), 'unprocessable')
      await isRefused(by(owner)('PATCH', `/agents/${id}`, wrong), 'unprocessable')
    }
    assert.equal((await by(owner)('PATCH', `/agents/${id}`, { modelId: null, description: 'x' })).status, 200)
  })

  test('is asked by a model that can be asked', async () => {
    const unknown = { kind: 'built_in', username: name(), modelId: 'no-such-model' }
    await isRefused(by(owner)('POST', '/agents', unknown), 'not_found')
    const { id } = await makeAgent(server.url, owner, { kind: 'built_in' })
    await isRefused(by(owner)('PATCH', `/agents/${id}`, { modelId: 'no-such-model' }), 'not_found')
    const { body } = await by(owner)<{ items: { id: string }[] }>('GET', '/models')
    const [model] = body.items
    assert.ok(model, 'the offline model is there without any provider')
    const { body: changed } = await by(owner)('PATCH', `/agents/${id}`, { modelId: model.id })
    assert.equal(changed.modelId, model.id)
    assert.equal((await by(owner)('PATCH', `/agents/${id}`, { modelId: null })).body.modelId, undefined)
  })

  test('changes what is given and keeps the rest; null takes away', async () => {
    const agent = await makeAgent(server.url, owner, { kind: 'built_in', systemPrompt: 'One', description: 'Two' })
    const change = (body: object) => by(owner)('PATCH', `/agents/${agent.id}`, body)
    assert.deepEqual((await change({ temperature: 1.25 })).body, { ...agent, temperature: 1.25 })
    const { systemPrompt, description, ...bare } = agent
    const emptied = await change({ systemPrompt: null, description: null, temperature: null, isPublic: true })
    assert.deepEqual(emptied.body, { ...bare, isPublic: true })
    for (const wrong of [{}, { temperature: 3 }, { displayName: ' ' }, { kind: 'external' }, { username: 'other' }])
      await isRefused(change(wrong), 'invalid_request')
  })

  test('that is renamed is heard of by those who are with it, and by nobody else', async () => {
    const agent = await makeAgent(server.url, owner)
    await owner.do('conversation:create', { type: 'direct', participantIds: [agent.id] })
    const heard = await heardDuring([stranger], async () => {
      await by(owner)('PATCH', `/agents/${agent.id}`, { description: 'not a name' })
      await by(owner)('PATCH', `/agents/${agent.id}`, { displayName: 'Renamed' })
      const payload = await owner.hears(
        'user:changed',
        ({ user }) => (user as unknown as User).displayName === 'Renamed',
      )
      assert.equal((payload.user as unknown as { userId: string }).userId, agent.id)
    })
    assert.deepEqual(heard, [[]])
    assert.equal(owner.heard.filter(({ event }) => event === 'user:changed').length, 1)
  })

  test('wears an image that its owner has uploaded, and nothing of others', async () => {
    const image = async (person: Person) => (await upload(server.url, person.session.accessToken)).id
    const [first, second, foreign] = [await image(owner), await image(owner), await image(stranger)]
    const shown = ({ avatarUrl }: { avatarUrl?: string }) => avatarUrl?.split('/')[3]
    const agent = await makeAgent(server.url, owner, { avatarId: first, isPublic: true })
    assert.equal(shown(agent), first)
    assert.ok(await isServed(server.url, agent.avatarUrl))
    const [listed] = (await by(owner)<{ items: Agent[] }>('GET', '/agents?limit=1')).body.items
    const { body: user } = await by(stranger)<User>('GET', `/users/${agent.id}`)
    assert.deepEqual([shown(listed ?? {}), shown(user)], [first, first])

    const change = (avatarId: string | null) => by(owner)('PATCH', `/agents/${agent.id}`, { avatarId })
    const { id: file } = await upload(server.url, owner.session.accessToken, 'file')
    for (const wrong of [foreign, file, randomUUID()]) {
      await isRefused(change(wrong), 'unprocessable')
      await isRefused(
        by(owner)('POST', '/agents', { kind: 'external', username: name(), avatarId: wrong }),
        'unprocessable',
      )
    }
    await isRefused(by(stranger)('PATCH', `/agents/${agent.id}`, { avatarId: foreign }), 'not_found')

    await owner.do('conversation:create', { type: 'direct', participantIds: [agent.id] })
    const statusOf = async (id: string) => (await by(owner)('GET', `/attachments/${id}`)).status
    assert.equal(shown((await change(second)).body), second)
    await owner.hears('user:changed', ({ user }) => shown(user as unknown as { avatarUrl?: string }) === second)
    await eventually('the first is gone', async () => (await statusOf(first)) === 404)
    assert.equal(
      (await by(owner)('PATCH', `/agents/${agent.id}`, { description: 'x' })).body.avatarUrl !== undefined,
      true,
    )
    assert.equal((await change(null)).body.avatarUrl, undefined)
    await owner.hears('user:changed', ({ user }) => {
      const { userId, avatarUrl } = user as unknown as Partial<Agent> & { userId?: string }
      return userId === agent.id && avatarUrl === undefined
    })
    await eventually('the second is gone', async () => (await statusOf(second)) === 404)

    const third = await image(owner)
    await change(third)
    await by(owner)('DELETE', `/agents/${agent.id}`)
    await eventually('it goes with the agent', async () => (await statusOf(third)) === 404)
  })

  test('is one of a list of its owner’s own, newest first, page by page', async () => {
    const ada = await join(server.url, 'ada')
    const made: string[] = []
    for (let i = 0; i < 5; i++) made.unshift((await makeAgent(server.url, ada)).id)
    const listed: string[] = []
    let cursor = ''
    do {
      const query = `limit=2${cursor && `&cursor=${cursor}`}`
      const { body } = await by(ada)<{ items: Agent[]; nextCursor?: string }>('GET', `/agents?${query}`)
      listed.push(...body.items.map(({ id }) => id))
      cursor = body.nextCursor ?? ''
    } while (cursor)
    assert.deepEqual(listed, made)
    await isRefused(by(ada)('GET', '/agents?cursor=x'), 'invalid_request')
    ada.close()
  })

  test('is one of at most fifty of its owner’s, also where many are made at once', async () => {
    const session = await register(server.url, 'breeder')
    const { user, accessToken } = session
    const make = () => ask(server.url, accessToken, 'POST', '/agents', { kind: 'external', username: name() })
    const answers = await Promise.all(Array.from({ length: 53 }, make))
    assert.deepEqual(
      answers.filter(({ status }) => status !== 201).map(({ body }) => body.code),
      Array(3).fill('unprocessable'),
    )
    const { body } = await ask<{ items: Agent[] }>(server.url, accessToken, 'GET', '/agents?limit=100')
    assert.equal(body.items.filter(({ ownerId }) => ownerId === user.id).length, 50)
  })

  test('is nobody’s but its owner’s to change, and asks for a login', async () => {
    for (const isPublic of [false, true]) {
      const wish = { kind: 'built_in', isPublic, systemPrompt: 'The secret of the house' }
      const { id } = await makeAgent(server.url, owner, wish)
      await isRefused(by(stranger)('PATCH', `/agents/${id}`, { displayName: 'Mine' }), 'not_found')
      await isRefused(by(stranger)('DELETE', `/agents/${id}`), 'not_found')
      await isRefused(by(stranger)('GET', `/agents/${id}/keys`), 'not_found')
      await isRefused(by(stranger)('POST', `/agents/${id}/keys`, {}), 'not_found')
      await isRefused(by(stranger)('DELETE', `/agents/${id}/keys/${randomUUID()}`), 'not_found')
      const { status, body } = await by(stranger)('GET', `/agents/${id}`)
      assert.equal(status, isPublic ? 200 : 404)
      assert.ok(!JSON.stringify(body).includes('secret'), 'what it is told is its owner’s alone')
      const { body: list } = await by(stranger)<{ items: Agent[] }>('GET', '/agents')
      assert.ok(!list.items.some((one) => one.id === id))
      const { body: own } = await by(owner)('GET', `/agents/${id}`)
      assert.deepEqual([own.displayName, own.systemPrompt], [own.username, wish.systemPrompt])
      for (const [method, path] of [
        ...[
          ['GET', ''],
          ['PATCH', ''],
          ['DELETE', ''],
          ['GET', '/keys'],
          ['POST', '/keys'],
        ],
        ['DELETE', `/keys/${randomUUID()}`],
      ] as const)
        await isRefused(by(undefined)(method, `/agents/${id}${path}`), 'unauthenticated')
    }
    for (const [method, path] of [
      ['GET', '/agents'],
      ['POST', '/agents'],
      ['GET', '/models'],
    ] as const)
      await isRefused(by(undefined)(method, path), 'unauthenticated')
  })
})

describe('a private agent', () => {
  test('is found and met by its owner alone, until it is public', async () => {
    const agent = await makeAgent(server.url, owner)
    const { id, username } = agent
    assert.deepEqual([await find(owner, username), await find(stranger, username)], [[id], []])
    await isRefused(by(stranger)('GET', `/users/${id}`), 'not_found')
    assert.equal((await by(owner)('GET', `/users/${id}`)).status, 200)

    const group = await openGroup(stranger, owner)
    const [heard] = await heardDuring([owner], async () => {
      await refuses(stranger, 'not_found', 'conversation:create', { type: 'direct', participantIds: [id] })
      await refuses(stranger, 'not_found', 'conversation:create', { type: 'group', title: 'x', participantIds: [id] })
      await refuses(stranger, 'not_found', 'participant:add', { conversationId: group, userId: id })
    })
    assert.deepEqual(heard, [])
    const own = await openGroup(owner, stranger)
    await owner.do('participant:add', { conversationId: own, userId: id })

    await by(owner)('PATCH', `/agents/${id}`, { isPublic: true })
    assert.deepEqual(await find(stranger, username), [id])
    assert.equal((await by(stranger)('GET', `/users/${id}`)).status, 200)
    await stranger.do('participant:add', { conversationId: group, userId: id })
    await stranger.do('conversation:create', { type: 'direct', participantIds: [id] })

    await by(owner)('PATCH', `/agents/${id}`, { isPublic: false })
    assert.deepEqual(await find(stranger, username), [])
    await refuses(stranger, 'not_found', 'conversation:create', { type: 'group', title: 'x', participantIds: [id] })
  })
})

describe('an agent that is deleted', () => {
  test('leaves its conversations, frees its name, loses its sockets, and its messages stay', async () => {
    const agent = await makeAgent(server.url, owner, { isPublic: true, displayName: 'Passing' })
    const { key } = await makeKey(server.url, owner, agent.id)
    const online = await connectAgent(server.url, key)
    const conversationId = await openGroup(owner, stranger)
    await owner.do('participant:add', { conversationId, userId: agent.id })
    const said = await online.ask('message:send', { conversationId, clientId: randomUUID(), content: 'I was here' })
    assert.ok(said.ok)

    assert.equal((await by(owner)('DELETE', `/agents/${agent.id}`)).status, 204)
    await online.closed()
    const left = await stranger.hears('participants:changed', (payload) =>
      (payload.participants as unknown as { userId: string; leftAt?: string }[]).some(
        ({ userId, leftAt }) => userId === agent.id && leftAt !== undefined,
      ),
    )
    assert.ok(JSON.stringify(left).includes('Deleted user'))
    const { messages } = await owner.do('message:history', { conversationId })
    assert.ok(messages.some(({ senderId, content }) => senderId === agent.id && content === 'I was here'))
    await isRefused(by(owner)('GET', `/agents/${agent.id}`), 'not_found')
    await isRefused(by(owner)('DELETE', `/agents/${agent.id}`), 'not_found')
    await isRefused(by(owner)('GET', `/users/${agent.id}`), 'not_found')
    assert.deepEqual(await find(owner, agent.username), [])
    await assert.rejects(connectAgent(server.url, key), (error: { data?: { code?: string } }) => {
      assert.equal(error.data?.code, 'unauthenticated')
      return true
    })
    await makeAgent(server.url, owner, { username: agent.username })
  })

  test('is so with its owner’s account', async () => {
    const ada = await join(server.url, 'ada')
    const agents = [
      await makeAgent(server.url, ada, { isPublic: true }),
      await makeAgent(server.url, ada, { kind: 'built_in', isPublic: true }),
    ] as const
    const { key } = await makeKey(server.url, ada, agents[0].id)
    const online = await connectAgent(server.url, key)
    const group = await openGroup(stranger)
    for (const { id } of agents) await stranger.do('participant:add', { conversationId: group, userId: id })
    const direct = await openDirect(stranger, ada)
    await send(stranger, direct, 'Farewell')

    const { status } = await by(ada)('DELETE', '/me', { password: 'correct horse' })
    assert.equal(status, 204)
    await online.closed()
    assert.ok(online.heard.some(({ payload }) => payload.kind === 'account_deleted'))
    await assert.rejects(connectAgent(server.url, key))
    await eventually('the agents have left', async () => {
      const { participants } = await stranger.do('participant:list', { conversationId: group })
      return participants.length === 1
    })
    for (const { id, username } of agents) {
      await isRefused(by(stranger)('GET', `/agents/${id}`), 'not_found')
      assert.deepEqual(await find(stranger, username), [])
    }
  })
})

describe('the server’s own agent', () => {
  test('is there from the start, found by everybody and changed by nobody', async () => {
    const [id] = await find(stranger, 'kintsugi')
    assert.ok(id)
    const { body: agent } = await by(stranger)('GET', `/agents/${id}`)
    const { createdAt, description, ...rest } = agent
    assert.deepEqual(rest, { id, kind: 'built_in', username: 'kintsugi', displayName: 'Kintsugi', isPublic: true })
    assert.ok(description)
    await isRefused(by(owner)('PATCH', `/agents/${id}`, { displayName: 'Mine' }), 'not_found')
    await isRefused(by(owner)('DELETE', `/agents/${id}`), 'not_found')
    await isRefused(by(owner)('POST', `/agents/${id}/keys`, {}), 'not_found')
    await stranger.do('conversation:create', { type: 'direct', participantIds: [id] })
  })

  test('is made once, however many nodes start at once; and takes another name where a person has its own', async () => {
    const identity = await startIdentity()
    const { database, agentUsers } = identity
    const lines: string[] = []
    const log = pino({}, { write: (line: string) => lines.push(line) })
    const ensure = () => ensureServerAgent({ database, agentUsers, log })
    const own = () =>
      database.query(sql<{ username: string }>`
      select u.username from agents a join users u on u.id = a.user_id where a.owner_id is null`)
    const forgetIt = () => database.query(sql`delete from users where kind = 'agent'`)

    await Promise.all(Array.from({ length: 8 }, ensure))
    await ensure()
    assert.deepEqual(await own(), [{ username: 'kintsugi' }])
    await forgetIt()
    await identity.register('Kintsugi')
    await Promise.all(Array.from({ length: 8 }, ensure))
    assert.deepEqual(await own(), [{ username: 'kintsugi_agent' }])
    await forgetIt()
    await identity.register('kintsugi_Agent')
    assert.deepEqual(lines, [])
    await ensure()
    assert.deepEqual(await own(), [])
    assert.equal(lines.length, 1, 'that there is none is said in the log')
    await identity.close()
  })
})

test('one’s own agents and their keys are in the export, without what opens a door', async () => {
  const identity = await startIdentity()
  const { database, agentUsers } = identity
  const ada = await identity.register('ada')
  const ben = await identity.register('ben')
  const make = (ownerId: string, username: string) =>
    database.transact(async (em) => {
      const id = await agentUsers.create(em, { username, displayName: username, privateTo: ownerId })
      await sql`insert into agents (user_id, owner_id, kind) values (${id}, ${ownerId}, 'external')`.execute(
        em.getKysely() as never,
      )
      await sql`insert into agent_keys (id, agent_id, key_hash, name) values (${randomUUID()}, ${id}, ${randomBytes(32)},
        ${`key of ${username}`})`.execute(em.getKysely() as never)
      return id
    })
  const own = await make(ada.user.id, 'adas-agent')
  await make(ben.user.id, 'bens-agent')
  const [agents, keys] = agentsSections(database)
  assert.ok(agents && keys)
  const rows: unknown[] = []
  for await (const row of agents.rows(ada.user.id)) rows.push(row)
  assert.deepEqual(rows, [{ ...(rows[0] as object), id: own, ownerId: ada.user.id, username: 'adas-agent' }])
  const keyRows: Record<string, unknown>[] = []
  for await (const row of keys.rows(ada.user.id)) keyRows.push(row as Record<string, unknown>)
  assert.deepEqual(
    keyRows.map((row) => Object.keys(row).sort()),
    [['agentId', 'createdAt', 'id', 'name']],
  )
  assert.deepEqual([keyRows[0]?.agentId, keyRows[0]?.name], [own, 'key of adas-agent'])
  await identity.close()
})
