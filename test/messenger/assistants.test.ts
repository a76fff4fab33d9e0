import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { sql } from 'kysely'
import type { CommandInput, Conversation } from '../../src/messenger/messenger.contract.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import { withCode } from '../support/identity.ts'
import { startMessenger, type TestMessenger } from '../support/messenger.ts'
import { api, cast, connect, heardDuring, openDirect, openGroup, type Person, refuses, send, stateOf } from './scene.ts'

type Creation = CommandInput<'conversation:create'>

describe('an assistant conversation', () => {
  let server: Backend
  let ann: Person
  let ben: Person
  before(async () => {
    server = await startBackend()
    ;[ann, ben] = await cast(server.url, 'ann', 'ben')
  })
  after(() => server.end())

  const open = async (more: Partial<Creation> = {}): Promise<Conversation> =>
    ann.do('conversation:create', { type: 'assistant', models: ['offline'], ...more })

  test('begins with its creator alone, who owns it and hears of it on every device', async () => {
    const phone = await connect(server.url, ann.session)
    const [heardByBen] = await heardDuring([ben], async () => {
      const created = await open({ title: 'On verse', systemPrompt: 'Answer in verse.' })
      assert.partialDeepStrictEqual(created, {
        type: 'assistant',
        title: 'On verse',
        createdBy: ann.id,
        models: ['offline'],
        systemPrompt: 'Answer in verse.',
        lastSeq: 0,
        participantCount: 1,
      })
      assert.deepEqual(
        created.participants.map(({ userId, role }) => [userId, role]),
        [[ann.id, 'owner']],
      )
      assert.deepEqual([created.parentId, created.breakoutModelId], [undefined, undefined])
      for (const device of [ann, phone]) {
        assert.deepEqual(await device.hears('conversation:created', ({ id }) => id === created.id), created)
      }
      const { seq } = await send(ann, created.id, 'hello')
      assert.equal(seq, 1)
      // what the model answers comes here, and not among the news of the tests below
      await ann.hears('messages:updated', ({ conversationId }) => conversationId === (created.id as never))
    })
    assert.deepEqual(heardByBen, [])
    phone.close()
  })

  test('begins over REST, too, for those who are signed in', async () => {
    const body = { type: 'assistant', models: ['offline'] }
    const made = await api(server.url, ann)('POST', '/conversations', body)
    assert.deepEqual([made.status, made.body.models], [201, ['offline']])
    assert.equal((await api(server.url)('POST', '/conversations', body)).status, 401)
  })

  test('begins once for a clientId, also fifty times at once', async () => {
    const clientId = randomUUID()
    const [heard] = await heardDuring([ann], async () => {
      const all = await Promise.all(Array.from({ length: 50 }, () => open({ clientId })))
      assert.equal(new Set(all.map(({ id }) => id)).size, 1)
      const later = await open({ clientId, title: 'Another', models: ['gone-by-now'] })
      assert.deepEqual([later.id, later.title], [all[0]?.id, undefined])
    })
    assert.deepEqual(
      heard?.map(({ event }) => event),
      ['conversation:created'],
    )
  })

  test('has from one to ten models, each once, that can be asked', async () => {
    const heard = await heardDuring([ann, ben], async () => {
      const models = (...ids: string[]) => ({ type: 'assistant', models: ids })
      for (const input of [
        { type: 'assistant' },
        models(),
        models('offline', 'offline'),
        models(...Array.from({ length: 11 }, (_, i) => `m${i}`)),
      ]) {
        const error = await refuses(ann, 'invalid_request', 'conversation:create', input)
        const [field] = (error.details?.errors ?? []) as { path: string }[]
        assert.equal(field?.path, 'models')
      }
      // the second is in the catalogue, but this server has no provider for it
      for (const missing of ['gpt-99', 'gpt-4o']) {
        const error = await refuses(ann, 'not_found', 'conversation:create', models('offline', missing))
        assert.ok(error.message.includes(missing))
      }
    })
    assert.deepEqual(heard, [[], []])
  })

  test('takes nobody in, and what belongs to it belongs to no other conversation', async () => {
    const heard = await heardDuring([ann, ben], async () => {
      const assistant = { type: 'assistant', models: ['offline'] }
      for (const participantIds of [[ben.id], [ann.id], []]) {
        await refuses(ann, 'unprocessable', 'conversation:create', { ...assistant, participantIds })
      }
      for (const type of ['direct', 'group']) {
        const shared = { type, participantIds: [ben.id] }
        await refuses(ann, 'unprocessable', 'conversation:create', { ...shared, models: ['offline'] })
        await refuses(ann, 'unprocessable', 'conversation:create', { ...shared, systemPrompt: 'Be brief.' })
        await refuses(ann, 'unprocessable', 'conversation:create', { ...shared, parentId: randomUUID() })
      }
    })
    assert.deepEqual(heard, [[], []])
  })

  test('is changed by its creator: title, models and system prompt, each alone', async () => {
    const { id: conversationId, lastChange } = await open({ title: 'Old', systemPrompt: 'Be brief.' })
    const update = (more: object) => ann.do('conversation:update', { conversationId, ...more })
    const renamed = await update({ title: 'New' })
    assert.deepEqual([renamed.title, renamed.models, renamed.systemPrompt], ['New', ['offline'], 'Be brief.'])
    const news = await ann.hears('conversation:updated', (payload) => payload.conversationId === conversationId)
    const { settings, lastReadSeq, unreadCount, unreadMentions, ...shared } = renamed
    assert.deepEqual(news, { conversationId, prevChange: lastChange, change: lastChange + 1, conversation: shared })
    const prompted = await update({ systemPrompt: 'Be long.' })
    assert.deepEqual([prompted.title, prompted.systemPrompt], ['New', 'Be long.'])
    assert.deepEqual((await update({ models: ['offline'] })).models, ['offline'])
    const bare = await update({ systemPrompt: '' })
    assert.deepEqual([bare.title, bare.systemPrompt, bare.lastChange], ['New', undefined, lastChange + 4])
  })

  test('is changed, left, joined, shared and deleted by nobody else, and not in ways that it does not have', async () => {
    const { id: conversationId } = await open({ title: 'Mine' })
    const before = await stateOf(ann, conversationId)
    const heard = await heardDuring([ann, ben], async () => {
      for (const more of [{ title: 'Ours' }, { models: ['offline'] }, { systemPrompt: '' }]) {
        await refuses(ben, 'not_found', 'conversation:update', { conversationId, ...more })
      }
      await refuses(ben, 'not_found', 'conversation:delete', { conversationId })
      await refuses(ben, 'not_found', 'conversation:get', { conversationId })
      await refuses(ann, 'invalid_request', 'conversation:update', { conversationId, models: [] })
      await refuses(ann, 'invalid_request', 'conversation:update', { conversationId, models: ['offline', 'offline'] })
      await refuses(ann, 'not_found', 'conversation:update', { conversationId, title: 'x', models: ['gpt-99'] })
      await refuses(ann, 'unprocessable', 'conversation:leave', { conversationId })
      await refuses(ann, 'unprocessable', 'participant:add', { conversationId, userId: ben.id })
      await refuses(ann, 'unprocessable', 'participant:update', { conversationId, userId: ann.id, role: 'member' })
      await refuses(ann, 'unprocessable', 'participant:remove', { conversationId, userId: ann.id })
      await refuses(ann, 'not_found', 'participant:remove', { conversationId, userId: ben.id })
    })
    assert.deepEqual(heard, [[], []])
    assert.deepEqual(await stateOf(ann, conversationId), before)
  })

  test('alone has models and a system prompt to change', async () => {
    for (const conversationId of [await openDirect(ann, ben), await openGroup(ann, ben)]) {
      for (const more of [{ models: ['offline'] }, { systemPrompt: 'Be brief.' }, { title: 'x', systemPrompt: '' }]) {
        await refuses(ann, 'unprocessable', 'conversation:update', { conversationId, ...more })
      }
    }
  })

  test('is deleted by its creator, on all devices; then its clientId is free', async () => {
    const clientId = randomUUID()
    const { id: conversationId } = await open({ clientId })
    const phone = await connect(server.url, ann.session)
    await ann.do('conversation:delete', { conversationId })
    for (const device of [ann, phone]) {
      await device.hears('conversation:removed', (payload) => payload.conversationId === conversationId)
    }
    await refuses(ann, 'not_found', 'conversation:get', { conversationId })
    await refuses(ann, 'not_found', 'message:send', { conversationId, clientId, content: 'hello?' })
    assert.notEqual((await open({ clientId })).id, conversationId)
    phone.close()
  })
})

describe('a breakout', () => {
  let messenger: TestMessenger
  let ann: { id: string }
  let ben: { id: string }
  before(async () => {
    messenger = await startMessenger()
    ;[ann, ben] = [await messenger.person(), await messenger.person()]
  })
  after(() => messenger.close())

  const [one, other] = ['gpt-4o', 'claude-3-opus']

  const compare = () =>
    messenger.call(ann.id, 'conversation:create', {
      type: 'assistant',
      title: 'Verse or prose',
      systemPrompt: 'Be brief.',
      models: [one, other],
    })

  const breakOut = (parentId: string, messageId: string, more: Partial<Creation> = {}) =>
    messenger.call(ann.id, 'conversation:create', {
      type: 'assistant',
      parentId,
      messageId,
      breakoutModelId: one,
      ...more,
    })

  test('goes on with one model from a message on: what people and that model had said, renumbered', async () => {
    const parent = await compare()
    const clientId = randomUUID()
    const { id: question } = await messenger.send(ann.id, parent.id, 'Verse?', { clientId })
    const mine = await messenger.answer(parent.id, one, 'A rose is a rose', { replyToId: question })
    const theirs = await messenger.answer(parent.id, other, 'Prose is better', { replyToId: question })
    const { id: regretted } = await messenger.send(ann.id, parent.id, 'never mind')
    await messenger.call(ann.id, 'message:delete', { conversationId: parent.id, messageId: regretted })
    const { id: typo } = await messenger.send(ann.id, parent.id, 'Agian', { replyToId: mine })
    await messenger.call(ann.id, 'message:edit', { conversationId: parent.id, messageId: typo, content: 'Again' })
    await messenger.call(ann.id, 'reaction:add', { conversationId: parent.id, messageId: mine, emoji: '🌹' })
    await messenger.answer(parent.id, one, 'A rose is', { status: 'streaming' })
    await messenger.answer(parent.id, one, 'is a', { status: 'cancelled' })
    const { id: last } = await messenger.send(ann.id, parent.id, 'And you?', { replyToId: theirs })
    await messenger.send(ann.id, parent.id, 'what comes after it')
    const before = await messenger.historyOf(ann.id, parent.id)
    const toldBefore = messenger.told.length

    const breakout = await breakOut(parent.id, last)
    assert.partialDeepStrictEqual(breakout, {
      type: 'assistant',
      title: 'Verse or prose',
      systemPrompt: 'Be brief.',
      models: [one],
      parentId: parent.id,
      breakoutModelId: one,
      createdBy: ann.id,
      lastSeq: 5,
      lastChange: 6,
      lastReadSeq: 5,
      unreadCount: 0,
      participantCount: 1,
    })
    const copies = await messenger.historyOf(ann.id, breakout.id)
    assert.deepEqual(breakout.lastMessage, copies.at(-1))
    assert.deepEqual(
      copies.map(({ seq, change, content, role, senderId, modelId, status }) => ({
        ...{ seq, change, content, status },
        by: role === 'user' ? senderId : modelId,
      })),
      [
        { seq: 1, change: 2, content: 'Verse?', status: 'sent', by: ann.id },
        { seq: 2, change: 3, content: 'A rose is a rose', status: 'sent', by: one },
        { seq: 3, change: 4, content: 'Again', status: 'sent', by: ann.id },
        { seq: 4, change: 5, content: 'is a', status: 'cancelled', by: one },
        { seq: 5, change: 6, content: 'And you?', status: 'sent', by: ann.id },
      ],
    )
    const originals = new Map(before.map((message) => [message.content, message]))
    for (const { id, createdAt, content, clientId, reactions, editedAt } of copies) {
      assert.ok(!before.some((message) => message.id === id))
      assert.equal(createdAt, originals.get(content)?.createdAt)
      assert.deepEqual([clientId, reactions, editedAt], [undefined, undefined, undefined])
    }
    // replies to what was copied, and to nothing where it was not
    assert.deepEqual(
      copies.map(({ replyTo }) => replyTo && [replyTo.id, replyTo.seq]),
      [undefined, [copies[0]?.id, 1], [copies[1]?.id, 2], undefined, undefined],
    )
    // what the answer took is told again, what it cost was paid once
    const usage = { inputTokens: 12, outputTokens: 34, processingTimeMs: 678 }
    assert.deepEqual(originals.get('A rose is a rose')?.usage, { ...usage, credits: 5 })
    assert.deepEqual(copies[1]?.usage, { ...usage, credits: 0 })

    assert.deepEqual(await messenger.historyOf(ann.id, parent.id), before)
    assert.deepEqual(messenger.told.slice(toldBefore), [
      { event: 'conversation:created', to: [ann.id], payload: breakout },
    ])
    const { revisions } = await messenger.call(ann.id, 'message:revisions', {
      conversationId: breakout.id,
      messageId: copies[2]?.id ?? '',
    })
    assert.deepEqual(revisions, [])
  })

  test('takes messages as any other conversation, in order after the copies, and syncs from them on', async () => {
    const parent = await compare()
    const clientId = randomUUID()
    const { id } = await messenger.send(ann.id, parent.id, 'hello', { clientId })
    const breakout = await breakOut(parent.id, id)
    // the client id was the parent's: here it names another message
    const sent = await messenger.send(ann.id, breakout.id, 'on we go', { clientId })
    assert.deepEqual([sent.seq, sent.prevChange, sent.change, sent.duplicate], [2, 2, 3, undefined])
    const synced = await messenger.call(ann.id, 'sync', { positions: { [breakout.id]: 1 } })
    assert.deepEqual(
      synced.messages.filter(({ conversationId }) => conversationId === breakout.id).map(({ seq }) => seq),
      [1, 2],
    )
    const { messages } = await messenger.call(ann.id, 'message:search', {
      query: 'hello',
      conversationId: breakout.id,
    })
    assert.equal(messages.length, 1)
    const [row] = await messenger.database.query(
      sql<{ agents: boolean; triggers: number }>`
        select has_agents as agents,
          (select count(*)::int from message_triggers t where t.conversation_id = c.id) as triggers
        from conversations c where c.id = ${breakout.id}`,
    )
    // what is copied asks nobody
    assert.deepEqual(row, { agents: true, triggers: 1 })
  })

  test('of nothing that it may copy begins empty', async () => {
    const parent = await compare()
    const theirs = await messenger.answer(parent.id, other, 'Prose')
    const { lastSeq, lastChange, lastMessage } = await breakOut(parent.id, theirs)
    assert.deepEqual([lastSeq, lastChange, lastMessage], [0, 1, undefined])
  })

  test('copies the newest thousand of a long conversation', async () => {
    const parent = await compare()
    await messenger.database.query(sql`
      insert into messages (conversation_id, id, seq, change, created_change, sender_id, content, created_at)
      select ${parent.id}, gen_random_uuid(), n, n + 1, n + 1, ${ann.id}, 'text ' || n, now()
      from generate_series(1, 1500) n`)
    await messenger.database.query(
      sql`update conversations set last_seq = 1500, last_change = 1501 where id = ${parent.id}`,
    )
    const last = (await messenger.historyOf(ann.id, parent.id)).at(-2)
    const breakout = await breakOut(parent.id, last?.id ?? '')
    assert.deepEqual([breakout.lastSeq, breakout.lastChange, breakout.lastMessage?.content], [1000, 1001, 'text 1499'])
    const rows = await messenger.database.query(
      sql<{ seq: number; change: number; created: number; content: string }>`
        select seq, change, created_change as created, content from messages
        where conversation_id = ${breakout.id} order by seq`,
    )
    assert.deepEqual(
      rows,
      Array.from({ length: 1000 }, (_, i) => ({
        seq: i + 1,
        change: i + 2,
        created: i + 2,
        content: `text ${i + 500}`,
      })),
    )
  })

  test('goes on with a model that has answered, though it was taken out since', async () => {
    const parent = await compare()
    const mine = await messenger.answer(parent.id, one, 'Verse')
    await messenger.call(ann.id, 'conversation:update', { conversationId: parent.id, models: [other] })
    assert.deepEqual((await breakOut(parent.id, mine)).models, [one])
  })

  test('begins once for a clientId, also when its parent is gone by then', async () => {
    const parent = await compare()
    const { id } = await messenger.send(ann.id, parent.id, 'hello')
    const clientId = randomUUID()
    const all = await Promise.all(Array.from({ length: 20 }, () => breakOut(parent.id, id, { clientId })))
    assert.equal(new Set(all.map((breakout) => breakout.id)).size, 1)
    await messenger.call(ann.id, 'conversation:delete', { conversationId: parent.id })
    const again = await breakOut(parent.id, id, { clientId })
    assert.deepEqual([again.id, again.lastSeq], [all[0]?.id, 1])
  })

  test('survives the deletion of its parent, and then names none', async () => {
    const parent = await compare()
    const { id } = await messenger.send(ann.id, parent.id, 'hello')
    const breakout = await breakOut(parent.id, id)
    await messenger.call(ann.id, 'conversation:delete', { conversationId: parent.id })
    const { parentId, breakoutModelId, lastSeq } = await messenger.call(ann.id, 'conversation:get', {
      conversationId: breakout.id,
    })
    assert.deepEqual([parentId, breakoutModelId, lastSeq], [undefined, one, 1])
    assert.equal((await messenger.historyOf(ann.id, breakout.id))[0]?.content, 'hello')
  })

  test('goes on from a breakout, too', async () => {
    const parent = await compare()
    const { id } = await messenger.send(ann.id, parent.id, 'hello')
    const breakout = await breakOut(parent.id, id)
    const [copy] = await messenger.historyOf(ann.id, breakout.id)
    const { parentId, lastSeq } = await breakOut(breakout.id, copy?.id ?? '')
    assert.deepEqual([parentId, lastSeq], [breakout.id, 1])
  })

  test('is refused where there is nothing to go on from', async () => {
    const parent = await compare()
    const { id } = await messenger.send(ann.id, parent.id, 'hello')
    const { id: elsewhere } = await messenger.send(ann.id, (await compare()).id, 'hello')
    const group = await messenger.call(ann.id, 'conversation:create', { type: 'group' })
    const { id: inGroup } = await messenger.send(ann.id, group.id, 'hello')
    const deleted = await compare()
    const { id: inDeleted } = await messenger.send(ann.id, deleted.id, 'hello')
    await messenger.call(ann.id, 'conversation:delete', { conversationId: deleted.id })
    const told = messenger.told.length
    const refused = async (code: string, attempt: Promise<unknown>) => assert.rejects(attempt, withCode(code))

    await refused('not_found', breakOut(randomUUID(), id))
    await refused('not_found', breakOut(deleted.id, inDeleted))
    await refused('not_found', breakOut(parent.id, elsewhere))
    await refused(
      'not_found',
      messenger.call(ben.id, 'conversation:create', {
        ...{ type: 'assistant', parentId: parent.id, messageId: id, breakoutModelId: one },
      }),
    )
    await refused('unprocessable', breakOut(group.id, inGroup))
    await refused('unprocessable', breakOut(parent.id, id, { breakoutModelId: 'gpt-4o-mini' }))
    for (const more of [{ models: [one] }, { systemPrompt: '' }, { title: 'Mine' }, { participantIds: [] }]) {
      await refused('unprocessable', breakOut(parent.id, id, more))
    }
    for (const part of [{ parentId: parent.id }, { messageId: id }, { breakoutModelId: one }]) {
      await refused('invalid_request', messenger.call(ann.id, 'conversation:create', { type: 'assistant', ...part }))
      await refused('unprocessable', messenger.call(ann.id, 'conversation:create', { type: 'group', ...part }))
    }
    assert.equal(messenger.told.length, told)
  })

  test('needs a model that can still be asked', async () => {
    const parent = await messenger.call(ann.id, 'conversation:create', { type: 'assistant', models: ['o3-mini'] })
    const { id } = await messenger.send(ann.id, parent.id, 'hello')
    await messenger.database.query(sql`update ai_models set is_active = false where id = 'o3-mini'`)
    await assert.rejects(breakOut(parent.id, id, { breakoutModelId: 'o3-mini' }), (error: Error) => {
      assert.ok(withCode('not_found')(error) && error.message.includes('o3-mini'))
      return true
    })
  })

  test('takes no lock on its parent, nor waits for one', {
    skip: process.env.DATABASE_URL ? false : 'the embedded database has one connection',
  }, async () => {
    const parent = await compare()
    const { id } = await messenger.send(ann.id, parent.id, 'hello')
    await messenger.database.transact(async (em) => {
      await sql`select id from conversations where id = ${parent.id} for update`.execute(em.getKysely() as never)
      assert.equal((await breakOut(parent.id, id)).lastSeq, 1)
    })
  })

  describe('and what it came from', () => {
    test('stand in the export of their creator’s data, with models and tokens', async () => {
      const eve = await messenger.person()
      const { id } = await messenger.call(eve.id, 'conversation:create', {
        ...{ type: 'assistant', models: [one, other], systemPrompt: 'Be brief.' },
      })
      await messenger.send(eve.id, id, 'hello')
      const messageId = await messenger.answer(id, one, 'Hello, Eve')
      const breakout = await messenger.call(eve.id, 'conversation:create', {
        ...{ type: 'assistant', parentId: id, messageId, breakoutModelId: one },
      })
      const conversations = await messenger.exported('conversations', eve.id)
      assert.partialDeepStrictEqual(
        conversations.toSorted((a, b) => String(a.createdAt).localeCompare(String(b.createdAt))),
        [
          { id, models: [one, other], systemPrompt: 'Be brief.', role: 'owner' },
          { id: breakout.id, models: [one], systemPrompt: 'Be brief.', parentId: id, breakoutModelId: one },
        ],
      )
      const answers = (await messenger.exported('messages', eve.id)).filter(({ role }) => role === 'assistant')
      assert.deepEqual(
        answers.map(({ modelId, usage }) => [modelId, (usage as { credits: number }).credits]).toSorted(),
        [
          [one, 0],
          [one, 5],
        ],
      )
    })

    test('go for good with their creator’s account; agents alone keep no conversation alive', async () => {
      const [eve, agent] = [await messenger.person(), await messenger.agent()]
      const begin = async (input: Creation) => (await messenger.call(eve.id, 'conversation:create', input)).id
      const participantIds = [agent.id]
      const gone = [
        await begin({ type: 'assistant', models: [one] }),
        await begin({ type: 'direct', participantIds }),
        await begin({ type: 'group', participantIds }),
      ]
      const shared = await begin({ type: 'group', participantIds: [agent.id, ben.id] })
      await messenger.runJob('leave-conversations', { userId: eve.id })
      const rows = await messenger.database.query(
        sql<{ id: string }>`
          select id from conversations where id = any (${[...gone, shared]}::uuid[]) and deleted_at is null`,
      )
      assert.deepEqual(rows, [{ id: shared }])
      const removed = messenger.told.filter(({ event }) => event === 'conversation:removed')
      for (const conversationId of gone.slice(1)) {
        assert.deepEqual(removed.find(({ payload }) => payload.conversationId === conversationId)?.to, [agent.id])
      }
    })
  })

  test('is no matter of agents: a group that its last person leaves ends for those that are in it', async () => {
    const agent = await messenger.agent()
    const { id: conversationId } = await messenger.call(ann.id, 'conversation:create', {
      ...{ type: 'group', participantIds: [agent.id] },
    })
    await messenger.call(ann.id, 'conversation:leave', { conversationId })
    const removed = messenger.told.find(
      ({ event, payload }) => event === 'conversation:removed' && payload.conversationId === conversationId,
    )
    assert.deepEqual(removed?.to, [ann.id, agent.id])
    await assert.rejects(messenger.send(agent.id, conversationId, 'anyone?'), withCode('not_found'))
  })
})
