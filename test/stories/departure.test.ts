import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Story, StoryView } from '../../src/stories/stories.contract.ts'
import { eventually } from '../faults/scene.ts'
import { unzip } from '../support/archive.ts'
import { type Nodes, startNodes, type Teller } from './scene.ts'

let nodes: Nodes
before(async () => {
  nodes = await startNodes()
})
after(async () => {
  await nodes.close()
  assert.deepEqual(nodes.faults(), [])
})

const leave = async (person: Teller) =>
  assert.equal((await person.call('DELETE', '/me', { password: 'correct horse' })).status, 204)

test('an account takes along its stories, what they showed and what it has seen', async () => {
  const [ann, bob] = await nodes.friends('ann', 'bob')
  const before = new Set(await nodes.objects())
  const own = async () => (await nodes.objects()).filter((name) => !before.has(name)).length
  const story = await bob.tell({ attachmentId: await bob.image() })
  const told = await ann.tell({ caption: 'Seen by bob' })
  assert.equal((await bob.call('POST', `/stories/${told.id}/reactions`, { emoji: '👍' })).status, 204)
  assert.equal((await ann.call('GET', `/stories/${story.id}`)).status, 200)
  assert.equal(await own(), 2)
  nodes.advance({ minutes: 1 })
  await leave(bob)

  const { status } = await ann.call('GET', `/stories/${story.id}`)
  assert.equal(status, 404)
  assert.deepEqual(
    (await ann.rings()).map(({ user }) => user.userId),
    [ann.id],
  )
  const { body: views } = await ann.call<{ items: StoryView[] }>('GET', `/stories/${told.id}/views`)
  assert.deepEqual(views.items, [])
  assert.equal((await ann.call<Story>('GET', `/stories/${told.id}`)).body.viewCount, 0)
  await eventually('nothing of it is left', async () => (await own()) === 0)
})

test('the export has one’s stories, their files, and what one has seen', async () => {
  const [ann, bob] = await nodes.friends('ann', 'bob')
  nodes.advance({ hours: -23 })
  await ann.tell({ caption: 'Over by then' })
  nodes.advance({ hours: 23 })
  const attachmentId = await ann.image()
  const own = await ann.tell({ attachmentId, caption: '\ufeffMine' })
  const told = await bob.tell({ caption: 'Of bob' })
  await bob.call('POST', `/stories/${own.id}/views`)
  await ann.call('POST', `/stories/${told.id}/reactions`, { emoji: '🎉' })
  nodes.advance({ hours: 1 })

  let job = await ann.call<{ status: string; result: { url: string } }>('GET', '/me/export')
  while (job.status === 202) {
    await ann.hears('job:changed', ({ status }) => String(status) === 'completed')
    job = await ann.call('GET', '/me/export')
  }
  const headers = { authorization: `Bearer ${ann.session.accessToken}` }
  const file = await fetch(new URL(job.body.result.url, ann.url), { headers })
  const { json, texts } = await unzip(Buffer.from(await file.arrayBuffer()))
  const { id, createdAt, expiresAt } = own
  assert.deepEqual(json('stories'), [{ id, attachmentId, caption: '\ufeffMine', createdAt, expiresAt, viewCount: 1 }])
  assert.deepEqual(json('story-views'), [{ storyId: told.id, userId: bob.id, viewedAt: createdAt, reaction: '🎉' }])
  const files = [...texts.keys()].filter((name) => name.startsWith('media/'))
  assert.equal(files.length, 1)
  assert.ok(files[0]?.includes(attachmentId))
})
