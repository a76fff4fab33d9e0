import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import type { Attachment } from '../../src/media/media.contract.ts'
import { eventually } from '../faults/scene.ts'
import { upload } from '../support/uploads.ts'
import { type Nodes, startNodes } from './scene.ts'

let nodes: Nodes
before(async () => {
  nodes = await startNodes()
})
after(async () => {
  await nodes.close()
  assert.deepEqual(nodes.faults(), [])
})

const day = { hours: 24 }

test('a story is there for 24 hours to the millisecond, for every reader on every node', async () => {
  const [teller, here, there] = await nodes.friends('teller', 'here', 'there')
  const { id, attachment, createdAt, expiresAt } = await teller.tell({ attachmentId: await teller.image() })
  assert.equal(createdAt, nodes.now().toISOString())
  assert.equal(Date.parse(expiresAt) - Date.parse(createdAt), 86_400_000)
  const readers = [teller, here, there]

  /** The status of each way to it, of each reader at each node. */
  async function ways(address: string | undefined): Promise<Record<string, number[]>> {
    const statuses: Record<string, number[]> = {}
    const note = (way: string, status: number) => {
      statuses[way] = [...(statuses[way] ?? []), status]
    }
    for (const url of nodes.urls) {
      for (const reader of readers) {
        const isOwner = reader === teller
        const at = { ...reader, ...reader.at(url) }
        note('listed', (await at.rings()).some((ring) => ring.stories.some((story) => story.id === id)) ? 200 : 404)
        note('read', (await at.call('GET', `/stories/${id}`)).status)
        note('viewed', (await at.call('POST', `/stories/${id}/views`)).status)
        note('reaction taken back', (await at.call('DELETE', `/stories/${id}/reactions`)).status)
        if (isOwner) note('views', (await at.call('GET', `/stories/${id}/views`)).status)
        else {
          note('reacted', (await at.call('POST', `/stories/${id}/reactions`, { emoji: '👍' })).status)
          const reply = { clientId: randomUUID(), content: 'Nice' }
          note('answered', (await at.call('POST', `/stories/${id}/replies`, reply)).status)
          note('shown', (await at.call('GET', `/attachments/${attachment?.id}`)).status)
        }
        note('served', (await fetch(new URL(address ?? 'none', url))).status)
      }
    }
    return statuses
  }
  const all = (statuses: Record<string, number[]>) =>
    Object.fromEntries(Object.entries(statuses).map(([way, each]) => [way, [...new Set(each)]]))
  const seen = {
    ...{ listed: [200], read: [200], viewed: [204], 'reaction taken back': [204], views: [200], served: [200] },
    ...{ reacted: [204], answered: [201], shown: [200] },
  }
  assert.deepEqual(all(await ways(attachment?.url)), seen)

  nodes.advance({ ...day, ms: -1 })
  const fresh = await here.call<{ attachment: Attachment }>('GET', `/stories/${id}`)
  const { url, thumbnailUrl } = fresh.body.attachment
  assert.deepEqual(all(await ways(url)), seen)
  // asked for at the last moment, it ends with the story as well
  const { body: renewed } = await there.call<Attachment>('GET', `/attachments/${attachment?.id}`)

  nodes.advance({ ms: 1 })
  const gone = Object.fromEntries(Object.keys(seen).map((way) => [way, [404]]))
  assert.deepEqual(all(await ways(url)), gone)
  assert.deepEqual(all(await ways(thumbnailUrl)), gone)
  assert.deepEqual(all(await ways(renewed.url)), gone)
  assert.equal((await teller.call('DELETE', `/stories/${id}`)).status, 404)
})

test('what has ended is removed by a job with what it showed, and those who could see it are told', async () => {
  const [teller, friend, stranger] = [...(await nodes.friends('teller', 'friend')), await nodes.person('stranger')]
  const before = new Set(await nodes.objects())
  const own = async () => (await nodes.objects()).filter((name) => !before.has(name)).length
  const [only, kept] = [await teller.image(), await teller.image()]
  const early = await teller.tell({ attachmentId: only })
  const words = await teller.tell({ caption: 'The same hour' })
  nodes.advance({ hours: 1 })
  const late = await teller.tell({ attachmentId: kept })
  const shared = await teller.tell({ attachmentId: kept })
  assert.equal(await own(), 4, 'two images and their thumbnails')

  nodes.advance({ hours: 23 })
  await nodes.tidy()
  for (const { id } of [early, words]) {
    for (const person of [teller, friend]) await person.hears('story:removed', ({ storyId }) => String(storyId) === id)
  }
  await eventually('its objects are gone', async () => (await own()) === 2)
  assert.equal((await teller.call('GET', `/attachments/${only}`)).status, 404)
  assert.equal((await friend.call('GET', `/stories/${late.id}`)).status, 200)

  assert.equal((await teller.call('DELETE', `/stories/${late.id}`)).status, 204)
  assert.equal((await teller.call('GET', `/attachments/${kept}`)).status, 200, 'the other story shows it')
  nodes.advance({ hours: 1 })
  await nodes.tidy()
  await friend.hears('story:removed', ({ storyId }) => String(storyId) === shared.id)
  await eventually('nothing of it is left', async () => (await own()) === 0)
  assert.deepEqual(
    stranger.heard.filter(({ event }) => event.startsWith('story:')),
    [],
  )
})

test('what is in a message as well stays when the story ends', async () => {
  const [teller, friend] = await nodes.friends('teller', 'friend')
  const { id: attachmentId } = await upload(teller.url, teller.session.accessToken)
  const { id: conversationId } = await teller.do('conversation:create', {
    ...{ type: 'direct', participantIds: [friend.id] },
  })
  await teller.do('message:send', { conversationId, clientId: 'photo', attachmentIds: [attachmentId] })
  const story = await teller.tell({ attachmentId })
  nodes.advance(day)
  await nodes.tidy()
  await friend.hears('story:removed', ({ storyId }) => String(storyId) === story.id)
  const { status, body } = await friend.call<Attachment>('GET', `/attachments/${attachmentId}`)
  assert.equal(status, 200)
  assert.equal((await fetch(new URL(body.url, friend.url))).status, 200)
})
