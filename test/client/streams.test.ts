import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it, type TestContext } from 'node:test'
import { type Client, createClient, type Message } from '../../src/client/index.ts'
import { type FakeServer, heard, startFakeServer } from './fake.server.ts'
import { ModelConversation, me, seeded } from './model.ts'

describe('a text that streams', () => {
  let server: FakeServer
  let model: ModelConversation
  let client: Client
  let begun: { name: string; payload: unknown }
  let row: Message

  beforeEach(async () => {
    server = await startFakeServer()
    model = new ModelConversation('c1', seeded(7))
    model.post(3, 'ann')
    server.on.sync = ({ positions }: { positions: Record<string, number> }) => ({ data: model.sync(positions.c1, 500) })
    server.on['run:resume'] = () => 'silence'
    client = createClient({ url: server.url, socket: { reconnect: { minMs: 5, maxMs: 20 } } })
    await client.login({ username: me, password: 'secret' })
    await client.connect()
    const news = model.post(1, 'bob')
    row = Object.assign(news.payload.messages[0] as Message, { content: '', status: 'streaming' as const })
    begun = structuredClone(news)
  })
  afterEach(async () => {
    await client.close()
    await server.close()
  })

  const emit = (news: { name: string; payload: unknown }) => server.sockets.at(-1)?.emit(news.name, news.payload)
  const say = (offset: number, text: string) =>
    emit({ name: 'stream:delta', payload: { conversationId: 'c1', messageId: row.id, offset, text } })
  const text = () => client.store.get('c1')?.messages.find(({ id }) => id === row.id)?.content
  const becomes = async (content: string) => {
    if (text() !== content)
      await heard<string>(
        (handler) => client.on('changed', handler),
        () => text() === content,
      )
  }
  const resumes = () => server.commands.filter(({ name }) => name === 'run:resume').map(({ input }) => input.offset)

  it('grows, also where a piece overlaps or comes twice, by new objects, without asking', async () => {
    emit(begun)
    say(0, 'Hello')
    await becomes('Hello')
    const before = client.store.get('c1')?.conversation.lastMessage
    say(0, 'Hello')
    say(3, 'lo, wor')
    say(10, 'ld')
    await becomes('Hello, world')
    const { messages, conversation } = client.store.get('c1') ?? assert.fail()
    assert.equal(before?.content, 'Hello')
    assert.equal(conversation.lastMessage, messages.at(-1))
    assert.deepEqual(resumes(), [])
  })

  it('that overtakes its message waits for it', async () => {
    say(0, 'Hel')
    say(3, 'lo')
    emit(begun)
    await becomes('Hello')
    assert.deepEqual(resumes(), [])
  })

  it('with a gap is asked for until the stored text has reached what came live', async (t: TestContext) => {
    t.mock.method(Math, 'random', () => 0)
    const answers = ['', ' wor']
    server.on['run:resume'] = ({ offset }: { offset: number }) => {
      return { data: { text: answers.shift() ?? assert.fail('asked too often'), offset, status: 'streaming' } }
    }
    emit(begun)
    say(0, 'Hello,')
    await becomes('Hello,')
    say(10, 'ld')
    say(12, '!')
    await becomes('Hello, world!')
    assert.deepEqual(resumes(), [6, 6])
  })

  it('whose end was missed is synced', async (t: TestContext) => {
    t.mock.method(Math, 'random', () => 0)
    emit(begun)
    say(0, 'Hello')
    await becomes('Hello')
    server.on['run:resume'] = ({ offset }: { offset: number }) => ({ data: { text: '', offset, status: 'sent' } })
    model.messages[row.seq - 1] = { ...row, content: 'Bye', status: 'sent', change: ++model.lastChange }
    say(9, 'later')
    await becomes('Bye')
  })

  it('is not shortened by stored text, but by the row with which it ends', async () => {
    emit(begun)
    say(0, 'Hello, wor')
    await becomes('Hello, wor')
    emit({
      name: 'messages:updated',
      payload: { ...(begun.payload as object), messages: [{ ...row, content: 'Hell' }] },
    })
    say(10, 'ld')
    await becomes('Hello, world')
    const ended = { ...row, content: 'Hell', status: 'failed', change: row.change + 1 }
    const payload = { conversationId: 'c1', prevChange: row.change, change: row.change + 1, messages: [ended] }
    emit({ name: 'messages:updated', payload })
    await becomes('Hell')
  })
})
