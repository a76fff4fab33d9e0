import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import type { Block } from '../../src/identity/blocks.contract.ts'
import { heardDuring, openDirect, openGroup, refuses, send } from '../messenger/scene.ts'
import { ask, makeAgent, makeKey } from '../support/agents.ts'
import { unzip } from '../support/archive.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import { join, type Person } from '../support/people.ts'

let server: Backend
before(async () => {
  server = await startBackend()
})
after(() => server.end())

const people = <N extends string[]>(...names: N) =>
  Promise.all(names.map((name) => join(server.url, name))) as Promise<{ [K in keyof N]: Person }>

const by = <T = Record<string, unknown>>(person: Person | undefined, method: string, path: string, body?: object) =>
  ask<T>(server.url, person?.session.accessToken, method, path, body)

const block = (person: Person, id: string) => by(person, 'POST', `/me/blocks/${id}`)
const unblock = (person: Person, id: string) => by(person, 'DELETE', `/me/blocks/${id}`)
const listOf = async (person: Person) => (await by<{ items: Block[] }>(person, 'GET', '/me/blocks')).body.items
const blocked = async (person: Person) => (await listOf(person)).map(({ id }) => id)
const isRefused = async (answer: Promise<{ body: { code?: string } }>, code: string) =>
  assert.equal((await answer).body.code, code)

const directWith = ({ id }: Person) => ({ type: 'direct', participantIds: [id] })

describe('a block', () => {
  test('stands in the list of who made it, newest first, until it is taken back; repeats change nothing', async () => {
    const [ann, bob, carl] = await people('ann', 'bob', 'carl')
    assert.equal((await block(ann, bob.id)).status, 204)
    const [first] = await listOf(ann)
    assert.equal((await block(ann, carl.id)).status, 204)
    assert.equal((await block(ann, bob.id.toUpperCase())).status, 204)
    const items = await listOf(ann)
    assert.deepEqual(items[1], first)
    const { createdAt, ...face } = items[0] as Block
    assert.deepEqual(face, (await by(bob, 'GET', `/users/${carl.id}`)).body)
    assert.ok(Math.abs(Date.parse(createdAt) - Date.now()) < 60_000)
    for (let i = 0; i < 2; i += 1) assert.equal((await unblock(ann, bob.id)).status, 204)
    assert.deepEqual(await blocked(ann), [carl.id])
    assert.deepEqual([await listOf(bob), await listOf(carl)], [[], []])
  })

  test('is listed page by page', async () => {
    const [ann, ...others] = await people('ann', 'b', 'c', 'd', 'e', 'f')
    for (const { id } of others) await block(ann, id)
    const listed: string[] = []
    let cursor = ''
    do {
      const query = `limit=2${cursor && `&cursor=${cursor}`}`
      const { body } = await by<{ items: Block[]; nextCursor?: string }>(ann, 'GET', `/me/blocks?${query}`)
      listed.push(...body.items.map(({ id }) => id))
      cursor = body.nextCursor ?? ''
    } while (cursor)
    assert.deepEqual(listed, others.map(({ id }) => id).reverse())
    await isRefused(by(ann, 'GET', '/me/blocks?cursor=x'), 'invalid_request')
  })

  test('is of somebody else whom one can find, a person or an agent', async () => {
    const [ann, bob, gone] = await people('ann', 'bob', 'gone')
    await by(gone, 'DELETE', '/me', { password: 'correct horse' })
    const open = await makeAgent(server.url, bob, { isPublic: true })
    const hidden = await makeAgent(server.url, bob)
    await isRefused(block(ann, ann.id), 'unprocessable')
    for (const id of [randomUUID(), gone.id, hidden.id]) await isRefused(block(ann, id), 'not_found')
    await isRefused(block(ann, 'x'), 'invalid_request')
    assert.deepEqual([(await block(ann, open.id)).status, (await block(bob, hidden.id)).status], [204, 204])
    assert.deepEqual(await blocked(ann), [open.id])
    for (const id of [randomUUID(), ann.id, gone.id]) assert.equal((await unblock(ann, id)).status, 204)
  })

  test('is made by people who are signed in', async () => {
    const [ann, bob] = await people('ann', 'bob')
    const { id } = await makeAgent(server.url, ann)
    const { key } = await makeKey(server.url, ann, id)
    for (const [method, path] of [
      ['POST', `/me/blocks/${bob.id}`],
      ['DELETE', `/me/blocks/${bob.id}`],
      ['GET', '/me/blocks'],
    ] as const) {
      await isRefused(by(undefined, method, path), 'unauthenticated')
      await isRefused(ask(server.url, key, method, path), 'forbidden')
    }
  })

  test('is heard of by nobody, and whom it is of finds who made it as before', async () => {
    const [ann, bob, carl] = await people('ann', 'bob', 'carl')
    await openDirect(ann, bob)
    const before = await by(bob, 'GET', `/users/${ann.id}`)
    const heard = await heardDuring([ann, bob, carl], async () => {
      await block(ann, bob.id)
      await unblock(ann, bob.id)
      await block(ann, bob.id)
    })
    assert.deepEqual(heard, [[], [], []])
    assert.deepEqual((await by(bob, 'GET', `/users/${ann.id}`)).body, before.body)
    const { body } = await by<{ items: { id: string }[] }>(bob, 'GET', `/users?query=${ann.username}`)
    assert.deepEqual(
      body.items.map(({ id }) => id),
      [ann.id],
    )
  })

  test('lets nothing new begin between the two, whoever made it', async () => {
    const [ann, bob, carl] = await people('ann', 'bob', 'carl')
    const [anns, bobs] = [await openGroup(ann, carl), await openGroup(bob, carl)]
    await block(ann, bob.id)
    const attempts = async (verdict: (person: Person, name: string, input: object) => Promise<unknown>) => {
      await verdict(ann, 'conversation:create', directWith(bob))
      await verdict(bob, 'conversation:create', directWith(ann))
      await verdict(ann, 'conversation:create', { type: 'group', title: 'x', participantIds: [carl.id, bob.id] })
      await verdict(ann, 'participant:add', { conversationId: anns, userId: bob.id })
      await verdict(bob, 'participant:add', { conversationId: bobs, userId: ann.id })
    }
    await attempts((person, name, input) => refuses(person, 'not_found', name, input))
    assert.ok(await openDirect(ann, carl))
    await block(bob, ann.id)
    await unblock(ann, bob.id)
    await attempts((person, name, input) => refuses(person, 'not_found', name, input))
    await unblock(bob, ann.id)
    await attempts(async (person, name, input) => assert.ok((await person.ask(name, input)).ok))
  })

  test('that is made while a conversation begins stops it, or lets nothing be written in it', async () => {
    const pairs = 12
    const outcomes = await Promise.all(
      Array.from({ length: pairs }, async (_, i) => {
        const [ann, bob] = await people('ann', 'bob')
        const [beginning, answer] = await Promise.all([
          (i % 2 ? ann : bob).ask('conversation:create', directWith(i % 2 ? bob : ann)),
          block(ann, bob.id),
        ])
        assert.equal(answer.status, 204)
        if (!beginning.ok) {
          assert.equal(beginning.error.code, 'not_found')
          await refuses(bob, 'not_found', 'conversation:create', directWith(ann))
        } else {
          const { id: conversationId } = beginning.data as { id: string }
          for (const person of [ann, bob])
            await refuses(person, 'forbidden', 'message:send', { conversationId, clientId: randomUUID(), content: 'x' })
        }
        ann.close()
        bob.close()
        return beginning.ok
      }),
    )
    assert.equal(outcomes.length, pairs)
  })

  test('that is made and taken back while the two write holds up neither', async () => {
    const [ann, bob] = await people('ann', 'bob')
    const conversationId = await openDirect(ann, bob)
    const write = async (person: Person) => {
      for (let i = 0; i < 40; i += 1) {
        const ack = await person.ask('message:send', { conversationId, clientId: randomUUID(), content: `${i}` })
        assert.ok(ack.ok || ack.error.code === 'forbidden', JSON.stringify(ack))
      }
    }
    const turn = async () => {
      for (let i = 0; i < 20; i += 1) {
        assert.equal((await block(ann, bob.id)).status, 204)
        assert.equal((await unblock(ann, bob.id)).status, 204)
      }
    }
    await Promise.all([write(ann), write(bob), turn()])
    await send(bob, conversationId, 'after all')
  })
})

test('blocks are in the export of who made them, and go with either account', async () => {
  const [ann, bob, carl] = await people('ann', 'bob', 'carl')
  await block(ann, bob.id)
  await block(ann, carl.id)
  await block(bob, ann.id)
  let job = await by<{ result: { url: string } }>(ann, 'GET', '/me/export')
  while (job.status === 202) {
    await ann.hears('job:changed', ({ status }) => String(status) === 'completed')
    job = await by(ann, 'GET', '/me/export')
  }
  const headers = { authorization: `Bearer ${ann.session.accessToken}` }
  const file = await fetch(`${server.url}${job.body.result.url}`, { headers })
  const { json } = await unzip(Buffer.from(await file.arrayBuffer()))
  const rows = json('blocks') as { userId: string; username: string; createdAt: string }[]
  const listed = (await listOf(ann)).map(({ id, username, createdAt }) => ({ userId: id, username, createdAt }))
  assert.deepEqual(
    rows.toSorted((one, other) => one.userId.localeCompare(other.userId)),
    listed.toSorted((one, other) => one.userId.localeCompare(other.userId)),
  )

  await by(carl, 'DELETE', '/me', { password: 'correct horse' })
  assert.deepEqual(await blocked(ann), [bob.id])
  await by(ann, 'DELETE', '/me', { password: 'correct horse' })
  assert.deepEqual(await blocked(bob), [])
})
