import assert from 'node:assert/strict'
import { randomBytes, randomInt, randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { sql } from 'kysely'
import { AppError } from '../../src/kernel/errors.ts'
import { newId } from '../../src/kernel/ids.ts'
import type { CommandInput, Message } from '../../src/messenger/messenger.contract.ts'
import { eventually } from '../faults/scene.ts'
import { startMessenger, type TestMessenger } from '../support/messenger.ts'

let messenger: TestMessenger
before(async () => {
  messenger = await startMessenger()
})
after(() => messenger.close())

const kinds = ['image', 'video', 'audio', 'file'] as const

/** The row of an upload; media make it where there is a file. */
async function attachment(owner: { id: string }, more: { kind?: string; status?: string } = {}): Promise<string> {
  const [id, key] = [newId(), randomBytes(32).toString('hex')]
  const { kind = 'image', status = 'ready' } = more
  await messenger.database.query(sql`insert into media_objects (key, bytes, stored_at) values (${key}, 5, now())`)
  await messenger.database.query(sql`
    insert into attachments (id, owner_id, kind, mime, name, bytes, thumbnail_bytes, sha256, storage_key, thumbnail_key, status)
    values (${id}, ${owner.id}, ${kind}, 'application/octet-stream', ${`${id}.bin`}, 5, 0, decode(${key}, 'hex'), ${key},
      ${kind === 'image' ? key : null}, ${status})`)
  return id
}

const open = async (owner: { id: string }, ...others: { id: string }[]): Promise<string> => {
  const participantIds = others.map(({ id }) => id)
  const wish = { type: 'group', title: 'a group', participantIds } as const
  return (await messenger.call(owner.id, 'conversation:create', wish)).id
}

const refusedWith = (code: string) => (error: unknown) => error instanceof AppError && error.code === code

type Item = CommandInput<'message:send'>

describe('messages that are stored together', () => {
  /** Numbers below the limit; what is drawn is printed where the property does not hold. */
  const seed = randomInt(2 ** 31)
  let state = seed
  const roll = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
    return (state >>> 8) % below
  }
  const pick = <T>(from: readonly T[]): T => from[roll(from.length)] as T

  test(`are told as they are read: with and without attachments, forwarded and refused (seed ${seed})`, async () => {
    const people = await Promise.all(Array.from({ length: 4 }, () => messenger.person()))
    const [ann = assert.fail()] = people
    const groups = await Promise.all(Array.from({ length: 3 }, () => open(ann, ...people.slice(1))))
    const uploads = new Map(
      await Promise.all(
        people.map(async (person) => {
          const own = await Promise.all(Array.from({ length: 6 }, () => attachment(person, { kind: pick(kinds) })))
          return [person.id, own] as const
        }),
      ),
    )
    const sources: Message[] = []

    /** A message of that sender's, whatever comes of it. */
    function anyItem(sender: { id: string }): Item {
      const item = { conversationId: pick(groups), clientId: randomUUID() }
      const own = uploads.get(sender.id) as string[]
      const several = () => own.slice(roll(3), 3 + roll(4))
      const source = sources.length > 0 ? pick(sources) : undefined
      switch (roll(6)) {
        case 0:
          return { ...item, attachmentIds: several() }
        case 1:
          return { ...item, attachmentIds: several(), content: 'with words' }
        case 2:
          return source
            ? { ...item, forward: { conversationId: source.conversationId, messageId: source.id } }
            : { ...item, content: 'no source yet' }
        case 3:
          return { ...item, attachmentIds: [pick(uploads.get(pick(people).id) as string[])], type: pick(kinds) }
        case 4:
          return { ...item, attachmentIds: [pick(own), newId()] }
        default:
          return { ...item, content: 'words alone', replyToId: source?.id }
      }
    }

    for (let round = 0; round < 12; round++) {
      const from = messenger.told.length
      const items = Array.from({ length: 1 + roll(60) }, () => {
        const sender = pick(people)
        return { sender, item: anyItem(sender) }
      })
      const outcomes = await Promise.allSettled(
        items.map(({ sender, item }) => messenger.call(sender.id, 'message:send', item)),
      )
      const told = messenger.told
        .slice(from)
        .filter(({ event }) => event === 'messages:created')
        .flatMap(({ payload }) => payload['messages'] as Message[])
      const read = new Map<string, Message>()
      for (const id of groups)
        for (const message of await messenger.historyOf(ann.id, id)) read.set(message.id, message)
      for (const message of told) assert.deepEqual(message, read.get(message.id))
      for (const [i, outcome] of outcomes.entries()) {
        const { item, sender } = items[i] as (typeof items)[number]
        if (outcome.status === 'rejected') {
          assert.ok(refusedWith('unprocessable')(outcome.reason), String(outcome.reason))
          assert.equal(
            told.some(({ clientId }) => clientId === item.clientId),
            false,
          )
          continue
        }
        const stored = read.get(outcome.value.id)
        assert.equal(told.filter(({ id }) => id === outcome.value.id).length, 1)
        const source = item.forward && sources.find(({ id }) => id === item.forward?.messageId)
        const wanted = item.attachmentIds ?? source?.attachments?.map(({ id }) => id)
        assert.deepEqual(
          stored?.attachments?.map(({ id }) => id),
          wanted,
        )
        assert.deepEqual(outcome.value.message?.attachments, stored?.attachments)
        const types = new Set(stored?.attachments?.map(({ kind }) => kind) ?? ['text'])
        assert.equal(stored?.type, types.size === 1 ? [...types][0] : 'file')
        assert.equal(stored?.senderId, sender.id)
      }
      sources.push(...told)
    }
    for (const id of groups) {
      const history = await messenger.historyOf(ann.id, id)
      assert.deepEqual(
        history.map(({ seq }) => seq),
        history.map((_, i) => (history[0]?.seq ?? 0) + i),
      )
    }
  })
})

test('an upload that is not finished is no attachment yet', async () => {
  const [ann, ben] = [await messenger.person(), await messenger.person()]
  const conversationId = await open(ann, ben)
  const id = await attachment(ann, { status: 'pending' })
  const more = { attachmentIds: [id] }
  await assert.rejects(messenger.send(ann.id, conversationId, 'too early', more), refusedWith('unprocessable'))
  assert.deepEqual(await messenger.historyOf(ben.id, conversationId), [])
  await messenger.database.query(sql`update attachments set status = 'ready' where id = ${id}`)
  await messenger.send(ann.id, conversationId, 'now', more)
  assert.equal((await messenger.historyOf(ben.id, conversationId)).length, 1)
})

const oneConnection = process.env['DATABASE_URL'] ? false : 'the embedded database has one connection'

test('a forward that waits while its source goes is refused, not stored with what is left', {
  skip: oneConnection,
}, async () => {
  const { database } = messenger
  const ann = await messenger.person()
  const [from, to] = [await open(ann), await open(ann)]
  for (const kept of [[], [await attachment(ann)]]) {
    const gone = await attachment(ann)
    const { id: messageId } = await messenger.send(ann.id, from, '', { attachmentIds: [gone, ...kept] })
    const forward = { conversationId: from, messageId }
    const { sending } = await database.transact(async (em) => {
      const run = (statement: ReturnType<typeof sql>) => statement.execute(em.getKysely() as never)
      // as a removal does that has begun a moment before
      await run(sql`select from attachments where id = ${gone} for update`)
      const sending = messenger.call(ann.id, 'message:send', { conversationId: to, clientId: randomUUID(), forward })
      sending.catch(() => {})
      await eventually('the forward waits', async () => {
        const waiting = sql`
          select 1 from pg_stat_activity
          where datname = current_database() and wait_event_type = 'Lock' and query like '%append_messages%'`
        return (await database.query(waiting)).length > 0
      })
      await run(sql`update messages set deleted_at = now(), content = '' where id = ${messageId}`)
      await run(sql`delete from message_attachments where message_id = ${messageId}`)
      await run(sql`delete from attachments where id = ${gone}`)
      return { sending }
    })
    await assert.rejects(sending, refusedWith('not_found'))
  }
  assert.deepEqual(await messenger.historyOf(ann.id, to), [])
})

test('the export of a user’s data brings what is known of attachments, and no address', async () => {
  const [ann, ben] = [await messenger.person(), await messenger.person()]
  const conversationId = await open(ann, ben)
  const id = await attachment(ann)
  await messenger.database.query(sql`update users set avatar_id = ${id} where id = ${ann.id}`)
  await messenger.database.query(sql`update conversations set avatar_id = ${id} where id = ${conversationId}`)
  await messenger.send(ann.id, conversationId, 'look', { attachmentIds: [id] })
  const facts = { id, kind: 'image', mime: 'application/octet-stream', bytes: 5, name: `${id}.bin` }
  const [message] = await messenger.exported('messages', ben.id)
  assert.partialDeepStrictEqual(message, { content: 'look', type: 'image' })
  assert.deepEqual(message?.['attachments'], [facts])
  const text = JSON.stringify([await messenger.exported('conversations', ben.id), message])
  assert.doesNotMatch(text, /avatarUrl|"url"|thumbnailUrl/)
  await messenger.call(ann.id, 'conversation:leave', { conversationId })
  const [own] = await messenger.exported('messages', ann.id)
  assert.deepEqual(own?.['attachments'], [facts])
})

/** As identity makes a block, or takes it back. */
async function setBlock(one: { id: string }, other: { id: string }, isSet: boolean): Promise<void> {
  const [userId, blockedId] = [one.id, other.id]
  await messenger.database.transact(async (em) => {
    const change = isSet
      ? sql`insert into blocks (user_id, blocked_user_id) values (${userId}, ${blockedId})`
      : sql`delete from blocks where user_id = ${userId} and blocked_user_id = ${blockedId}`
    await change.execute(em.getKysely() as never)
    await messenger.events.publish(em, 'user.blocked', { userId, blockedId })
  })
}

test('a text that grows as a block is made keeps what was stored, and ends as stopped', async () => {
  const { database, streams } = messenger
  const [ann, agent] = [await messenger.person(), await messenger.agent()]
  const wish = { type: 'direct' as const, participantIds: [agent.id] }
  const { id: conversationId } = await messenger.call(ann.id, 'conversation:create', wish)
  const messageId = newId()
  const append = (text: string) =>
    database.transact((em) => streams.appendIn(em, [{ conversationId, messageId, text }]))
  await database.transact(async (em) => {
    const held = await streams.lock(em, conversationId, agent.id)
    await streams.beginIn(em, held, [{ id: messageId, senderId: agent.id }])
  })
  assert.deepEqual(await append('so far'), new Set([messageId]))
  await setBlock(ann, agent, true)
  assert.deepEqual(await append(' and no further'), new Set())
  const end = { conversationId, messageId, status: 'sent' as const, text: ' at all', requestedBy: null }
  const change = await database.transact(async (em) => {
    assert.equal(await streams.holdToWrite(em, conversationId), undefined)
    const held = await streams.hold(em, conversationId)
    return held && (await streams.finishIn(em, held, end))
  })
  assert.equal(change?.asked, false)
  const [message] = await messenger.historyOf(ann.id, conversationId)
  assert.deepEqual([message?.status, message?.content], ['cancelled', 'so far'])
})

describe('for stories', () => {
  test('an answer goes to the direct conversation of the two, which begins with the first, once per clientId', async () => {
    const [ann, ben] = [await messenger.person(), await messenger.person()]
    const storyId = newId()
    const reply = { senderId: ann.id, recipientId: ben.id, storyId, clientId: randomUUID(), content: 'Was it a moth?' }
    const [first, same] = await Promise.all([messenger.replyToStory(reply), messenger.replyToStory(reply)])
    assert.deepEqual([same?.id, same?.conversationId], [first?.id, first?.conversationId])
    const conversationId = first?.conversationId as string
    const [message, ...others] = await messenger.historyOf(ben.id, conversationId)
    assert.deepEqual(others, [])
    assert.partialDeepStrictEqual(message, { storyId, type: 'text', content: reply.content, senderId: ann.id })
    const news = messenger.told.filter(({ event, to }) => event === 'messages:created' && to === conversationId)
    assert.deepEqual(
      news.flatMap(({ payload }) => payload['messages']),
      [message],
    )
    const answer = await messenger.replyToStory({ ...reply, senderId: ben.id, recipientId: ann.id })
    assert.equal(answer.conversationId, conversationId)
    for (const other of [{ storyId: newId() }, { content: 'A moth!' }]) {
      await assert.rejects(messenger.replyToStory({ ...reply, ...other }), refusedWith('idempotency_conflict'))
    }
    await setBlock(ben, ann, true)
    const later = { ...reply, clientId: randomUUID() }
    await assert.rejects(messenger.replyToStory(later), refusedWith('forbidden'))
    await messenger.call(ann.id, 'message:delete', { conversationId, messageId: first?.id as string })
    assert.equal((await messenger.historyOf(ben.id, conversationId))[0]?.storyId, undefined)
  })

  test('peers are the people met in conversations that are there, without blocks in either direction', async () => {
    const [ann, ben, cat, dan] = await Promise.all(Array.from({ length: 4 }, () => messenger.person()))
    const agent = await messenger.agent()
    assert.ok(ann && ben && cat && dan)
    const peers = async (of: { id: string }) => (await messenger.peersOf(of.id)).toSorted()
    const idsOf = (...them: { id: string }[]) => them.map(({ id }) => id).toSorted()
    assert.deepEqual(await peers(ann), [])
    const group = await open(ann, ben, agent)
    const other = await open(cat, ann, ben)
    assert.deepEqual(await peers(ann), idsOf(ben, cat))
    assert.deepEqual(await peers(dan), [])
    await setBlock(ben, ann, true)
    assert.deepEqual([await peers(ann), await peers(ben)], [idsOf(cat), idsOf(cat)])
    await setBlock(ben, ann, false)
    await messenger.call(ben.id, 'conversation:leave', { conversationId: other })
    assert.deepEqual([await peers(ann), await peers(ben)], [idsOf(ben, cat), idsOf(ann)])
    await messenger.call(cat.id, 'conversation:delete', { conversationId: other })
    assert.deepEqual(await peers(ann), idsOf(ben))
    await messenger.database.query(sql`update users set deleted_at = now() where id = ${ben.id}`)
    assert.deepEqual(await peers(ann), [])
    assert.ok(group)
  })
})
