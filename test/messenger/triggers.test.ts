import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { sql } from 'kysely'
import { startMessenger, type TestMessenger } from '../support/messenger.ts'

let messenger: TestMessenger
let ann: { id: string; username: string }
let ben: { id: string; username: string }
let poet: { id: string; username: string }
before(async () => {
  messenger = await startMessenger()
  ;[ann, ben, poet] = [await messenger.person(), await messenger.person(), await messenger.agent()]
})
after(() => messenger.close())

const direct = async (other: { id: string }) =>
  (await messenger.call(ann.id, 'conversation:create', { type: 'direct', participantIds: [other.id] })).id
const group = async (...others: { id: string }[]) =>
  (await messenger.call(ann.id, 'conversation:create', { type: 'group', participantIds: others.map(({ id }) => id) }))
    .id
const assistant = async (...models: string[]) =>
  (await messenger.call(ann.id, 'conversation:create', { type: 'assistant', models })).id

/** The triggers of a conversation, each with whether the transaction that stored its message wrote it. */
const triggersOf = (conversationId: string) =>
  messenger.database.query(
    sql<{ messageId: string; seq: number; together: boolean; requestedBy: string | null }>`
      select t.message_id as "messageId", t.seq, t.requested_by as "requestedBy",
        coalesce(t.xmin = m.xmin and t.seq = m.seq, false) as together
      from message_triggers t
      left join messages m on m.conversation_id = t.conversation_id and m.id = t.message_id
      where t.conversation_id = ${conversationId} order by t.seq`,
  )

const hasAgents = async (conversationId: string) =>
  (
    await messenger.database.query(
      sql<{ has: boolean }>`select has_agents as has from conversations where id = ${conversationId}`,
    )
  )[0]?.has

/** What is said, and whether an agent may have to answer it. */
type Case = [what: string, say: (conversationId: string) => Promise<{ id: string }>, asks: boolean]

const plain: Case[1] = (id) => messenger.send(ann.id, id, 'hello')
const cases: [where: string, open: () => Promise<string>, ...Case[]][] = [
  ['a direct conversation with an agent', () => direct(poet), ['any message', plain, true]],
  ['a direct conversation of people', () => direct(ben), ['a message', plain, false]],
  ['an AI chat', () => assistant('gpt-4o'), ['any message', plain, true]],
  ['a comparison', () => assistant('gpt-4o', 'o1'), ['any message', plain, true]],
  [
    'a group with an agent',
    () => group(ben, poet),
    ['a plain message', plain, false],
    ['a mention of the agent', (id) => messenger.send(ann.id, id, `@${poet.username} sing`), true],
    // who is mentioned and replied to is looked at by who decides
    ['a mention of a person', (id) => messenger.send(ann.id, id, `@${ben.username} look`), true],
    ['a reply', async (id) => messenger.send(ben.id, id, 'why?', { replyToId: (await plain(id)).id }), true],
    ['what the agent says', (id) => messenger.send(poet.id, id, 'la la'), false],
    ['a mention by the agent', (id) => messenger.send(poet.id, id, `la @${ann.username}`), true],
  ],
  [
    'a group without agents',
    () => group(ben),
    ['a plain message', plain, false],
    ['a mention', (id) => messenger.send(ann.id, id, `@${ben.username} look`), false],
    ['a reply', async (id) => messenger.send(ben.id, id, 'why?', { replyToId: (await plain(id)).id }), false],
  ],
]

for (const [where, open, ...said] of cases) {
  describe(`in ${where}`, () => {
    for (const [what, say, asks] of said) {
      test(`${what} leaves ${asks ? 'a trigger, written with the message' : 'no trigger'}`, async () => {
        const conversationId = await open()
        const { id } = await say(conversationId)
        const triggers = (await triggersOf(conversationId)).filter(({ messageId }) => messageId === id)
        assert.deepEqual(
          triggers.map(({ together, requestedBy }) => ({ together, requestedBy })),
          asks ? [{ together: true, requestedBy: null }] : [],
        )
      })
    }
  })
}

test('a repeated send leaves one trigger, also twenty times at once', async () => {
  const conversationId = await assistant('gpt-4o')
  const clientId = randomUUID()
  const sends = Array.from({ length: 20 }, () => messenger.send(ann.id, conversationId, 'once', { clientId }))
  const ids = new Set((await Promise.all(sends)).map(({ id }) => id))
  assert.equal(ids.size, 1)
  assert.deepEqual(
    (await triggersOf(conversationId)).map(({ messageId }) => messageId),
    [...ids],
  )
})

test('many messages at once leave a trigger each, in order', async () => {
  const conversationId = await direct(poet)
  const before = (await triggersOf(conversationId)).length
  const sent = await Promise.all(Array.from({ length: 30 }, (_, i) => messenger.send(ann.id, conversationId, `${i}`)))
  const triggers = (await triggersOf(conversationId)).slice(before)
  assert.deepEqual(
    triggers.map(({ messageId }) => messageId),
    sent.toSorted((one, other) => one.seq - other.seq).map(({ id }) => id),
  )
  assert.ok(triggers.every(({ together }) => together))
})

test('a message that is refused leaves none, and neither does an edit', async () => {
  const conversationId = await group(ben, poet)
  const { id: messageId } = await messenger.send(ann.id, conversationId, 'hello')
  const content = `hello @${poet.username}`
  await messenger.call(ann.id, 'message:edit', { conversationId, messageId, content })
  const stranger = await messenger.person()
  await assert.rejects(messenger.send(stranger.id, conversationId, content))
  await assert.rejects(messenger.send(ann.id, conversationId, content, { replyToId: randomUUID() }))
  assert.deepEqual(await triggersOf(conversationId), [])
})

test('a conversation is one with agents from the first that joins to the last that goes', async () => {
  const conversationId = await group(ben)
  const another = await messenger.agent()
  const mention = () => messenger.send(ann.id, conversationId, `@${ben.username}`)
  const add = (userId: string) => messenger.call(ann.id, 'participant:add', { conversationId, userId })
  const remove = (userId: string) => messenger.call(ann.id, 'participant:remove', { conversationId, userId })
  await mention()
  assert.equal(await hasAgents(conversationId), false)
  await add((await messenger.person()).id)
  assert.equal(await hasAgents(conversationId), false)
  for (const { id } of [poet, another]) await add(id)
  assert.equal(await hasAgents(conversationId), true)
  const asking = await mention()
  await remove(ben.id)
  await messenger.call(another.id, 'conversation:leave', { conversationId })
  assert.equal(await hasAgents(conversationId), true)
  await remove(poet.id)
  assert.equal(await hasAgents(conversationId), false)
  await mention()
  assert.deepEqual(
    (await triggersOf(conversationId)).map(({ messageId }) => messageId),
    [asking.id],
  )
})

describe('who has agents answer', () => {
  const order: string[] = []
  const waiting = new Set<() => void>()
  const note = (...what: string[]): void => {
    order.push(...what)
    for (const look of waiting) look()
  }
  before(() => messenger.onAsked((ids) => note(...ids)))

  /** Settles when it was told of the conversation, from the place in the order on. */
  const asked = (conversationId: string, from = 0) =>
    new Promise<void>((resolve, reject) => {
      const timer = setTimeout(reject, 10_000, new Error('it was not told of the conversation'))
      const look = (): void => {
        if (!order.slice(from).includes(conversationId)) return
        clearTimeout(timer)
        waiting.delete(look)
        resolve()
      }
      waiting.add(look)
      look()
    })

  test('is told of the conversation after the event and the acknowledgment', async () => {
    const conversationId = await assistant('gpt-4o')
    const told = messenger.told.length
    await messenger.send(ann.id, conversationId, 'hello').then(() => {
      assert.ok(!order.includes(conversationId), 'it was told before the acknowledgment')
      assert.deepEqual(
        messenger.told.slice(told).map(({ event }) => event),
        ['messages:created'],
      )
    })
    await asked(conversationId)
  })

  test('neither fails nor holds up a send, whatever becomes of it', async () => {
    const conversationId = await assistant('gpt-4o')
    messenger.onAsked(() => assert.fail('a listener that throws'))
    messenger.onAsked(() => Promise.reject(new Error('a listener that fails')))
    messenger.onAsked(() => new Promise(() => {}))
    messenger.onAsked((ids) => note(...ids.map((id) => `also ${id}`)))
    await messenger.send(ann.id, conversationId, 'hello')
    await asked(`also ${conversationId}`)
    await messenger.send(ann.id, conversationId, 'and on')
  })

  test('hears nothing of conversations without agents, of repeats and of edits', async () => {
    const [people, chat, last] = [await direct(ben), await assistant('gpt-4o'), await assistant('o1')]
    const clientId = randomUUID()
    const { id: messageId } = await messenger.send(ann.id, chat, 'once', { clientId })
    await asked(chat)
    const from = order.length
    await messenger.send(ann.id, people, 'hello')
    await messenger.send(ann.id, chat, 'once', { clientId })
    await messenger.call(ann.id, 'message:edit', { conversationId: chat, messageId, content: 'twice' })
    await messenger.send(ann.id, last, 'now')
    await asked(last, from)
    const heard = new Set(order.slice(from))
    assert.ok(!heard.has(people) && !heard.has(chat))
  })
})
