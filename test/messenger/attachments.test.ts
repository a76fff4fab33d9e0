import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import type { Attachment } from '../../src/media/media.contract.ts'
import type { Message } from '../../src/messenger/messenger.contract.ts'
import { eventually } from '../faults/scene.ts'
import { ask, connectAgent, makeAgent, makeKey } from '../support/agents.ts'
import { isServed, objectsIn, startWithFiles, upload } from '../support/uploads.ts'
import {
  api,
  cast,
  connect,
  heardDuring,
  hearsMessage,
  listOf,
  messageOf,
  openDirect,
  openGroup,
  type Person,
  refuses,
  send,
  stateOf,
} from './scene.ts'

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

const ids = (attachments: Attachment[]) => attachments.map(({ id }) => id)

/** A message with attachments and nothing else; its text may be given. */
const sendFiles = (person: Person, conversationId: string, attachments: Attachment[], content?: string) =>
  person.do('message:send', {
    ...{ conversationId, clientId: randomUUID(), attachmentIds: ids(attachments) },
    ...(content !== undefined && { content }),
  })

const forward = (person: Person, to: string, conversationId: string, messageId: string) =>
  person.do('message:send', {
    conversationId: to,
    clientId: randomUUID(),
    forward: { conversationId, messageId },
  })

/** The status of asking for an attachment. */
const asked = async (person: Person, attachmentId: string): Promise<number> =>
  (await ask(server.url, person.session.accessToken, 'GET', `/attachments/${attachmentId}`)).status

/** Without the addresses, which are others each few minutes. */
const lasting = ({ url: _, thumbnailUrl: __, ...facts }: Attachment) => facts
const withoutAddresses = (message: Message | undefined) => ({
  ...message,
  attachments: message?.attachments?.map(lasting),
})

test('a message brings its attachment, the same to whoever is told of it, hears it or reads it', async () => {
  const conversationId = await openGroup(ann, ben)
  const image = await uploaded(ann)
  const phone = await connect(server.url, ann.session)
  const content = `whereabouts ${randomUUID().slice(0, 8)}`
  const sent = await sendFiles(ann, conversationId, [image], content)
  const told = sent.message
  assert.partialDeepStrictEqual(told, { id: sent.id, type: 'image', content, status: 'sent', seq: sent.seq })
  assert.deepEqual(told?.attachments?.map(lasting), [lasting(image)])
  const [search, list, sync, since] = await Promise.all([
    ben.do('message:search', { query: content }),
    listOf(ben),
    ben.do('sync', {}),
    ben.do('sync', { positions: { [conversationId]: sent.prevChange } }),
  ])
  const shown = [
    await hearsMessage(ben, sent.id),
    await hearsMessage(phone, sent.id),
    await messageOf(ben, conversationId, sent.id),
    search.messages[0],
    list.find(({ id }) => id === conversationId)?.lastMessage,
    sync.messages.find(({ id }) => id === sent.id),
    since.messages.find(({ id }) => id === sent.id),
  ]
  for (const message of shown) {
    assert.deepEqual(withoutAddresses(message), withoutAddresses(told))
    const [attachment] = message?.attachments ?? []
    assert.ok(await isServed(server.url, attachment?.url))
    assert.ok(await isServed(server.url, attachment?.thumbnailUrl))
  }
  phone.close()
})

test('several attachments keep their order; the type is theirs, and file where they are several things', async () => {
  const conversationId = await openDirect(ann, ben)
  const images = await Promise.all(Array.from({ length: 10 }, () => uploaded(ann)))
  const [audio, file] = [await uploaded(ann, 'audio'), await uploaded(ann, 'file')]
  const cases: [type: Attachment['kind'], attachments: Attachment[]][] = [
    ['image', images],
    ['image', images.toReversed()],
    ['audio', [audio]],
    ['file', [file]],
    ['file', [audio, images[0] as Attachment, file]],
  ]
  for (const [type, attachments] of cases) {
    const { id, message } = await sendFiles(ann, conversationId, attachments)
    for (const one of [message, await hearsMessage(ben, id), await messageOf(ben, conversationId, id)]) {
      assert.deepEqual([one?.type, ids(one?.attachments ?? [])], [type, ids(attachments)])
    }
    await sendFiles(ann, conversationId, attachments)
    await send(ann, conversationId, 'with its type', { type, attachmentIds: ids(attachments) })
  }
})

test('a message with attachments goes by REST as well', async () => {
  const conversationId = await openDirect(ann, cat)
  const image = await uploaded(ann)
  const input = { clientId: randomUUID(), attachmentIds: [image.id] }
  const { status, body } = await api(server.url, ann)('POST', `/conversations/${conversationId}/messages`, input)
  assert.equal(status, 201)
  const heard = await hearsMessage(cat, body.id as unknown as string)
  assert.deepEqual(heard.attachments?.map(lasting), [lasting(image)])
})

test('an agent sends what it has uploaded, and not what others have', async () => {
  const agent = await makeAgent(server.url, ann)
  const { key } = await makeKey(server.url, ann, agent.id)
  const socket = await connectAgent(server.url, key)
  const { id: conversationId } = await ann.do('conversation:create', { type: 'direct', participantIds: [agent.id] })
  const own = await upload(server.url, key, 'audio')
  const input = { conversationId, clientId: randomUUID(), attachmentIds: [own.id] }
  const ack = await socket.ask('message:send', input)
  assert.ok(ack.ok, JSON.stringify(ack))
  const heard = await hearsMessage(ann, (ack.data as { id: string }).id)
  assert.deepEqual([heard.type, heard.attachments?.map(lasting)], ['audio', [lasting(own)]])
  const others = [(await uploaded(ann)).id]
  const refused = await socket.ask('message:send', { ...input, clientId: randomUUID(), attachmentIds: others })
  assert.equal(!refused.ok && refused.error.code, 'unprocessable')
  socket.close()
})

describe('is refused, stored nowhere and heard by nobody:', () => {
  let conversationId: string
  let image: Attachment
  before(async () => {
    conversationId = await openGroup(ann, ben)
    image = await uploaded(ann)
  })

  async function allRefused(code: 'unprocessable' | 'invalid_request', inputs: object[]): Promise<void> {
    const earlier = await stateOf(ben, conversationId)
    const heard = await heardDuring([ann, ben], async () => {
      for (const input of inputs) {
        await refuses(ann, code, 'message:send', { conversationId, clientId: randomUUID(), ...input })
      }
    })
    assert.deepEqual(heard, [[], []])
    assert.deepEqual(await stateOf(ben, conversationId), earlier)
  }

  test('an attachment that is somebody else’s, or not there, alone or among one’s own', async () => {
    const others = await uploaded(ben)
    await sendFiles(ben, conversationId, [others])
    const bad = [others.id, randomUUID()]
    await allRefused('unprocessable', [
      ...bad.map((id) => ({ attachmentIds: [id] })),
      ...bad.map((id) => ({ attachmentIds: [image.id, id], content: 'look' })),
    ])
  })

  test('a type that the attachments are not of', async () => {
    const audio = await uploaded(ann, 'audio')
    await allRefused('unprocessable', [
      { type: 'audio', attachmentIds: [image.id] },
      { type: 'text', attachmentIds: [image.id] },
      { type: 'file', attachmentIds: [image.id] },
      { type: 'image', attachmentIds: [image.id, audio.id] },
    ])
  })

  test('what cannot be a message, whatever the attachments', async () => {
    const { id: messageId } = await send(ann, conversationId, 'a source')
    const source = { conversationId, messageId }
    const attachmentIds = [image.id]
    await allRefused('invalid_request', [
      { attachmentIds: [] },
      { attachmentIds: [], content: 'look' },
      { attachmentIds: [image.id, image.id] },
      { attachmentIds: [image.id, image.id.toUpperCase()] },
      { attachmentIds: Array.from({ length: 11 }, () => randomUUID()) },
      { attachmentIds, forward: source },
      { type: 'image', content: 'look' },
      { type: 'image', forward: source },
    ])
  })
})

test('a repeated send brings the first result, also after the message was deleted; another input conflicts', async () => {
  const conversationId = await openGroup(ann, ben)
  const [one, other] = [await uploaded(ann), await uploaded(ann)]
  const input = { conversationId, clientId: randomUUID(), attachmentIds: [one.id, other.id] }
  const first = await ann.do('message:send', input)
  const [again, conflicting] = await Promise.all([
    ann.do('message:send', input),
    refuses(ann, 'idempotency_conflict', 'message:send', { ...input, attachmentIds: [other.id, one.id] }),
  ])
  assert.ok(conflicting)
  assert.ok(again.duplicate)
  assert.deepEqual([again.id, withoutAddresses(again.message)], [first.id, withoutAddresses(first.message)])
  await ann.do('message:delete', { conversationId, messageId: first.id })
  const late = await ann.do('message:send', input)
  assert.deepEqual([late.id, late.duplicate, late.message?.attachments], [first.id, true, undefined])
})

test('the text beside attachments can be edited away, and that of a message without any cannot', async () => {
  const conversationId = await openGroup(ann, ben)
  const { id: messageId, message } = await sendFiles(ann, conversationId, [await uploaded(ann)], 'look')
  await ann.do('message:edit', { conversationId, messageId, content: '' })
  const edited = await hearsMessage(ben, messageId, 'messages:updated')
  assert.equal(edited.content, '')
  assert.deepEqual(edited.attachments?.map(lasting), message?.attachments?.map(lasting))
  const { id } = await send(ann, conversationId, 'words')
  await refuses(ann, 'invalid_request', 'message:edit', { conversationId, messageId: id, content: '' })
})

test('only those who are in the conversation now may ask for an attachment', async () => {
  const conversationId = await openGroup(ann, ben, cat)
  const image = await uploaded(ann)
  assert.deepEqual([await asked(ann, image.id), await asked(ben, image.id)], [200, 404])
  const { id: messageId } = await sendFiles(ann, conversationId, [image])
  assert.deepEqual([await asked(ben, image.id), await asked(cat, image.id)], [200, 200])
  const [stranger] = await cast(server.url, 'stranger')
  assert.equal(await asked(stranger, image.id), 404)
  await ann.do('participant:remove', { conversationId, userId: ben.id })
  await cat.do('conversation:leave', { conversationId })
  assert.deepEqual([await asked(ben, image.id), await asked(cat, image.id)], [404, 404])
  await ann.do('participant:add', { conversationId, userId: ben.id })
  assert.equal(await asked(ben, image.id), 200)
  await ann.do('message:delete', { conversationId, messageId })
  assert.equal(await asked(ben, image.id), 404)
  stranger.close()
})

test('a forward brings the attachments in their order, to its readers too, and copies no file', async () => {
  const [from, to] = [await openGroup(ann, ben), await openGroup(ben, cat)]
  const attachments = [await uploaded(ann, 'file'), await uploaded(ann), await uploaded(ann)]
  const { id } = await sendFiles(ann, from, attachments, 'from afar')
  const objects = await objectsIn(server.dataDir)
  const sent = await forward(ben, to, from, id)
  const told = sent.message
  assert.partialDeepStrictEqual(told, { type: 'file', content: 'from afar', forwardedFrom: { messageId: id } })
  assert.deepEqual(told?.attachments?.map(lasting), attachments.map(lasting))
  assert.deepEqual(withoutAddresses(await hearsMessage(cat, sent.id)), withoutAddresses(told))
  assert.deepEqual(withoutAddresses(await messageOf(cat, to, sent.id)), withoutAddresses(told))
  assert.deepEqual(await objectsIn(server.dataDir), objects)

  // whoever forwards owns nothing of it, and the source may go
  await ann.do('message:delete', { conversationId: from, messageId: id })
  for (const { id } of attachments) assert.equal(await asked(cat, id), 200)
  const [first] = (await messageOf(cat, to, sent.id)).attachments ?? []
  assert.ok(await isServed(server.url, first?.url))
  const onward = await forward(cat, await openDirect(cat, ann), to, sent.id)
  assert.deepEqual(ids(onward.message?.attachments ?? []), ids(attachments))
  await refuses(ben, 'not_found', 'message:send', {
    ...{ conversationId: to, clientId: randomUUID(), forward: { conversationId: from, messageId: id } },
  })
})

test('a forward and the deletion of its source at once: the forward has all of the attachments, or is refused', async () => {
  const [from, to] = [await openGroup(ann, ben), await openGroup(ben, cat)]
  for (let round = 0; round < 12; round++) {
    const attachments = [await uploaded(ann), await uploaded(ann, 'file')]
    const { id: messageId } = await sendFiles(ann, from, attachments)
    const input = { conversationId: to, forward: { conversationId: from, messageId } }
    const [acks] = await Promise.all([
      Promise.all(Array.from({ length: 3 }, () => ben.ask('message:send', { ...input, clientId: randomUUID() }))),
      ann.do('message:delete', { conversationId: from, messageId }),
    ])
    for (const ack of acks) {
      if (!ack.ok) assert.equal(ack.error.code, 'not_found')
      else {
        const stored = await messageOf(cat, to, (ack.data as { id: string }).id)
        assert.deepEqual(ids(stored.attachments ?? []), ids(attachments))
        for (const { url } of stored.attachments ?? []) assert.ok(await isServed(server.url, url))
      }
    }
  }
})

describe('what nothing refers to any more goes', () => {
  /** An upload, and the object that it is on the disk. */
  async function stored(person: Person): Promise<{ attachment: Attachment; isKept(): Promise<boolean> }> {
    const earlier = new Set(await objectsIn(server.dataDir))
    const attachment = await uploaded(person, 'file')
    const own = (await objectsIn(server.dataDir)).filter((name) => !earlier.has(name))
    assert.equal(own.length, 1)
    return { attachment, isKept: async () => (await objectsIn(server.dataDir)).includes(own[0] as string) }
  }

  const goes = (what: Awaited<ReturnType<typeof stored>>) =>
    eventually('the object is removed', async () => !(await what.isKept()))

  test('with the last message that has it, and not before', async () => {
    const [one, other] = [await openGroup(ann, ben), await openGroup(ann, ben)]
    const [twice, once] = [await stored(ann), await stored(ann)]
    const { id: first } = await sendFiles(ann, one, [twice.attachment])
    const { id: second } = await forward(ben, other, one, first)
    const { id: third } = await sendFiles(ann, one, [once.attachment], 'once')
    await ann.do('message:delete', { conversationId: one, messageId: first })
    await ann.do('message:delete', { conversationId: one, messageId: third })
    assert.equal((await messageOf(ben, one, third)).attachments, undefined)
    await goes(once)
    // released before that one, it was looked at with it or earlier
    assert.ok(await twice.isKept())
    assert.equal(await asked(ben, twice.attachment.id), 200)
    await ben.do('message:delete', { conversationId: other, messageId: second })
    await goes(twice)
    assert.equal(await asked(ann, twice.attachment.id), 404)
    await refuses(ann, 'unprocessable', 'message:send', {
      ...{ conversationId: one, clientId: randomUUID(), attachmentIds: [twice.attachment.id] },
    })
  })

  test('with the conversation, but for what others have of it', async () => {
    const [gone, kept] = [await openGroup(ann, ben), await openGroup(ann, ben)]
    const [shared, own] = [await stored(ann), await stored(ann)]
    const { id } = await sendFiles(ann, gone, [shared.attachment, own.attachment])
    const { id: single } = await sendFiles(ann, gone, [shared.attachment])
    await forward(ann, kept, gone, single)
    assert.ok(id)
    await ann.do('conversation:delete', { conversationId: gone })
    await goes(own)
    assert.ok(await shared.isKept())
    assert.equal(await asked(ben, shared.attachment.id), 200)
  })

  test('with the last person who leaves', async () => {
    const conversationId = await openGroup(ann)
    const own = await stored(ann)
    await sendFiles(ann, conversationId, [own.attachment])
    await ann.do('conversation:leave', { conversationId })
    await goes(own)
  })

  test('with an assistant conversation; a breakout of it keeps its own', async () => {
    const { id: conversationId } = await ann.do('conversation:create', { type: 'assistant', models: ['offline'] })
    const [first, second] = [await stored(ann), await stored(ann)]
    const { id: messageId } = await sendFiles(ann, conversationId, [first.attachment])
    await eventually('it is answered', async () =>
      (await ann.do('message:history', { conversationId })).messages.some(
        ({ status, role }) => role === 'assistant' && status !== 'streaming',
      ),
    )
    await sendFiles(ann, conversationId, [second.attachment])
    const breakout = await ann.do('conversation:create', {
      ...{ type: 'assistant', parentId: conversationId, breakoutModelId: 'offline', messageId },
    })
    const [copy] = (await ann.do('message:history', { conversationId: breakout.id })).messages
    assert.deepEqual([copy?.type, copy?.attachments?.map(lasting)], ['file', [lasting(first.attachment)]])
    await ann.do('conversation:delete', { conversationId })
    await goes(second)
    assert.ok(await first.isKept())
    assert.equal(await asked(ann, first.attachment.id), 200)
    await ann.do('conversation:delete', { conversationId: breakout.id })
    await goes(first)
  })
})
