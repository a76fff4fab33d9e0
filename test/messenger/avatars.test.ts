import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import type { SharedConversation } from '../../src/messenger/messenger.contract.ts'
import { eventually } from '../faults/scene.ts'
import { ask } from '../support/agents.ts'
import { isServed, objectsIn, startWithFiles, upload } from '../support/uploads.ts'
import { cast, heardDuring, listOf, openDirect, openGroup, type Person, refuses, stateOf } from './scene.ts'

let server: Awaited<ReturnType<typeof startWithFiles>>
let ann: Person
let ben: Person
let cat: Person
before(async () => {
  server = await startWithFiles()
  ;[ann, ben, cat] = await cast(server.url, 'ann', 'ben', 'cat')
})
after(() => server.end())

const uploaded = (person: Person, kind?: Parameters<typeof upload>[2]) =>
  upload(server.url, person.session.accessToken, kind)

const asked = async (person: Person, attachmentId: string): Promise<number> =>
  (await ask(server.url, person.session.accessToken, 'GET', `/attachments/${attachmentId}`)).status

/** The attachment that an address is of. */
const idIn = (address: string | undefined): string | undefined =>
  /\/media\/([^/]+)\/thumbnail\?/.exec(address ?? '')?.[1]

test('a group has the avatar that its owner or admin gives it; its people see it, and nobody else', async () => {
  const conversationId = await openGroup(ann, ben)
  const image = await uploaded(ann)
  assert.equal(await asked(ben, image.id), 404)
  const updated = await ann.do('conversation:update', { conversationId, avatarId: image.id })
  const { conversation } = await ben.hears('conversation:updated', (it) => it.conversationId === conversationId)
  const shown = [
    updated,
    conversation as unknown as SharedConversation,
    await ben.do('conversation:get', { conversationId }),
    (await listOf(ben)).find(({ id }) => id === conversationId),
    (await ben.do('sync', {})).conversations.find(({ id }) => id === conversationId),
  ]
  for (const one of shown) {
    assert.equal(idIn(one?.avatarUrl), image.id)
    assert.ok(await isServed(server.url, one?.avatarUrl))
  }
  assert.deepEqual([await asked(ben, image.id), await asked(cat, image.id)], [200, 404])

  await ann.do('participant:update', { conversationId, userId: ben.id, role: 'admin' })
  const other = await uploaded(ben)
  assert.equal(idIn((await ben.do('conversation:update', { conversationId, avatarId: other.id })).avatarUrl), other.id)
  await ann.do('participant:remove', { conversationId, userId: ben.id })
  assert.deepEqual([await asked(ann, other.id), await asked(ben, other.id)], [200, 200])
  await ann.do('conversation:delete', { conversationId })
  assert.equal(await asked(ann, other.id), 404)
})

test('an avatar that is replaced, taken away or left behind goes, unless something else refers to it', async () => {
  const isGone = (image: { id: string }) => async () => (await asked(ann, image.id)) === 404
  const conversationId = await openGroup(ann, ben)
  const [first, second, third] = [await uploaded(ann), await uploaded(ann), await uploaded(ann)]
  await ann.do('message:send', { conversationId, clientId: randomUUID(), attachmentIds: [first.id] })
  for (const { id: avatarId } of [first, second]) await ann.do('conversation:update', { conversationId, avatarId })
  // the same again is no end of it
  await ann.do('conversation:update', { conversationId, avatarId: second.id })
  await ann.do('conversation:update', { conversationId, avatarId: third.id })
  await eventually('the second is removed', isGone(second))
  assert.equal(await asked(ben, first.id), 200)
  assert.equal((await ann.do('conversation:update', { conversationId, avatarId: null })).avatarUrl, undefined)
  await eventually('the third is removed', isGone(third))

  const last = await uploaded(ann)
  const earlier = await objectsIn(server.dataDir)
  await ann.do('conversation:update', { conversationId, avatarId: last.id })
  await ann.do('conversation:delete', { conversationId })
  await eventually('the last and the first are removed', async () => (await isGone(last)()) && (await isGone(first)()))
  await eventually('so are their objects', async () => (await objectsIn(server.dataDir)).length === earlier.length - 4)
})

test('an assistant conversation takes one from its creator', async () => {
  const { id: conversationId } = await ann.do('conversation:create', { type: 'assistant', models: ['offline'] })
  const image = await uploaded(ann)
  const updated = await ann.do('conversation:update', { conversationId, avatarId: image.id, title: 'With a face' })
  assert.deepEqual([idIn(updated.avatarUrl), updated.title], [image.id, 'With a face'])
})

test('what cannot be an avatar is refused and changes nothing', async () => {
  const conversationId = await openGroup(ann, ben)
  const direct = await openDirect(ann, ben)
  const [own, others, text] = [await uploaded(ann), await uploaded(ben), await uploaded(ann, 'file')]
  const earlier = [await stateOf(ann, conversationId), await stateOf(ann, direct)]
  const heard = await heardDuring([ann, ben], async () => {
    for (const avatarId of [others.id, text.id, randomUUID()]) {
      await refuses(ann, 'unprocessable', 'conversation:update', { conversationId, avatarId })
    }
    await refuses(ann, 'unprocessable', 'conversation:update', { conversationId: direct, avatarId: own.id })
    await refuses(ben, 'forbidden', 'conversation:update', { conversationId, avatarId: others.id })
    await refuses(cat, 'not_found', 'conversation:update', { conversationId, avatarId: null })
    await refuses(ann, 'invalid_request', 'conversation:update', { conversationId, avatarId: 'an image' })
  })
  assert.deepEqual(heard, [[], []])
  assert.deepEqual([await stateOf(ann, conversationId), await stateOf(ann, direct)], earlier)
})

test('people have theirs wherever they are shown', async () => {
  const conversationId = await openGroup(ann, cat)
  const image = await uploaded(cat)
  const since = new Date(Date.now() - 1_000).toISOString()
  const { status } = await ask(server.url, cat.session.accessToken, 'PATCH', '/me', { avatarId: image.id })
  assert.equal(status, 200)
  const { user } = await ann.hears('user:changed', (it) => (it.user as unknown as { userId: string }).userId === cat.id)
  const isCat = ({ userId }: { userId: string }) => userId === cat.id
  const [view, people, sync] = await Promise.all([
    ann.do('conversation:get', { conversationId }),
    ann.do('participant:list', { conversationId }),
    ann.do('sync', { since }),
  ])
  const shown = [user, view.participants.find(isCat), people.participants.find(isCat), sync.users?.find(isCat)]
  for (const one of shown) {
    const { avatarUrl } = one as { avatarUrl?: string }
    assert.equal(idIn(avatarUrl), image.id)
    assert.ok(await isServed(server.url, avatarUrl))
  }
})
