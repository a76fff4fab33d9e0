import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { sql } from 'kysely'
import { type Client, type KeyValueStorage, type Message, memoryStorage } from '../../src/client/index.ts'
import { assertSound, caughtUp, closing, eventually, lasting, newClient } from '../faults/scene.ts'
import { cast, join, messageOf, type Person, send } from '../messenger/scene.ts'
import { makeAgent, makeKey } from '../support/agents.ts'
import { ownRedis, withoutOwnRedis } from '../support/services.ts'
import {
  answerAfter,
  askModel,
  connectWriter,
  deltasOf,
  further,
  heardText,
  hearsEnd,
  hearsUpTo,
  openChat,
  pieces,
  startWriters,
  type Writer,
} from './nodes.ts'

/** From the command at one node to its effect at the other. */
const stopLimitMs = 300
/** The machine may have something else to do in one of so many tries, but not in all of them. */
const tries = 5

const outageMs = 4_000

/** A reader with the client of the package, who may reload it, at whichever node. */
interface Reader {
  id: string
  client: Client
  reload(): Promise<void>
}

async function newReader(urls: [string, string], place: number): Promise<Reader> {
  const storage: KeyValueStorage = memoryStorage()
  const username = `reader_${place}_${randomBytes(4).toString('hex')}`
  const client = newClient(urls[place % 2] as string, storage)
  const { user } = await client.register({
    ...{ username, email: `${username}@example.org`, password: 'correct horse', displayName: `Reader ${place}` },
  })
  await client.connect()
  let reloads = 0
  const reader: Reader = {
    id: user.id,
    client,
    async reload() {
      await reader.client.close()
      reader.client = newClient(urls[(place + ++reloads) % 2] as string, storage)
      await reader.client.connect()
    },
  }
  return reader
}

/** An external agent writes these until it is done. */
function keepWriting(writer: Writer, conversationId: string, messageId: string, parts: string[]) {
  let goesOn = true
  const done = (async () => {
    let offset = 0
    for (const text of parts) {
      if (!goesOn) break
      const reached = await writer.do('stream:append', { conversationId, messageId, offset, text })
      offset = reached['offset'] as number
      await lasting(100)
    }
    await writer.do('stream:finish', { conversationId, messageId })
  })()
  return () => {
    goesOn = false
    return done
  }
}

/** Removes people, and notes where each of their sockets has come to when that is acknowledged. */
async function remove(owner: Person, conversationId: string, people: Person[]): Promise<() => void> {
  const marks = new Map<Person, number>()
  for (const person of people) {
    await owner.do('participant:remove', { conversationId, userId: person.id })
    await caughtUp(person)
    marks.set(person, person.heard.length)
  }
  return () => {
    for (const [person, mark] of marks) {
      const late = person.heard.slice(mark).filter(({ event }) => event === 'stream:delta')
      assert.deepEqual(late, [], `${person.username} hears what is none of their business`)
    }
  }
}

test('texts that grow, on two nodes', { skip: withoutOwnRedis }, async (t) => {
  const redis = await closing(t, ownRedis())
  await redis.start()
  const scene = await startWriters(t, 2, { redis })
  const { nodes, a, b, models, database } = scene
  const ann = await join(a, 'ann')
  const annAtB = await further(b, ann)
  t.after(() => {
    for (const person of [ann, annAtB]) person.close()
  })

  /** Has an answer be stopped at the node that does not write it; gives how long `isOver` took from the command on. */
  async function stopElsewhere(isOver: (chat: string, answer: Message) => Promise<unknown>): Promise<number> {
    models.reset()
    models.script('m1', { chunks: pieces(2_000), pauseMs: 20 })
    const chat = await openChat(ann, 'm1')
    const answer = await askModel(ann, chat)
    await hearsUpTo(ann, answer.id, 100)
    const started = performance.now()
    const [ack] = await Promise.all([
      annAtB.ask('run:stop', { conversationId: chat, messageId: answer.id }),
      isOver(chat, answer),
    ])
    const tookMs = performance.now() - started
    assert.ok(ack.ok, JSON.stringify(ack))
    const stored = await messageOf(ann, chat, answer.id)
    assert.equal(stored.status, 'cancelled')
    assert.equal(heardText(ann, answer.id), stored.content)
    assert.equal((await (await models.request(1)).ended).by, 'client', 'the model is not kept at work')
    return tookMs
  }

  async function bestOf(context: TestContext, once: () => Promise<number>): Promise<void> {
    const took: number[] = []
    while (took.length < tries && !took.some((ms) => ms <= stopLimitMs)) took.push(Math.round(await once()))
    context.diagnostic(`stopped after ${took.join(', ')} ms`)
    assert.ok(
      took.some((ms) => ms <= stopLimitMs),
      `stopped after ${took.join(', ')} ms`,
    )
  }

  await t.test('an answer is stopped from the other node within 300 ms, for the readers at both', (context) =>
    bestOf(context, () =>
      stopElsewhere(async (_, answer) => {
        const ends = await Promise.all([hearsEnd(ann, answer), hearsEnd(annAtB, answer)])
        for (const end of ends) assert.equal(end.status, 'cancelled')
      }),
    ),
  )

  await t.test('also while the nodes do not hear each other', async (context) => {
    await redis.stop()
    await bestOf(context, () =>
      stopElsewhere(async (conversationId, answer) => {
        const isStored = async () => {
          const ack = await annAtB.ask('run:resume', { conversationId, messageId: answer.id, offset: 0 })
          return ack.ok && (ack.data as { status: string }).status === 'cancelled'
        }
        await Promise.all([hearsEnd(ann, answer), eventually('it is stored as cancelled', isStored)])
      }),
    )
    await redis.start()
    for (const person of [ann, annAtB]) await person.hears('resync')
  })

  await t.test(
    'fifty come, go, reload and lose the link: who is there in the end has what is stored, to the letter',
    async (context) => {
      models.reset()
      const gate = Promise.withResolvers<void>()
      for (const model of ['m1', 'm2', 'm3']) {
        models.script(model, { chunks: pieces(130, model), pauseMs: 100, holdAfter: 120, holdUntil: gate.promise })
      }
      const readers: Reader[] = []
      for (let place = 0; place < 50; place += 10) {
        readers.push(...(await Promise.all(Array.from({ length: 10 }, (_, i) => newReader([a, b], place + i)))))
      }
      context.after(() => Promise.all(readers.map(({ client }) => client.close())))
      const outsiders = [...(await cast(a, 'eve', 'mallory')), ...(await cast(b, 'trudy', 'oscar'))]
      const [eve, mallory, trudy, oscar] = outsiders as [Person, Person, Person, Person]
      context.after(() => {
        for (const person of outsiders) person.close()
      })
      const poets = await Promise.all(
        ['m1', 'm2', 'm3'].map((modelId) => makeAgent(a, ann, { kind: 'built_in', modelId })),
      )
      const program = await makeAgent(b, ann)
      const writer = await closing(context, connectWriter(b, (await makeKey(b, ann, program.id)).key))

      const [late, early] = [readers.slice(40), readers.slice(0, 40)]
      const { id } = await ann.do('conversation:create', {
        ...{ type: 'group', title: 'a reading' },
        participantIds: [...early, ...outsiders, ...poets, program].map((one) => one.id),
      })
      const grown = await writer.begin(id)
      const { seq } = await send(ann, id, poets.map(({ username }) => `@${username}`).join(' '))
      const begun = await answerAfter(ann, id, seq)
      const finishWriting = keepWriting(writer, id, grown, pieces(2_000, 'program'))
      for (const person of outsiders) await hearsUpTo(person, begun.id, 1)

      const heardNoMore: (() => void)[] = []
      const gone = new Set<Reader>()
      /** People come, people go, and some reload. */
      async function churn(round: number): Promise<void> {
        const [coming, going] = [late.slice(round * 3, round * 3 + 3), early.slice(round * 3, round * 3 + 3)]
        for (const { id: userId } of coming) await ann.do('participant:add', { conversationId: id, userId })
        for (const reader of going) {
          await ann.do('participant:remove', { conversationId: id, userId: reader.id })
          gone.add(reader)
        }
        await Promise.all(early.slice(10 + round * 8, 18 + round * 8).map((reader) => reader.reload()))
        const [back] = going
        assert.ok(back)
        await ann.do('participant:add', { conversationId: id, userId: back.id })
        gone.delete(back)
      }
      heardNoMore.push(await remove(ann, id, [eve, trudy]))
      await churn(0)
      await redis.stop()
      const isOver = lasting(outageMs)
      heardNoMore.push(await remove(ann, id, [mallory]), await remove(annAtB, id, [oscar]))
      await churn(1)
      await isOver
      await redis.start()
      await churn(2)
      const present = readers.filter(
        (reader) => !gone.has(reader) && (early.includes(reader) || late.indexOf(reader) < 9),
      )
      assert.equal(present.length, 49 - gone.size)
      // who came in the middle has the newest message alone until they look further back; the texts grow all the while
      await Promise.all(
        present.map(async ({ client }) => {
          await eventually('they have the conversation', () => client.store.get(id) !== undefined, 20_000)
          if (client.store.get(id)?.hasBefore) await client.loadHistory(id, 50)
        }),
      )
      gate.resolve()
      await finishWriting()

      const stored = () =>
        database.database.query(sql<{ id: string; content: string; status: string }>`
        select id, content, status from messages where conversation_id = ${id} and (seq > ${seq} or id = ${grown}) order by seq`)
      await eventually(
        'all have ended',
        async () => (await stored()).every(({ status }) => status !== 'streaming'),
        30_000,
      )
      const rows = await stored()
      assert.deepEqual(
        rows.map(({ status }) => status),
        ['sent', 'sent', 'sent', 'sent'],
      )
      for (const model of ['m1', 'm2', 'm3'])
        assert.ok(
          rows.some(({ content }) => content === pieces(130, model).join('')),
          model,
        )
      const hasAll = ({ client }: Reader): boolean => {
        const messages = client.store.get(id)?.messages ?? []
        return rows.every((row) =>
          messages.some(
            (message) => message.id === row.id && message.content === row.content && message.status === row.status,
          ),
        )
      }
      await eventually('who is there has all of it', () => present.every(hasAll), 20_000)
      await eventually('who is not has none of it', () => [...gone].every(({ client }) => !client.store.get(id)))
      for (const check of heardNoMore) check()
      const live = rows.reduce((sum, row) => sum + deltasOf(ann, row.id).length, 0)
      context.diagnostic(`${live} deltas of ${rows.length} texts at one socket`)
      for (const row of rows) {
        if (row.id !== grown) assert.equal(heardText(ann, row.id), row.content, 'the node that writes tells its own')
      }
    },
  )

  assertSound(...nodes)
})
