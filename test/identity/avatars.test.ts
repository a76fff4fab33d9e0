import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import type { Me, Session, User } from '../../src/identity/identity.contract.ts'
import { eventually } from '../faults/scene.ts'
import { heardDuring, openDirect } from '../messenger/scene.ts'
import { ask, makeAgent } from '../support/agents.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import { join, type Person } from '../support/people.ts'
import { isServed, upload } from '../support/uploads.ts'

let server: Backend
before(async () => {
  server = await startBackend()
})
after(() => server.end())

const people = <N extends string[]>(...names: N) =>
  Promise.all(names.map((name) => join(server.url, name))) as Promise<{ [K in keyof N]: Person }>

const by = <T = Me>(person: Person | undefined, method: string, path: string, body?: object) =>
  ask<T>(server.url, person?.session.accessToken, method, path, body)

const image = async (person: Person) => (await upload(server.url, person.session.accessToken)).id
const wear = (person: Person, avatarId: string | null) => by(person, 'PATCH', '/me', { avatarId })
const statusOf = async (person: Person, attachmentId: string) =>
  (await by(person, 'GET', `/attachments/${attachmentId}`)).status

/** Which attachment an address is of. */
const shown = (address: string | undefined) => /\/v1\/media\/([^/]+)\/thumbnail\?/.exec(address ?? '')?.[1]

describe('an avatar', () => {
  test('is an own image, and shows wherever its user does, as a small picture', async () => {
    const [ann, bob] = await people('ann', 'bob')
    const avatarId = await image(ann)
    const { status, body: me } = await wear(ann, avatarId)
    assert.deepEqual([status, shown(me.avatarUrl)], [200, avatarId])
    const response = await fetch(new URL(me.avatarUrl ?? '', server.url))
    assert.deepEqual([response.status, response.headers.get('content-type')], [200, 'image/webp'])

    const login = { username: ann.username, password: 'correct horse' }
    const { body: session } = await by<Session>(undefined, 'POST', '/auth/login', login)
    const { body: found } = await by<{ items: User[] }>(bob, 'GET', `/users?query=${ann.username}`)
    const urls = [
      ...[session.user.avatarUrl, (await by(ann, 'GET', '/me')).body.avatarUrl],
      ...[(await by(bob, 'GET', `/users/${ann.id}`)).body.avatarUrl, found.items[0]?.avatarUrl],
    ]
    assert.deepEqual(urls.map(shown), Array(4).fill(avatarId))
    assert.equal(await statusOf(bob, avatarId), 200)
    assert.equal((await by(undefined, 'GET', `/attachments/${avatarId}`)).status, 401)
  })

  test('is nothing else: no other kind of file, and nothing of somebody else’s', async () => {
    const [ann, bob] = await people('ann', 'bob')
    const avatarId = await image(ann)
    await wear(ann, avatarId)
    const file = await upload(server.url, ann.session.accessToken, 'file')
    const audio = await upload(server.url, ann.session.accessToken, 'audio')
    for (const wrong of [file.id, audio.id, await image(bob), randomUUID()]) {
      const { body } = await by<Me>(ann, 'PATCH', '/me', { avatarId: wrong, displayName: 'Changed' })
      assert.equal(body.code, 'unprocessable')
    }
    const { body: me } = await by(ann, 'GET', '/me')
    assert.deepEqual([shown(me.avatarUrl), me.displayName], [avatarId, 'ann'])
  })

  test('goes for good when another takes its place or it is taken away, unless something else shows it', async () => {
    const [ann, bob] = await people('ann', 'bob')
    const [first, second, third] = [await image(ann), await image(ann), await image(ann)]
    const { body: one } = await wear(ann, first)
    await wear(ann, first)
    await wear(ann, second)
    await eventually('the first is gone', async () => (await statusOf(ann, first)) === 404)
    await eventually('its address as well', async () => !(await isServed(server.url, one.avatarUrl)))
    assert.equal(await statusOf(bob, second), 200)
    const { body: bare } = await wear(ann, null)
    assert.equal(bare.avatarUrl, undefined)
    await eventually('the second is gone', async () => (await statusOf(ann, second)) === 404)

    await wear(ann, third)
    const conversationId = await openDirect(ann, bob)
    await ann.do('message:send', { conversationId, clientId: randomUUID(), attachmentIds: [third] })
    const stranger = await join(server.url, 'stranger')
    assert.equal(await statusOf(stranger, third), 200)
    await wear(ann, null)
    assert.deepEqual([await statusOf(bob, third), await statusOf(stranger, third)], [200, 404])
  })

  test('is the one of the last change, however many are made at once, and the others go', async () => {
    const [ann] = await people('ann')
    const images = await Promise.all(Array.from({ length: 8 }, () => image(ann)))
    const answers = await Promise.all(images.map((id) => wear(ann, id)))
    assert.ok(answers.every(({ status }) => status === 200))
    const worn = shown((await by(ann, 'GET', '/me')).body.avatarUrl)
    await eventually('one is left', async () => {
      const statuses = await Promise.all(images.map((id) => statusOf(ann, id)))
      return statuses.filter((status) => status === 200).length === 1
    })
    assert.equal(await statusOf(ann, worn ?? ''), 200)
  })

  test('that is new is told to those who share a conversation with its user, and to nobody else', async () => {
    const [ann, bob, eve] = await people('ann', 'bob', 'eve')
    await openDirect(ann, bob)
    const avatarId = await image(ann)
    const [heard] = await heardDuring([eve], async () => {
      await wear(ann, avatarId)
      for (const person of [ann, bob]) {
        const { user } = await person.hears('user:changed')
        const { userId, avatarUrl } = user as unknown as { userId: string; avatarUrl: string }
        assert.deepEqual([userId, shown(avatarUrl)], [ann.id, avatarId])
      }
      await wear(ann, avatarId)
      await wear(ann, null)
      await bob.hears('user:changed', ({ user }) => !('avatarUrl' in (user as unknown as object)))
    })
    assert.deepEqual(heard, [])
    assert.equal(bob.heard.filter(({ event }) => event === 'user:changed').length, 2)
  })

  test('of a private agent is its owner’s alone', async () => {
    const [ann, bob] = await people('ann', 'bob')
    const [hidden, open] = [await image(ann), await image(ann)]
    const agent = await makeAgent(server.url, ann, { avatarId: hidden })
    await makeAgent(server.url, ann, { avatarId: open, isPublic: true })
    assert.deepEqual([await statusOf(bob, hidden), await statusOf(bob, open)], [404, 200])
    await by(ann, 'PATCH', `/agents/${agent.id}`, { isPublic: true })
    assert.equal(await statusOf(bob, hidden), 200)
  })

  test('goes with the account', async () => {
    const [ann, bob] = await people('ann', 'bob')
    const avatarId = await image(ann)
    const { body: me } = await wear(ann, avatarId)
    assert.equal((await by(ann, 'DELETE', '/me', { password: 'correct horse' })).status, 204)
    assert.equal(await statusOf(bob, avatarId), 404)
    await eventually('nobody is served it', async () => !(await isServed(server.url, me.avatarUrl)))
  })
})
