import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import type { Story, StoryRing, StoryView } from '../../src/stories/stories.contract.ts'
import { heardDuring, historyOf, openGroup } from '../messenger/scene.ts'
import { ask, makeAgent, makeKey } from '../support/agents.ts'
import { connect } from '../support/people.ts'
import { isServed, upload } from '../support/uploads.ts'
import { type Nodes, startNodes, type Teller } from './scene.ts'

let nodes: Nodes
before(async () => {
  nodes = await startNodes()
})
after(async () => {
  await nodes.close()
  assert.deepEqual(nodes.faults(), [])
})

const refused = async (answer: Promise<{ status: number; body: { code?: string } }>, code: string) =>
  assert.equal((await answer).body.code, code)

const seen = async (person: Teller, id: string) => (await person.call<Story>('GET', `/stories/${id}`)).body
const view = (person: Pick<Teller, 'call'>, id: string) => person.call('POST', `/stories/${id}/views`)
const viewsOf = async (owner: Teller, id: string) =>
  (await owner.call<{ items: StoryView[] }>('GET', `/stories/${id}/views?limit=200`)).body.items

describe('a story', () => {
  test('shows an image, words or both to those who share a conversation with its teller, and to nobody else', async () => {
    const [ann, bob] = await nodes.friends('ann', 'bob')
    const [eve, member] = [await nodes.person('eve'), await nodes.person('member')]
    await openGroup(ann, member)
    const attachmentId = await ann.image()
    const both = await ann.tell({ attachmentId, caption: '\ufeffLook' })
    const { attachment, createdAt, expiresAt, id, ...rest } = both
    assert.deepEqual(rest, { userId: ann.id, caption: '\ufeffLook', isViewed: true, viewCount: 0 })
    assert.deepEqual([attachment?.id, attachment?.kind], [attachmentId, 'image'])
    assert.ok((await isServed(bob.url, attachment?.url)) && (await isServed(bob.url, attachment?.thumbnailUrl)))
    const words = await ann.tell({ caption: 'Words alone' })
    assert.equal(words.attachment, undefined)

    const { viewCount, ...shown } = both
    for (const other of [bob, member]) {
      assert.deepEqual(await seen(other, id), { ...shown, isViewed: false })
      assert.deepEqual(
        (await other.rings()).map(({ user, stories }) => [user.userId, stories.map((story) => story.id)]),
        [[ann.id, [id, words.id]]],
      )
    }
    assert.deepEqual(await seen(ann, id), both)
    assert.deepEqual(await eve.rings(), [])
    await refused(eve.call('GET', `/stories/${id}`), 'not_found')
    await refused(eve.call('GET', `/attachments/${attachmentId}`), 'not_found')
  })

  test('takes an image or video of its own teller, and at least one of the two', async () => {
    const [ann, bob] = await nodes.friends('ann', 'bob')
    const file = await upload(ann.url, ann.session.accessToken, 'file')
    const audio = await upload(ann.url, ann.session.accessToken, 'audio')
    for (const attachmentId of [file.id, audio.id, await bob.image(), randomUUID()])
      await refused(ann.call('POST', '/stories', { attachmentId, caption: 'x' }), 'unprocessable')
    for (const wrong of [{}, { caption: '' }, { attachmentId: 'x' }, { caption: 'x'.repeat(1001) }, { text: 'x' }])
      await refused(ann.call('POST', '/stories', wrong), 'invalid_request')
    assert.deepEqual(await ann.rings(), [])
  })

  test('is for people: agents neither tell nor see any', async () => {
    const [ann] = await nodes.friends('ann')
    const { id: agentId } = await makeAgent(ann.url, ann)
    const { key } = await makeKey(ann.url, ann, agentId)
    await ann.do('conversation:create', { type: 'direct', participantIds: [agentId] })
    const attachmentId = await ann.image()
    const { id } = await ann.tell({ attachmentId })
    await refused(ask(ann.url, key, 'POST', '/stories', { caption: 'x' }), 'forbidden')
    await refused(ask(ann.url, key, 'GET', `/stories/${id}`), 'forbidden')
    await refused(ask(ann.url, key, 'GET', `/attachments/${attachmentId}`), 'not_found')
    await refused(ask(ann.url, undefined, 'GET', '/stories'), 'unauthenticated')
  })

  test('is one of at most a hundred living ones, however many are told at once', async () => {
    const [ann] = await nodes.friends('ann')
    const tell = () => ann.call('POST', '/stories', { caption: 'One of many' })
    for (let i = 0; i < 9; i += 1) await Promise.all(Array.from({ length: 10 }, tell))
    const last = await Promise.all(Array.from({ length: 20 }, tell))
    const statuses = last.map(({ status }) => status).sort()
    assert.deepEqual(statuses, [...Array(10).fill(201), ...Array(10).fill(422)])
    nodes.advance({ hours: 24 })
    assert.equal((await tell()).status, 201)
  })

  test('is heard of by those who may see it and by the teller on all devices', async () => {
    const [ann, bob, carl] = await nodes.friends('ann', 'bob', 'carl')
    const eve = await nodes.person('eve')
    const phone = await connect(ann.url, ann.session)
    await carl.call('POST', `/me/blocks/${ann.id}`)
    let story: Story | undefined
    const heard = await heardDuring([eve, carl], async () => {
      story = await ann.tell({ attachmentId: await ann.image() })
      const { viewCount, ...shown } = story
      const here = ({ id }: { id?: unknown }) => id === story?.id
      for (const device of [ann, phone]) assert.deepEqual(await device.hears('story:created', here), story)
      assert.deepEqual(await bob.hears('story:created', here), { ...shown, isViewed: false })
      assert.equal((await ann.call('DELETE', `/stories/${story.id}`)).status, 204)
      for (const device of [ann, phone, bob])
        assert.deepEqual(await device.hears('story:removed'), { storyId: story.id })
    })
    assert.deepEqual(heard, [[], []])
    await refused(bob.call('GET', `/stories/${story?.id}`), 'not_found')
    phone.close()
  })

  test('is removed by its teller alone', async () => {
    const [ann, bob] = await nodes.friends('ann', 'bob')
    const { id } = await ann.tell({ caption: 'Mine' })
    await refused(bob.call('DELETE', `/stories/${id}`), 'not_found')
    assert.equal((await seen(bob, id)).id, id)
    assert.equal((await ann.call('DELETE', `/stories/${id}`)).status, 204)
    await refused(ann.call('DELETE', `/stories/${id}`), 'not_found')
    assert.deepEqual([await ann.rings(), await bob.rings()], [[], []])
  })
})

/** All that one can do with somebody else's story, with its outcome. */
async function reach(person: Teller, { id, attachment }: Story): Promise<string[]> {
  const answers = [
    await person.call('GET', `/stories/${id}`),
    await person.call('POST', `/stories/${id}/views`),
    await person.call('GET', `/stories/${id}/views`),
    await person.call('POST', `/stories/${id}/reactions`, { emoji: '👍' }),
    await person.call('DELETE', `/stories/${id}/reactions`),
    await person.call('POST', `/stories/${id}/replies`, { clientId: randomUUID(), content: 'Hi' }),
    await person.call('GET', `/attachments/${attachment?.id}`),
  ]
  const isListed = (await person.rings()).some(({ stories }) => stories.some((story) => story.id === id))
  return [...answers.map(({ status, body }) => body.code ?? String(status)), isListed ? 'listed' : 'not listed']
}

const open = ['200', '204', 'not_found', '204', '204', '201', '200', 'listed']
const closed = [...Array(7).fill('not_found'), 'not listed']

describe('a story is out of reach', () => {
  for (const [who, act] of Object.entries<(ann: Teller, bob: Teller) => Promise<unknown>>({
    'for whom its teller has blocked': (ann, bob) => ann.call('POST', `/me/blocks/${bob.id}`),
    'for who has blocked its teller': (ann, bob) => bob.call('POST', `/me/blocks/${ann.id}`),
  })) {
    test(`${who}, until the block is taken back`, async () => {
      const [ann, bob] = await nodes.friends('ann', 'bob')
      const story = await ann.tell({ attachmentId: await ann.image() })
      const told = await bob.tell({ caption: 'Of the other' })
      assert.deepEqual(await reach(bob, story), open)
      await act(ann, bob)
      assert.deepEqual(await reach(bob, story), closed)
      await refused(ann.call('GET', `/stories/${told.id}`), 'not_found')
      const heard = await heardDuring([ann, bob], async () => {
        await refused(bob.call('POST', `/stories/${story.id}/views`), 'not_found')
        const [one, other] = [await ann.tell({ caption: 'x' }), await bob.tell({ caption: 'y' })]
        await ann.call('DELETE', `/stories/${one.id}`)
        await bob.call('DELETE', `/stories/${other.id}`)
      })
      const own = (person: Teller, { event, payload }: { event: string; payload: Record<string, unknown> }) =>
        event === 'story:removed' || payload.userId === person.id
      assert.ok([ann, bob].every((person, i) => heard[i]?.every((news) => own(person, news))))
      assert.deepEqual(
        heard.map((news) => news.map(({ event }) => event)),
        Array(2).fill(['story:created', 'story:removed']),
      )
      for (const [one, other] of [
        [ann, bob],
        [bob, ann],
      ] as const)
        await one.call('DELETE', `/me/blocks/${other.id}`)
      assert.deepEqual(await reach(bob, story), open)
    })
  }

  test('while its teller is banned', async () => {
    const [ann, bob] = await nodes.friends('ann', 'bob')
    const story = await ann.tell({ attachmentId: await ann.image() })
    await nodes.ban(ann)
    assert.deepEqual(await reach(bob, story), closed)
    await nodes.ban(ann, 'DELETE')
    assert.deepEqual(await reach(bob, story), open)
  })

  test('for who has left the last conversation with its teller', async () => {
    const [ann, bob] = [await nodes.person('ann'), await nodes.person('bob')]
    const [one, two] = [await openGroup(ann, bob), await openGroup(ann, bob)]
    const story = await ann.tell({ attachmentId: await ann.image() })
    await bob.do('conversation:leave', { conversationId: one })
    assert.equal((await seen(bob, story.id)).id, story.id)
    await ann.do('participant:remove', { conversationId: two, userId: bob.id })
    assert.deepEqual(await reach(bob, story), closed)
    const [heard] = await heardDuring([bob], () => ann.tell({ caption: 'Later' }))
    assert.deepEqual(heard, [])
  })

  test('for those whose only conversation with its teller was deleted', async () => {
    const [ann, bob] = [await nodes.person('ann'), await nodes.person('bob')]
    const conversationId = await openGroup(ann, bob)
    const story = await ann.tell({ attachmentId: await ann.image() })
    assert.deepEqual((await reach(bob, story)).slice(0, 2), ['200', '204'])
    await ann.do('conversation:delete', { conversationId })
    // the answer has begun a direct conversation of the two
    const [carl, dora] = [await nodes.person('carl'), await nodes.person('dora')]
    const other = await openGroup(carl, dora)
    const told = await carl.tell({ attachmentId: await carl.image() })
    await carl.do('conversation:delete', { conversationId: other })
    assert.deepEqual(await reach(dora, told), closed)
  })
})

describe('views', () => {
  test('count a person once, however often and at once they look, and tell the teller once', async () => {
    const [ann, bob] = await nodes.friends('ann', 'bob')
    const { id } = await ann.tell({ caption: 'Look' })
    const at = nodes.urls.map((url) => bob.at(url))
    const [heard] = await heardDuring([ann], async () => {
      const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => view(at[i % at.length] ?? bob, id)))
      assert.ok(answers.every(({ status }) => status === 204))
    })
    const viewedAt = nodes.now().toISOString()
    assert.deepEqual(heard, [{ event: 'story:viewed', payload: { storyId: id, userId: bob.id, viewedAt } }])
    assert.equal((await seen(ann, id)).viewCount, 1)
    nodes.advance({ minutes: 1 })
    await view(bob, id)
    const [only, ...more] = await viewsOf(ann, id)
    assert.deepEqual([only?.user.userId, only?.viewedAt, more], [bob.id, viewedAt, []])
    assert.deepEqual([(await seen(bob, id)).isViewed, (await bob.rings())[0]?.hasUnseen], [true, false])
  })

  test('of a hundred people at once are a hundred', async () => {
    const ann = await nodes.person('ann')
    const people: Teller[] = []
    for (let i = 0; i < 10; i += 1)
      people.push(...(await Promise.all(Array.from({ length: 10 }, () => nodes.person('viewer')))))
    await ann.do('conversation:create', { type: 'group', title: 'All', participantIds: people.map(({ id }) => id) })
    const { id } = await ann.tell({ caption: 'Look' })
    const answers = await Promise.all(people.map((person) => view(person, id)))
    assert.ok(answers.every(({ status }) => status === 204))
    assert.equal((await seen(ann, id)).viewCount, 100)
    const listed = (await viewsOf(ann, id)).map(({ user }) => user.userId)
    assert.deepEqual(listed.toSorted(), people.map(({ id }) => id).toSorted())
    for (const person of people) person.close()
  })

  test('are listed for the teller alone, newest first, page by page; the teller’s own looks are none', async () => {
    const [ann, ...others] = await nodes.friends('ann', 'bob', 'carl', 'dora')
    const { id } = await ann.tell({ caption: 'Look' })
    const [heard] = await heardDuring([ann], () => view(ann, id))
    assert.deepEqual(heard, [])
    for (const other of others) {
      nodes.advance({ minutes: 1 })
      await view(other, id)
    }
    const listed: string[] = []
    let cursor = ''
    do {
      const query = `limit=2${cursor && `&cursor=${cursor}`}`
      const { body } = await ann.call<{ items: StoryView[]; nextCursor?: string }>(
        'GET',
        `/stories/${id}/views?${query}`,
      )
      listed.push(...body.items.map(({ user }) => user.userId))
      cursor = body.nextCursor ?? ''
    } while (cursor)
    assert.deepEqual(listed, others.map((other) => other.id).reverse())
    for (const other of others) await refused(other.call('GET', `/stories/${id}/views`), 'not_found')
    await refused(ann.call('GET', `/stories/${id}/views?cursor=x`), 'invalid_request')
  })

  test('carry one reaction each, which can be another or be taken back', async () => {
    const [ann, bob] = await nodes.friends('ann', 'bob')
    const { id } = await ann.tell({ caption: 'Look' })
    const react = (emoji: string) => bob.call('POST', `/stories/${id}/reactions`, { emoji })
    const viewedAt = nodes.now().toISOString()
    const [heard] = await heardDuring([ann], async () => {
      assert.equal((await react('👍')).status, 204)
      nodes.advance({ minutes: 1 })
      for (const emoji of ['👍', '🎉', '🎉']) await react(emoji)
      assert.deepEqual([(await seen(bob, id)).reaction, (await seen(bob, id)).isViewed], ['🎉', true])
      assert.deepEqual(
        (await viewsOf(ann, id)).map(({ reaction }) => reaction),
        ['🎉'],
      )
      for (let i = 0; i < 2; i += 1) await bob.call('DELETE', `/stories/${id}/reactions`)
    })
    const told = { storyId: id, userId: bob.id, viewedAt }
    assert.deepEqual(
      heard?.map(({ payload }) => payload),
      [{ ...told, reaction: '👍' }, { ...told, reaction: '🎉' }, told],
    )
    assert.deepEqual([(await seen(bob, id)).reaction, (await seen(ann, id)).viewCount], [undefined, 1])
    await refused(react('no emoji'), 'invalid_request')
    await refused(ann.call('POST', `/stories/${id}/reactions`, { emoji: '👍' }), 'unprocessable')
    assert.equal((await seen(ann, id)).viewCount, 1)
  })
})

describe('an answer to a story', () => {
  test('is a message in the direct conversation of the two, which begins with it', async () => {
    const [ann, bob] = [await nodes.person('ann'), await nodes.person('bob')]
    await openGroup(ann, bob)
    const { id } = await ann.tell({ caption: 'Who comes along?' })
    const reply = { clientId: randomUUID(), content: 'I do' }
    type Reply = { conversationId: string; id: string; seq: number }
    const { status, body } = await bob.call<Reply>('POST', `/stories/${id}/replies`, reply)
    assert.equal(status, 201)
    await ann.hears('conversation:created', (payload) => String(payload.id) === body.conversationId)
    const [message] = await historyOf(ann, body.conversationId)
    assert.deepEqual(
      [message?.id, message?.seq, message?.senderId, message?.content, message?.storyId],
      [body.id, 1, bob.id, 'I do', id],
    )
    const again = await bob.call<Reply>('POST', `/stories/${id}/replies`, reply)
    assert.deepEqual([again.status, again.body.id, again.body.seq], [201, body.id, 1])
    await refused(bob.call('POST', `/stories/${id}/replies`, { ...reply, content: 'Other' }), 'idempotency_conflict')
    const next = await bob.call<Reply>('POST', `/stories/${id}/replies`, { clientId: randomUUID(), content: 'Soon' })
    assert.deepEqual([next.body.conversationId, next.body.seq], [body.conversationId, 2])
  })

  test('is not one’s own, and says something', async () => {
    const [ann, bob] = await nodes.friends('ann', 'bob')
    const { id } = await ann.tell({ caption: 'x' })
    const reply = { clientId: randomUUID(), content: 'Hi' }
    await refused(ann.call('POST', `/stories/${id}/replies`, reply), 'unprocessable')
    await refused(bob.call('POST', `/stories/${id}/replies`, { ...reply, content: '' }), 'invalid_request')
    await refused(bob.call('POST', `/stories/${randomUUID()}/replies`, reply), 'not_found')
  })
})

describe('the list', () => {
  const pageOf = (person: Teller, query: string) =>
    person.call<{ items: StoryRing[]; nextCursor?: string }>('GET', `/stories?${query}`)

  /** Everybody’s rings in order, a page of one after the other; `between` goes on after each page. */
  async function turnPages(person: Teller, between: (page: number) => Promise<unknown> = async () => {}) {
    const listed: string[] = []
    let cursor = ''
    for (let page = 1; ; page += 1) {
      const { body } = await pageOf(person, `limit=1${cursor && `&cursor=${cursor}`}`)
      listed.push(...body.items.map(({ user }) => user.userId))
      if (!body.nextCursor) return listed
      cursor = body.nextCursor
      await between(page)
    }
  }

  test('begins with one’s own ring, then those with something unseen, each newest first', async () => {
    const [ann, ...others] = await nodes.friends('ann', 'old', 'new', 'seen', 'seen_later', 'half_seen')
    const [old, fresh, seenOld, seenFresh, half] = others as [Teller, Teller, Teller, Teller, Teller]
    const tell = async (person: Teller) => {
      nodes.advance({ minutes: 1 })
      return (await person.tell({ caption: person.username })).id
    }
    await tell(ann)
    const first = await tell(half)
    for (const person of [old, fresh]) await tell(person)
    for (const person of [seenOld, seenFresh]) await view(ann, await tell(person))
    const second = await tell(half)
    await view(ann, first)
    const order = [ann, half, fresh, old, seenFresh, seenOld].map(({ id }) => id)
    const rings = await ann.rings()
    assert.deepEqual(
      rings.map(({ user }) => user.userId),
      order,
    )
    assert.deepEqual(
      rings.map(({ hasUnseen }) => hasUnseen),
      [false, true, true, true, false, false],
    )
    assert.deepEqual(
      rings[1]?.stories.map(({ id, isViewed }) => [id, isViewed]),
      [
        [first, true],
        [second, false],
      ],
    )
    assert.equal(rings[1]?.latestAt, rings[1]?.stories[1]?.createdAt)
    assert.deepEqual(await turnPages(ann), order)

    await view(ann, second)
    const after = [ann, fresh, old, half, seenFresh, seenOld].map(({ id }) => id)
    assert.deepEqual(await turnPages(ann), after)
  })

  test('keeps its order while the pages are turned, whatever is told, seen and removed meanwhile', async () => {
    const [ann, ...others] = await nodes.friends('ann', 'b', 'c', 'd', 'e', 'f')
    const stories = new Map<string, string>()
    for (const person of others) {
      nodes.advance({ minutes: 1 })
      stories.set(person.id, (await person.tell({ caption: 'x' })).id)
    }
    nodes.advance({ minutes: 1 })
    const order = others.map(({ id }) => id).reverse()
    const late = await nodes.person('late')
    await ann.do('conversation:create', { type: 'direct', participantIds: [late.id] })
    const [b] = others
    const listed = await turnPages(ann, async (page) => {
      nodes.advance({ minutes: 1 })
      // what has just been shown is seen, and somebody tells something new
      await view(ann, stories.get(order[page - 1] ?? '') ?? '')
      if (page === 2) await late.tell({ caption: 'New' })
      if (page === 3) await b.tell({ caption: 'New of one who is still to come' })
    })
    assert.deepEqual(listed, order)
    const [now] = await ann.rings()
    assert.equal(now?.user.userId, b.id, 'the next look shows what is new')

    const [, second, third] = (await ann.rings()).map(({ user }) => user.userId)
    const gone = others.find(({ id }) => id === third)
    const left = await turnPages(ann, async (page) => {
      if (page === 1 && gone) await gone.call('DELETE', `/stories/${stories.get(gone.id)}`)
    })
    assert.ok(gone && second && left.includes(second) && !left.includes(gone.id))
    assert.equal(new Set(left).size, left.length)
  })

  test('takes no cursor that is not its own', async () => {
    const [ann] = await nodes.friends('ann')
    for (const cursor of ['x', 'bnVsbA', Buffer.from('["2026-01-01T00:00:00Z",7,"x","y"]').toString('base64url')])
      await refused(pageOf(ann, `cursor=${cursor}`), 'invalid_request')
  })
})
